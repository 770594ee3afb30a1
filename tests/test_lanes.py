"""Several processes share files of tests: each test runs once, whoever comes for its file."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.lanes import LONG, Waiting
from tests.side_streams import ROOT, Part, SideStream

TESTS = ("test_passes", "test_fails")
CONTENT = "def test_passes():\n    pass\n\n\ndef test_fails():\n    assert not 1\n"
PLUGIN = "from tests.conftest import *\n"


def items_of(path: Path) -> list[pytest.Item]:
    found = [SimpleNamespace(path=path, nodeid=f"{path.name}::{test}") for test in TESTS]
    return cast("list[pytest.Item]", found)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    (tmp_path / "conftest.py").write_text(PLUGIN)
    paths = [tmp_path / f"test_{name}.py" for name in "abcdef"]
    for path in paths:
        path.write_text(CONTENT)
    return paths


def run_together(files: list[Path], processes: int) -> list[Part]:
    waiting = Waiting(item for path in files for item in items_of(path))
    parts = [Part(waiting) for _ in range(processes)]
    options = ["-c", str(ROOT / "pyproject.toml"), f"--rootdir={files[0].parent}"]
    with ExitStack() as stack:
        for stream in [stack.enter_context(SideStream(part, options)) for part in parts]:
            stream.wait()
    return parts


def calls_of(parts: list[Part]) -> list[dict[str, Any]]:
    return [report for part in parts for report in part.reports if report["when"] == "call"]


def test_processes_that_share_files_run_and_report_each_test_once(files: list[Path]) -> None:
    parts = run_together(files, processes=2)
    assert [part.status for part in parts].count(pytest.ExitCode.TESTS_FAILED) >= 1, parts
    outcomes = Counter((report["nodeid"], report["outcome"]) for report in calls_of(parts))
    expected = {("test_passes", "passed"), ("test_fails", "failed")}
    assert outcomes == {
        (f"{path.name}::{test}", outcome): 1 for path in files for test, outcome in expected
    }


def test_a_process_that_dies_says_so_and_leaves_what_waits_to_the_others(files: list[Path]) -> None:
    files[0].write_text(CONTENT.replace("pass\n", "__import__('os')._exit(7)\n"))
    parts = run_together(files, processes=2)
    assert sorted(part.status for part in parts) == [pytest.ExitCode.TESTS_FAILED, 7]
    ran = Counter(report["nodeid"] for report in calls_of(parts))
    assert ran == {f"{path.name}::{test}": 1 for path in files[1:] for test in TESTS}


def test_files_that_take_longest_come_first(tmp_path: Path) -> None:
    long = [tmp_path / place for place in LONG]
    others = [tmp_path / "test_quick.py", *reversed(long)]
    waiting = Waiting(item for path in others for item in items_of(path))
    assert waiting.paths == [*long, others[0]]
    assert [some[0].path for some in waiting] == waiting.paths
    assert waiting.take() == []


def test_the_files_that_take_longest_exist() -> None:
    assert [place for place in LONG if not (ROOT / "tests" / place).is_file()] == []
