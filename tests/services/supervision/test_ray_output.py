"""What jobs print arrives once, in order, in log files here."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.supervision.launchers.ray_output import Copy, place_after

HEAD = "Runtime env is setting up.\n10:00:00 info     listening host='0.0.0.0' port=43211\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "service" / "instance.log"


def test_output_that_is_read_again_is_copied_once(log: Path) -> None:
    copy = Copy(log)
    copy.skip("one\n")
    for pieces in (["one\n", "two\n"], ["one\ntwo\n", "three\n"], ["one\n", "two\nthree\n"]):
        copy.begin()
        for piece in pieces:
            copy.take(piece)
    assert log.read_text() == "one\ntwo\nthree\n"


def test_another_process_goes_on_where_the_former_one_stopped(log: Path) -> None:
    first = Copy(log)
    first.begin()
    first.take("one\ntwo\n")
    second = Copy(log)
    second.skip("one\ntwo\nthree\n")
    second.begin()
    second.take("one\ntwo\nthree\n")
    assert log.read_text() == "one\ntwo\nthree\n"


def test_the_port_is_found_in_any_cut_of_the_output(log: Path) -> None:
    for cut in range(1, len(HEAD)):
        copy = Copy(log)
        copy.begin()
        copy.take(HEAD[:cut])
        copy.take(HEAD[cut:])
        assert copy.port == 43211, cut


def test_another_process_finds_the_port_in_what_is_copied_already(log: Path) -> None:
    copy = Copy(log)
    copy.skip(HEAD + "later\n")
    assert copy.port == 43211


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


LINES = st.lists(st.text("ab ", max_size=3), min_size=1, max_size=30)


@given(LINES, st.data())
def test_the_place_found_again_is_behind_the_copied_lines(
    lines: list[str], data: st.DataObject
) -> None:
    whole = "".join(f"{number} {line}\n" for number, line in enumerate(lines))
    count = data.draw(st.integers(0, len(lines)))
    copied = whole.splitlines()[:count]
    assert whole[place_after(whole, copied[-20:]) :] == "".join(
        f"{line}\n" for line in whole.splitlines()[count:]
    )


def test_lines_that_are_not_in_the_output_hide_nothing_of_it() -> None:
    assert place_after("one\ntwo\n", ["of another job"]) == 0


def test_a_line_that_was_copied_in_part_is_continued() -> None:
    whole = "one\ntwo and more\nthree\n"
    assert whole[place_after(whole, ["one", "two and"]) :] == " more\nthree\n"


def test_a_short_beginning_is_not_sought_at_the_end() -> None:
    whole = "tick\ntick\ntick\n"
    assert whole[place_after(whole, ["tick"]) :] == "tick\ntick\n"
