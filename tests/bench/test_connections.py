"""The bench of clients that come in, in small."""

from __future__ import annotations

import json
import resource
from pathlib import Path

import pytest

from bench import connections
from bench.crowd import TooFewFilesError, allow_files


@pytest.mark.processes
def test_every_client_of_the_bench_comes_in_and_every_figure_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figures.json"
    connections.main(["--quick", "--json", str(file)])
    found = json.loads(file.read_bytes())
    told = {(figure["what"], figure["detail"]) for figure in found["figures"]}
    assert {("clients a second", "with a session"), ("clients a second", "bare echo")} <= told
    rates = [each for each in found["figures"] if each["what"] == "clients a second"]
    assert all(each["value"] > 0 for each in rates)
    assert found["machine"]["Python"] in capsys.readouterr().out


def test_where_so_many_files_may_not_be_open_it_says_what_to_do() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        pytest.skip("any number of files may be open here")
    with pytest.raises(TooFewFilesError, match=r"--clients.*ulimit -Hn"):
        allow_files(hard)
