"""What went wrong is kept as what happened and told to each reader in their language."""

from __future__ import annotations

import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from myagent.sentence import Said
from services.models import Instance
from services.supervision.failing import why_it_failed, why_it_is_given_up
from services.supervision.health import TOO_LATE
from services.supervision.launchers import LaunchFailed
from services.supervision.lifecycle import Cause
from services.telling import MARK, kept, parts_of, told

WORDS = st.text(st.characters(codec="utf-8", exclude_characters="{}\r"))


def test_a_failure_is_told_in_the_language_of_the_reader() -> None:
    last = why_it_failed(Instance(), Cause.CRASH, -9, ["one", "", "二"])
    error = why_it_is_given_up(3, last, restarts=True)
    assert told(error) == (
        "It failed 3 times in a row and is not started again. The last time: "
        "It was killed by signal 9 (SIGKILL).\nThe last lines of its log:\none\n二"
    )
    with translation.override("zh-hans"):
        assert told(error) == (
            "已连续失败 3 次，不再重新启动。最后一次：其进程被信号 9 (SIGKILL) 终止。\n"
            "其日志的最后几行：\none\n二"
        )


def test_a_log_that_can_not_be_read_or_is_empty_is_not_introduced() -> None:
    unread = Said("Its log can't be read: {reason}.", {"reason": "x"})
    for lines, more in (([unread], "\nIts log can't be read: x."), ([""], ""), ([], "")):
        told_of = told(why_it_failed(Instance(), Cause.CRASH, 7, lines))
        assert told_of == f"Its process ended by itself with status 7.{more}"


@pytest.mark.parametrize("cause", list(Cause))
@pytest.mark.parametrize("exit_code", [None, 0, 7, -15, -9999])
@pytest.mark.parametrize("memory_mb", [None, 99.6])
def test_every_end_has_a_sentence_in_both_languages(
    cause: Cause, exit_code: int | None, memory_mb: float | None
) -> None:
    error = why_it_failed(Instance(memory_mb=memory_mb), cause, exit_code, [])
    with translation.override("zh-hans"):
        chinese = told(error)
    assert chinese != told(error)
    assert "{" not in chinese + told(error)


def test_what_an_agent_file_is_told_stands_as_it_is() -> None:
    said = "line 1 of agent.py: '{x}' is no tool\n  File …"
    assert told(why_it_failed(Instance(error=said), Cause.CONFIGURATION, 78, ["log"])) == said


def test_a_launch_that_failed_says_why_in_the_language_of_the_reader() -> None:
    failed = LaunchFailed("The process could not be started: {reason}.", reason=OSError("x"))
    error = kept(failed.sentence)
    assert told(error) == "The process could not be started: x."
    with translation.override("zh-hans"):
        assert told(error) == "无法启动进程：x。"


@given(st.lists(WORDS | st.builds(Said, WORDS, st.just({}))), st.integers(-(2**63), 2**63))
def test_what_is_kept_is_told_whole(parts: list[str | Said], count: int) -> None:
    text = kept(*parts, Said("{count}", {"count": count}))
    plain = "".join(part if isinstance(part, str) else part.template for part in parts)
    assert told(text) == plain + str(count)
    assert kept(*parts_of(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        MARK,
        f"{MARK}{{",
        f"{MARK}7",
        f'{MARK}[["{{unknown}}", {{}}]]',
        f'{MARK}[["{{}}", {{}}]]',
        f'{MARK}[["{{a.b.c}}", {{"a": 1}}]]',
        f'{MARK}[["{{a!z:}}", {{"a": 1}}]]',
        f'{MARK}[["{{a:99999999999999999999}}", {{"a": 1}}]]',
        f'{MARK}[["{{a:c}}", {{"a": 10000000000}}]]',
        f'{MARK}[["It is {{n}}", {{}}], [1], "cut of',
        f'{MARK}[["", {{}}], null, [1, 2], {{}}]',
    ],
)
def test_what_another_version_kept_breaks_nothing(text: str) -> None:
    assert MARK not in told(text)


def test_a_template_that_was_stored_is_data() -> None:
    for template in ("{a.__class__}", "{a[0]}", "{a!r}", "{a:1000000}", "{", "{{a}", "{}"):
        assert told(f'{MARK}[["{template} {{a}}", {{"a": 1}}]]') == (
            template.replace("{a}", "1") + " 1"
        )


@pytest.mark.parametrize("value", ["null", "[1]", '{"a": 1}'])
def test_a_place_without_a_plain_value_stays_as_it_is_written(value: str) -> None:
    text = f'{MARK}[["It was killed by signal {{signal}}.", {{"signal": {value}}}]]'
    assert told(text) == "It was killed by signal {signal}."


@pytest.mark.parametrize("text", ["", "Its process ended.\n{x}: 50%", "{", '[["It is", {}]]'])
def test_what_was_stored_as_plain_text_is_told_as_it_stands(text: str) -> None:
    with translation.override("zh-hans"):
        assert told(text) == text


def test_a_text_that_begins_as_what_is_kept_does_stays_as_it_is() -> None:
    said = f'{MARK}[["It did not answer in time.", {{}}]]'
    assert told(kept(said)) == said


@pytest.mark.parametrize("value", [2**64, -(2**100), float("nan"), float("inf"), True, None, "{a}"])
def test_every_value_can_be_kept(value: object) -> None:
    assert told(kept(Said("{a}", {"a": value}))) == str(value)


def test_a_half_character_can_be_kept() -> None:
    assert told(kept(TOO_LATE, " \ud800")) == "It did not answer in time. \N{REPLACEMENT CHARACTER}"
