"""The bench of clients that all come back, in small."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes


@pytest.mark.long
def test_every_client_of_the_bench_has_its_log_again_and_every_figure_is_told(
    tmp_path: Path,
) -> None:
    file = tmp_path / "figures.json"
    # A process of its own: it sets up Django for a database of its own.
    subprocess.run(
        [sys.executable, "-m", "bench.resume", "--quick", "--json", str(file)],
        env=os.environ | {"SECRET_KEY": "for tests"},
        check=True,
    )
    found = json.loads(file.read_bytes())
    told = {figure["what"].partition(",")[0] for figure in found["figures"]}
    assert told == {"whole log again", "least left of the lease"}
    assert all(figure["value"] > 0 for figure in found["figures"])
