"""The bench of services, in small."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes


@pytest.mark.long
def test_every_figure_of_the_bench_is_told(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    # A process of its own: it sets up Django for a database of its own.
    subprocess.run(
        [sys.executable, "-m", "bench.services", "--quick", "--json", str(file)],
        env=os.environ | {"SECRET_KEY": "for tests"},
        check=True,
    )
    found = json.loads(file.read_bytes())
    told = {figure["what"] for figure in found["figures"]}
    assert {"2 services to running", "an idle worker", "a wish is acted on"} <= told
    assert all(figure["value"] >= 0 for figure in found["figures"])
