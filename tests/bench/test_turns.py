from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import turns

pytestmark = pytest.mark.processes


@pytest.mark.long
def test_every_turn_of_the_bench_arrives_and_every_figure_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figures.json"
    turns.main(["--quick", "--json", str(file)])
    found = json.loads(file.read_bytes())
    told = {figure["what"].partition(",")[0] for figure in found["figures"]}
    assert told >= {
        "echo turn / bare echo",
        "model turn / plain SDK app",
        "model turn / raw HTTP app",
        "runagent to ready",
    }
    assert all(figure["value"] > 0 for figure in found["figures"])
    assert found["machine"]["Python"] in capsys.readouterr().out


@pytest.mark.long
def test_turns_with_traces_are_compared_with_turns_without(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    turns.main(["--quick", "--tracing", "--json", str(file)])
    told = {figure["what"] for figure in json.loads(file.read_bytes())["figures"]}
    assert told == {"model turn / not traced, CPU", "model turns a second / not traced"}
