"""A conversation as people read it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from agents.archive.transcript import Voice, line_of
from agents.log import kinds
from agents.log.entry import Entry, Logged, RunRef
from myagent.messages import ChatMessage
from myagent.models.base import Usage
from myagent.protocol import ErrorCode
from myagent.steps import Answer, Thought, ToolFinished, ToolStarted

RUN = RunRef("run", "message")
NO_ANSWER: ErrorCode = "model_error"
RESULT = ChatMessage("tool", "42", tool_call_id="s")


def read(entry: Entry) -> tuple[Voice, str, str] | None:
    logged = Logged("s", 7, entry.event, entry.step_id, datetime.now(UTC), entry.payload)
    line = line_of(logged)
    assert line is None or (line.seq, line.at) == (7, logged.created_at)
    return None if line is None else (line.voice, line.name, line.text)


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        (kinds.user_message("hi\nthere", RUN, 0), (Voice.USER, "", "hi\nthere")),
        (
            kinds.user_response({"approved": True}, "s", RUN),
            (Voice.USER, "", '{"approved":true}'),
        ),
        (
            kinds.tool_call(ToolStarted("s", "add", {"n": 10**30}), RUN, "en"),
            (Voice.TOOL, "add", f'{{"n":{10**30}}}'),
        ),
        (
            kinds.tool_result(ToolFinished("s", "add", "success", "42", 1, RESULT), RUN),
            (Voice.TOOL, "add", "42"),
        ),
        (
            kinds.final_answer(Answer("yes", 1, Usage(1, 1)), RUN, 1),
            (Voice.AGENT, "", "yes"),
        ),
        (kinds.user_feedback("too long", RUN, -1, "user:1"), (Voice.USER, "", "[-1] too long")),
        (kinds.user_feedback(None, RUN, 0.5, ""), (Voice.USER, "", "[+0.5]")),
        (kinds.user_feedback(None, RUN, None, ""), None),
        (
            kinds.error(RUN, NO_ANSWER, "It failed.", is_retryable=True),
            (Voice.SERVER, "", "It failed."),
        ),
        (kinds.user_cancel("run"), None),
        (
            kinds.thinking(Thought(1, "", ChatMessage("assistant", "yes"), Usage(1, 1), 5), RUN),
            None,
        ),
        (
            kinds.thinking(Thought(1, "hm", ChatMessage("assistant", "yes"), Usage(1, 1), 5), RUN),
            (Voice.AGENT, "", "hm"),
        ),
    ],
)
def test_each_entry_has_a_voice_and_what_it_says(
    entry: Entry, line: tuple[Voice, str, str] | None
) -> None:
    assert read(entry) == line
