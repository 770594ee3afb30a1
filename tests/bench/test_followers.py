"""The bench of clients at a second server, in small."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import followers

pytestmark = pytest.mark.processes


@pytest.mark.long
def test_every_client_of_the_bench_sees_every_entry_and_every_figure_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figures.json"
    followers.main(["--quick", "--json", str(file)])
    found = json.loads(file.read_bytes())
    told = {(figure["what"], figure["detail"]) for figure in found["figures"]}
    what = "a follower's client is behind, p99"
    assert {(what, "Redis"), (what, "no Redis"), ("turns a second", "Redis")} <= told
    assert found["machine"]["Python"] in capsys.readouterr().out
