"""The chat dialect as a translation: the log and its partial text in, three shapes out."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from agents.log import kinds
from agents.log.entry import Entry, Logged, RunRef
from agents.sockets.chat.step_text import StepText
from agents.sockets.chat.translation import Translation
from myagent.messages import ChatMessage, ToolCall
from myagent.models.base import Usage
from myagent.protocol.chat import ServerFrame
from myagent.steps import (
    Answer,
    ConfirmationAsked,
    Thought,
    ToolFinished,
    ToolStarted,
    ToolStatus,
)
from myagent.worker.protocol import AgentInfo
from tests.chat_screen import Frame, Screen, Turn

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
EMOJI = "北京👩‍👩‍👧‍👦🏳️‍🌈e\u0301𝔘"


class Conversation:
    """A log as a server writes it, and a reader to whom it is told as it happens."""

    def __init__(self) -> None:
        self.log: list[Logged] = []
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.reader = Translation("en")
        self.frames: list[Frame] = []
        self.write(kinds.session_created("en", AgentInfo("agent"), "service", "c"))

    @property
    def screen(self) -> Screen:
        return Screen.of(self.frames)

    @property
    def turn(self) -> Turn:
        """The only turn, which has ended."""
        (turn,) = self.screen.turns
        assert turn.completed is not None
        return turn

    def write(self, *written: Entry) -> None:
        for entry in written:
            self.now += timedelta(milliseconds=10)
            seq = len(self.log) + 1
            logged = Logged("s", seq, entry.event, entry.step_id, self.now, entry.payload)
            self.log.append(logged)
            self.tell(self.reader.entry(logged))

    def tell(self, frames: Iterable[ServerFrame]) -> None:
        self.frames += [json.loads(frame.frame) for frame in frames]

    def ask(self, run_id: str = "r", position: int = 0) -> RunRef:
        run = RunRef(run_id, run_id)
        self.write(kinds.user_message("question", run, position))
        return run

    def start_step(self, step: int) -> None:
        self.tell(self.reader.step_started(step))

    def text(self, offset: int, text: str, *, step: int = 1, run_id: str = "r") -> None:
        self.tell(self.reader.text(run_id, step, offset, text))

    def think(self, run: RunRef, step: int, text: str = "", *calls: str) -> None:
        wanted = tuple(ToolCall(f"{name}-{step}", name, "{}") for name in calls)
        message = ChatMessage("assistant", text, wanted)
        self.write(kinds.thinking(Thought(step, "", message, Usage(), 1), run))

    def call(self, run: RunRef, name: str, step: int = 1) -> None:
        self.write(kinds.tool_call(ToolStarted(f"{name}-{step}", name, {"a": 1}), run, "en"))

    def result(self, run: RunRef, name: str, step: int = 1, status: ToolStatus = "success") -> None:
        message = ChatMessage("tool", "ok", tool_call_id=f"{name}-{step}")
        finished = ToolFinished(f"{name}-{step}", name, status, "ok", 1, message)
        self.write(kinds.tool_result(finished, run))

    def answer(self, run: RunRef, text: str, step: int = 1) -> None:
        self.think(run, step)
        self.write(kinds.final_answer(Answer(text, step, Usage()), run, 77))

    def interrupt(self, run: RunRef) -> None:
        self.write(kinds.interrupted(run, "en", []))

    def reread(self, done_seq: int, *, start: int = 0) -> Screen:
        """What a reader sees who comes back, having the turns up to `done_seq`."""
        reader = Translation("en", done_seq, is_return=True)
        frames = [frame for logged in self.log[start:] for frame in reader.entry(logged)]
        return Screen.of(json.loads(frame.frame) for frame in frames)


def statuses(frames: Iterable[Frame]) -> list[str]:
    return [frame.get("status", frame["type"]) for frame in frames]


# A turn.


def test_a_turn_is_thinking_text_a_final_chunk_and_completed() -> None:
    talk = Conversation()
    run = talk.ask()
    talk.start_step(1)
    talk.text(0, "Hel")
    talk.text(3, "lo")
    talk.answer(run, "Hello")
    assert statuses(talk.frames) == ["thinking", "chunk", "chunk", "chunk", "completed"]
    assert talk.frames[0]["data"] == {
        "message": "Analysing your question…",
        "session_id": "s",
        "query": "question",
    }
    assert talk.frames[-2] == {"type": "chunk", "content": "", "is_final": True}
    assert talk.turn.text == "Hello"
    assert talk.turn.completed == {
        "session_id": "s",
        "duration_ms": 77,
        "status": "answered",
        "seq": len(talk.log),
    }


def test_nothing_is_said_before_a_question() -> None:
    assert Conversation().frames == []


def test_an_answer_that_was_not_streamed_comes_in_the_final_chunk() -> None:
    talk = Conversation()
    talk.answer(talk.ask(), "All of it")
    assert statuses(talk.frames) == ["thinking", "chunk", "completed"]
    assert talk.turn.text == "All of it"


def test_tools_come_in_pairs_and_what_was_said_before_them_stays() -> None:
    talk = Conversation()
    run = talk.ask()
    talk.start_step(1)
    talk.text(0, "Let me look")
    talk.think(run, 1, "Let me look.", "a", "b")
    talk.call(run, "a")
    talk.call(run, "b")
    talk.result(run, "a")
    talk.result(run, "b", status="error")
    talk.start_step(2)
    talk.text(0, "Found", step=2)
    talk.answer(run, "Found it", step=2)
    assert talk.turn.tools == [("a", "success"), ("b", "error")]
    assert talk.turn.said == ["Let me look.", ""]
    assert talk.turn.text == "Found it"
    assert talk.frames[3]["data"] == {"tool": "a", "args": {"a": 1}, "step_id": "a-1"}


def test_a_declined_tool_is_a_pair_too_and_calls_nothing_before() -> None:
    talk = Conversation()
    run = talk.ask()
    talk.think(run, 1, "", "order")
    asked = ConfirmationAsked("order-1", "order", {"item": "tea"}, 300)
    talk.write(kinds.user_confirm(asked, run, "en", 300))
    assert statuses(talk.frames) == ["thinking", "thinking"]
    assert talk.frames[-1]["data"]["waiting_for"] == "confirmation"
    assert talk.frames[-1]["data"]["message"] == "May order be run?"
    talk.result(run, "order", status="declined")
    talk.answer(run, "No tea", step=2)
    assert talk.turn.tools == [("order", "declined")]
    assert talk.frames[2]["data"]["args"] == {"item": "tea"}


def test_a_tool_that_runs_again_after_a_crash_is_one_pair() -> None:
    talk = Conversation()
    run = talk.ask()
    talk.think(run, 1, "", "look")
    talk.call(run, "look")
    talk.call(run, "look")
    talk.result(run, "look")
    talk.answer(run, "ok", step=2)
    assert talk.turn.tools == [("look", "success")]


def test_an_error_ends_a_turn_with_its_sentence() -> None:
    talk = Conversation()
    run = talk.ask()
    talk.text(0, "Half an ans")
    talk.write(kinds.error(run, "model_error", "The model is away.", is_retryable=True))
    assert statuses(talk.frames) == ["thinking", "chunk", "error", "chunk", "completed"]
    assert talk.turn.errors == ["The model is away."]
    assert talk.turn.text == "Half an ans"
    assert talk.turn.completed and talk.turn.completed["status"] == "failed"


def test_a_time_out_ends_a_turn_with_its_sentence() -> None:
    talk = Conversation()
    talk.write(kinds.timed_out(talk.ask(), "en", 600, []))
    assert len(talk.turn.errors) == 1
    assert talk.turn.completed and talk.turn.completed["status"] == "timed_out"


def test_a_stopped_answer_is_no_error_and_tells_how_long_it_took() -> None:
    talk = Conversation()
    talk.interrupt(talk.ask())
    assert statuses(talk.frames) == ["thinking", "chunk", "completed"]
    assert talk.turn.completed and talk.turn.completed["status"] == "interrupted"
    assert talk.turn.completed["duration_ms"] == 10


# Steps that start again.


def test_a_step_that_is_asked_for_again_drops_its_text() -> None:
    talk = Conversation()
    run = talk.ask()
    talk.start_step(1)
    talk.text(0, "Wrong w")
    talk.start_step(1)
    assert talk.frames[-1]["data"]["reset"] is True
    talk.text(0, "Right")
    talk.answer(run, "Right way")
    assert talk.turn.text == "Right way"


def test_a_step_that_starts_again_before_any_text_drops_nothing() -> None:
    talk = Conversation()
    talk.ask()
    talk.start_step(1)
    talk.start_step(1)
    assert statuses(talk.frames) == ["thinking"]


def test_text_that_goes_another_way_drops_what_was_said() -> None:
    talk = Conversation()
    run = talk.ask()
    talk.text(0, "The sky is green")
    talk.text(0, "The sky")
    assert statuses(talk.frames) == ["thinking", "chunk"], "it may still become the same"
    talk.text(7, " is blue")
    talk.answer(run, "The sky is blue.")
    assert talk.turn.text == "The sky is blue."
    assert [frame["data"].get("reset") for frame in talk.frames if "data" in frame][:2] == [
        None,
        True,
    ]


def test_a_preview_without_a_text_of_its_step_is_taken_back_before_the_tool() -> None:
    talk = Conversation()
    run = talk.ask()
    talk.text(0, "Never m")
    talk.think(run, 1, "", "look")
    talk.call(run, "look")
    talk.result(run, "look")
    talk.answer(run, "ok", step=2)
    assert talk.turn.said == [""]


# Queues.


def test_turns_come_one_after_the_other() -> None:
    talk = Conversation()
    first = talk.ask("r1")
    second = talk.ask("r2", position=1)
    talk.text(0, "one", run_id="r1")
    talk.answer(first, "one")
    talk.start_step(1)
    talk.text(0, "two", run_id="r2")
    talk.answer(second, "two")
    assert [turn.text for turn in talk.screen.turns] == ["one", "two"]


def test_a_message_that_goes_ahead_has_its_turn_first() -> None:
    talk = Conversation()
    current = talk.ask("r1")
    late = talk.ask("r2", position=1)
    urgent = talk.ask("r3", position=1)
    talk.interrupt(current)
    talk.answer(urgent, "urgent")
    talk.answer(late, "late")
    assert [turn.text for turn in talk.screen.turns] == ["", "urgent", "late"]


def test_a_message_cancelled_in_the_queue_ends_when_its_turn_comes() -> None:
    talk = Conversation()
    first = talk.ask("r1")
    second = talk.ask("r2", position=1)
    third = talk.ask("r3", position=2)
    talk.interrupt(second)
    talk.answer(first, "one")
    talk.answer(third, "three")
    assert [turn.text for turn in talk.screen.turns] == ["one", "", "three"]
    statuses = [turn.completed and turn.completed["status"] for turn in talk.screen.turns]
    assert statuses == ["answered", "interrupted", "answered"]
    seqs = [turn.completed["seq"] for turn in talk.screen.turns if turn.completed]
    assert seqs == sorted(seqs)


# Coming back.


def test_who_comes_back_is_told_the_turn_again_and_to_drop_its_part() -> None:
    talk = Conversation()
    talk.answer(talk.ask("r1"), "one")
    done = len(talk.log)
    second = talk.ask("r2")
    talk.think(second, 1, "", "look")
    talk.call(second, "look")
    talk.result(second, "look")
    talk.answer(second, "two", step=2)
    reader = Translation("en", done, is_return=True)
    frames = [json.loads(frame.frame) for logged in talk.log for frame in reader.entry(logged)]
    assert frames[0]["data"]["reset"] is True
    assert frames[0]["data"]["resumed"] is True
    (turn,) = Screen.of(frames).turns
    assert (turn.text, turn.tools) == ("two", [("look", "success")])


def test_who_comes_back_has_the_messages_that_waited_then() -> None:
    talk = Conversation()
    first = talk.ask("r1")
    gone = talk.ask("r2", position=1)
    third = talk.ask("r3", position=2)
    talk.interrupt(gone)
    talk.answer(first, "one")
    done = len(talk.log)
    talk.answer(third, "three")
    assert [turn.text for turn in talk.reread(done).turns] == ["three"]
    assert [turn.text for turn in talk.reread(done, start=3).turns] == ["three"]


def test_a_turn_whose_message_was_not_shown_is_told_all_the_same() -> None:
    reader = Translation("en")
    talk = Conversation()
    run = talk.ask()
    talk.think(run, 1, "", "look")
    talk.call(run, "look")
    talk.result(run, "look")
    talk.answer(run, "ok", step=2)
    frames = [frame for logged in talk.log[3:] for frame in reader.entry(logged)]
    (turn,) = Screen.of(json.loads(frame.frame) for frame in frames).turns
    assert turn.text == "ok"


# Whatever happens to the preview, the answer is whole.


@st.composite
def previews(draw: st.DrawFn) -> tuple[str, list[tuple[int, str]]]:
    """A text, and pieces of it as they may reach a socket: cut, joined, repeated, lost."""
    text = draw(st.one_of(TEXTS, st.integers(1, 40).map(lambda n: EMOJI * n)))
    pieces = []
    at = 0
    while at < len(text):
        end = draw(st.integers(at + 1, len(text)))
        match draw(st.sampled_from(["sent", "sent", "lost", "from the start", "again"])):
            case "sent":
                pieces.append((at, text[at:end]))
            case "from the start":
                pieces.append((0, text[:end]))
            case "again":
                pieces += [(at, text[at:end]), (at, text[at:end])]
        at = end
    return text, pieces


@given(st.lists(previews(), min_size=1, max_size=4), st.booleans())
def test_the_chunks_are_the_answer_whatever_becomes_of_the_preview(
    attempts: list[tuple[str, list[tuple[int, str]]]], is_announced: bool
) -> None:
    """The last attempt is the one that counts; the others broke off and may not be announced."""
    talk = Conversation()
    run = talk.ask()
    for _, pieces in attempts:
        if is_announced:
            talk.start_step(1)
        for offset, piece in pieces:
            talk.text(offset, piece)
    talk.answer(run, attempts[-1][0])
    assert talk.turn.text == attempts[-1][0]


@given(previews())
def test_nothing_is_said_twice(preview: tuple[str, list[tuple[int, str]]]) -> None:
    text, pieces = preview
    talk = Conversation()
    run = talk.ask()
    for offset, piece in pieces:
        talk.text(offset, piece)
    talk.answer(run, text)
    chunks = [frame["content"] for frame in talk.frames if frame["type"] == "chunk"]
    assert "".join(chunks) == text, "without any reset"


@given(st.text(max_size=30), st.lists(st.tuples(st.integers(0, 30), st.text(max_size=9))))
def test_a_step_settles_on_its_text_whatever_came_before(
    whole: str, pieces: list[tuple[int, str]]
) -> None:
    told, screen = StepText(), ""
    for change in [*(told.take(*piece) for piece in pieces), told.settle(whole)]:
        screen = ("" if change.is_reset else screen) + change.text
    assert screen == whole
