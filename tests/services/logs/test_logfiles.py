"""Logs are read from their end, and followed through rotations, without a line lost or doubled."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.logs import logfiles
from services.logs.logfiles import Follower, tail


def write(path: Path, *lines: str) -> None:
    with path.open("a") as file:
        file.writelines(f"{line}\n" for line in lines)


def rotate(path: Path) -> None:
    """As the process that writes them does it: the oldest first, then a new file."""
    number = 1
    while path.with_name(f"{path.name}.{number}").exists():
        number += 1
    for older in range(number, 1, -1):
        path.with_name(f"{path.name}.{older - 1}").rename(f"{path}.{older}")
    path.rename(f"{path}.1")
    path.touch()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "one.log"


def test_the_last_lines_come_oldest_first(path: Path) -> None:
    write(path, *map(str, range(1000)))
    assert tail(path, 3) == ["997", "998", "999"]
    assert tail(path, 5000) == [str(number) for number in range(1000)]


def test_a_log_that_is_not_there_has_no_lines(path: Path) -> None:
    assert tail(path, 10) == []


def test_no_lines_are_none(path: Path) -> None:
    write(path, "one")
    assert tail(path, 0) == []


def test_the_last_line_may_have_no_end_yet(path: Path) -> None:
    path.write_text("one\ntwo\nthr")
    assert tail(path, 2) == ["two", "thr"]


def test_lines_go_on_in_rotated_files(path: Path) -> None:
    for number in range(12):
        if number:
            rotate(path)
        write(path, f"{number} a", f"{number} b")
    assert tail(path, 5) == ["9 b", "10 a", "10 b", "11 a", "11 b"]
    assert len(tail(path, 100)) == 24


def test_a_line_that_a_rotation_cut_is_one_line(path: Path) -> None:
    path.write_text("one\ntw")
    rotate(path)
    path.write_text("o\nthree\n")
    assert tail(path, 2) == ["two", "three"]


def test_a_large_log_is_read_from_its_end_only(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(50 << 30)
        file.seek(0, 2)
        file.write(b"\nlast\n")
    assert tail(path, 1) == ["last"]


def test_no_more_is_read_than_asked_for_and_only_whole_lines(path: Path) -> None:
    write(path, *(f"line {number:04}" for number in range(1000)))
    assert tail(path, 500, max_bytes=25) == ["line 0998", "line 0999"]


def test_bytes_that_are_no_text_are_replaced(path: Path) -> None:
    path.write_bytes(b"caf\xe9\r\n\x00\n")
    assert tail(path) == ["caf\N{REPLACEMENT CHARACTER}", "\0"]


def test_an_endless_line_comes_in_pieces(path: Path) -> None:
    path.write_bytes(b"x" * (logfiles.MAX_LINE_BYTES + 5) + b"\nend\n")
    assert [len(line) for line in tail(path)] == [logfiles.MAX_LINE_BYTES, 5, 3]


def test_following_gives_each_line_once_through_rotations(path: Path) -> None:
    write(path, "old", "last")
    with Follower(path, 1) as follower:
        assert follower.read() == ["last"]
        assert follower.read() == []
        write(path, "before")
        rotate(path)
        write(path, "between")
        rotate(path)
        write(path, "after")
        assert follower.read() == ["before", "between", "after"]
        assert follower.read() == []


def test_a_line_is_given_when_it_is_complete(path: Path) -> None:
    with Follower(path) as follower:
        path.write_text("on")
        assert follower.read() == []
        write(path, "e")
        assert follower.read() == ["one"]


def test_following_can_begin_before_there_is_a_file(path: Path) -> None:
    with Follower(path, 10) as follower:
        assert follower.read() == []
        write(path, "first")
        rotate(path)
        write(path, "second")
        assert follower.read() == ["first", "second"]


def test_a_log_that_is_renamed_but_has_no_successor_is_waited_for(path: Path) -> None:
    write(path, "one")
    with Follower(path, 1) as follower:
        assert follower.read() == ["one"]
        path.rename(f"{path}.1")
        assert follower.read() == []
        write(path, "two")
        assert follower.read() == ["two"]


def test_a_log_whose_file_was_deleted_goes_on_in_the_oldest(path: Path) -> None:
    write(path, "one")
    with Follower(path, 1) as follower:
        follower.read()
        path.unlink()
        write(path, "two")
        assert follower.read() == ["two"]


def test_a_log_that_somebody_emptied_is_read_from_its_beginning(path: Path) -> None:
    write(path, "one", "two")
    with Follower(path, 1) as follower:
        follower.read()
        path.write_text("new\n")
        assert follower.read() == ["new"]


@given(st.lists(st.sampled_from(["write", "rotate", "read"]), max_size=40), st.integers(0, 5))
def test_whatever_happens_the_lines_are_those_written(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str], before: int
) -> None:
    path = tmp_path_factory.mktemp("logs") / "one.log"
    written = [f"before {number}" for number in range(before)]
    write(path, *written)
    with Follower(path, before) as follower:
        found = []
        for number, step in enumerate(steps):
            if step == "write":
                written.append(f"line {number}")
                write(path, written[-1])
            elif step == "rotate":
                rotate(path)
            else:
                found += follower.read()
        found += follower.read()
    assert found == written
    assert tail(path, 1000) == written


@pytest.mark.parametrize("given", ["..", "a/b", "", "a.log", "x" * 37])
def test_what_is_no_id_has_no_file(given: str) -> None:
    with pytest.raises(ValueError, match="no id"):
        logfiles.path_of("service", given)
    with pytest.raises(ValueError, match="no id"):
        logfiles.path_of(given, "instance")
