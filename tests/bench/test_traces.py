"""The bench of stored traces, in small."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runners import ROOT
from tests.servers import MariaDB

pytestmark = pytest.mark.processes


@pytest.mark.skipif(not MariaDB.is_installed(), reason="MariaDB is not installed")
@pytest.mark.long
def test_every_question_of_the_bench_is_answered_and_every_figure_is_told(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    # It connects Django to a database of its own.
    done = subprocess.run(
        [sys.executable, "-m", "bench.traces", "--quick", "--json", str(file)],
        cwd=ROOT,
        env=os.environ | {"MYAGENT_ENV_FILE": os.devnull, "MYAGENT_VAR_DIR": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(file.read_bytes())
    told = {figure["what"] for figure in found["figures"]}
    assert told >= {
        *("list, page of 50", "spans of a long run, page of 100", "statistics"),
        *("counting an hour", "writing a span, 20 in a commit", "a span"),
        *("what is beyond half of the spans", "model turn / with no traces stored, CPU"),
    }
    assert all(figure["value"] > 0 for figure in found["figures"])
    assert "span_by_end" in done.stdout and found["machine"]["Python"] in done.stdout
