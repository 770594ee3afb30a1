"""The bench of viewers of all traces, in small."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import watching

pytestmark = pytest.mark.processes


@pytest.mark.long
def test_every_viewer_of_the_bench_sees_every_step_and_every_figure_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figures.json"
    watching.main(["--quick", "--json", str(file)])
    found = json.loads(file.read_bytes())
    told = {(figure["what"], figure["detail"]) for figure in found["figures"]}
    what = "a viewer at another server, p99"
    assert {(what, "Redis"), (what, "no Redis"), ("turns a second", "Redis")} <= told
    assert found["machine"]["Python"] in capsys.readouterr().out
