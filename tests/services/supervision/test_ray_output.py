"""What jobs print arrives once, in order, in log files here."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.supervision.launchers.ray_output import Copy

HEAD = "Runtime env is setting up.\n10:00:00 info     listening host='0.0.0.0' port=43211\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "service" / "instance.log"


def test_output_that_is_read_again_is_copied_once(log: Path) -> None:
    copy = Copy(log)
    for pieces in (["one\n", "two\n"], ["one\ntwo\n", "three\n"], ["one\n", "two\nthree\n"]):
        copy.begin()
        for piece in pieces:
            copy.take(piece)
    assert log.read_text() == "one\ntwo\nthree\n"


@given(st.text("a\n", min_size=1), st.lists(st.integers(0, 30), max_size=5), st.data())
def test_processes_that_take_turns_copy_each_character_once(
    tmp_path_factory: pytest.TempPathFactory, whole: str, ends: list[int], data: st.DataObject
) -> None:
    log = tmp_path_factory.mktemp("logs") / "instance.log"
    for end in [*sorted(ends), len(whole)]:
        copy = Copy(log)
        copy.begin()
        cut = data.draw(st.integers(0, min(end, len(whole))))
        copy.take(whole[:cut])
        copy.take(whole[cut:end])
    assert log.read_text() == whole


def test_the_port_is_found_in_any_cut_of_the_output(log: Path) -> None:
    for cut in range(1, len(HEAD)):
        copy = Copy(log)
        copy.begin()
        copy.take(HEAD[:cut])
        copy.take(HEAD[cut:])
        assert copy.port == 43211, cut


def test_another_process_finds_the_port_in_what_is_copied_already(log: Path) -> None:
    for _ in range(2):
        copy = Copy(log)
        copy.begin()
        copy.take(HEAD)
        assert copy.port == 43211
    assert log.read_text() == HEAD


def test_only_the_first_port_counts(log: Path) -> None:
    copy = Copy(log)
    copy.begin()
    copy.take(HEAD)
    copy.take("listening host='x' port=1\n")
    assert copy.port == 43211


def test_the_log_is_for_its_owner_alone(log: Path) -> None:
    copy = Copy(log)
    copy.begin()
    copy.take("one\n")
    assert log.stat().st_mode & 0o777 == 0o600


def test_a_count_that_is_no_number_begins_anew(log: Path) -> None:
    log.parent.mkdir(parents=True)
    log.with_name(f"{log.name}.copied").write_text("")
    copy = Copy(log)
    copy.begin()
    copy.take("one\n")
    assert log.read_text() == "one\n"
