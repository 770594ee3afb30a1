"""The bench of a worker's death, in small."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import failover

pytestmark = pytest.mark.processes


@pytest.mark.long
def test_no_turn_of_the_bench_is_lost_and_every_figure_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figures.json"
    failover.main(["--quick", "--json", str(file)])
    found = json.loads(file.read_bytes())
    told = {figure["what"].partition(",")[0] for figure in found["figures"]}
    assert {"told of the death", "text again", "another worker"} <= told
    assert all(figure["value"] > 0 for figure in found["figures"])
    assert found["machine"]["Python"] in capsys.readouterr().out


@pytest.mark.long
def test_no_turn_is_lost_where_a_server_dies(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    failover.main(["--servers", "--quick", "--json", str(file)])
    figures = json.loads(file.read_bytes())["figures"]
    ends = [figure for figure in figures if figure["what"] == "all turns have ended"]
    assert [end["detail"] for end in ends] == ["5 turns, one machine", "5 turns, two"]
    assert all(figure["value"] > 0 for figure in figures)
