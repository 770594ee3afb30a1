from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from myagent import asking
from myagent.asking import ask
from myagent.messages import Reasoning
from myagent.models.base import Completion, ModelError, TakenBack, Usage
from myagent.steps import StepStarted, TextDelta
from myagent.testing import ScriptedModel, Streamed
from tests.myagent.runs import HELLO, one, only

BROKEN = ModelError("The connection was lost.", is_retryable=True)


@pytest.fixture(autouse=True)
def _without_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "RETRY_DELAYS_S", (0, 0))


async def pieces_of(model, into: list | None = None) -> list:
    pieces = [] if into is None else into
    async with aclosing(ask(model, HELLO, (), 1)) as stream:
        async for piece in stream:
            pieces.append(piece)
    return pieces


async def test_text_comes_in_pieces_and_the_completion_last() -> None:
    pieces = await pieces_of(ScriptedModel([Streamed(("Hel", "", "lo"))]))
    assert pieces == [
        StepStarted(1), TextDelta(1, "Hel"), TextDelta(1, "lo"), Completion("Hello"),
    ]  # fmt: skip


async def test_an_answer_that_broke_off_is_asked_for_again() -> None:
    model = ScriptedModel([Streamed(("Hel",), error=BROKEN), Streamed(("He",), error=BROKEN), "Hi"])
    pieces = await pieces_of(model)
    assert len(only(StepStarted, pieces)) == 3
    assert one(Completion, pieces).text == "Hi"


async def test_after_two_repeats_the_error_is_let_out() -> None:
    model = ScriptedModel([Streamed(("Hel",), error=BROKEN)] * 4)
    with pytest.raises(ModelError, match="connection was lost"):
        await pieces_of(model)
    assert len(model.requests) == 3


@pytest.mark.parametrize(
    "reply",
    [BROKEN, Streamed(("Hel",), error=ModelError("No.", is_retryable=False))],
    ids=["before any text", "not retryable"],
)
async def test_other_errors_are_let_out_at_once(reply) -> None:
    model = ScriptedModel([reply, "Hi"])
    with pytest.raises(ModelError):
        await pieces_of(model)
    assert len(model.requests) == 1


async def test_an_error_that_nobody_has_repeated_is_asked_again_before_any_text() -> None:
    silent = ModelError("It stopped.", is_retryable=True, may_ask_again=True)
    model = ScriptedModel([silent, "Hi"])
    pieces = await pieces_of(model)
    assert [type(piece) for piece in pieces] == [StepStarted, StepStarted, TextDelta, Completion]


async def test_text_that_is_taken_back_begins_the_step_anew() -> None:
    class Thinking:
        async def stream(self, messages, tools) -> AsyncIterator[str | TakenBack | Completion]:
            yield "Hm"
            yield TakenBack()
            yield "Hi"
            yield Completion("Hi", reasoning="Hm")

    assert await pieces_of(Thinking()) == [
        StepStarted(1), TextDelta(1, "Hm"), StepStarted(1), TextDelta(1, "Hi"),
        Completion("Hi", reasoning="Hm"),
    ]  # fmt: skip


async def test_what_a_model_says_besides_reaches_the_loop() -> None:
    whole = Completion("Hi", cut="length", kept=Reasoning("here", {"reasoning": "hm"}))
    assert one(Completion, await pieces_of(ScriptedModel([whole]))) == whole


async def test_an_empty_reply_is_asked_for_once_more_and_both_are_counted() -> None:
    model = ScriptedModel(
        [Completion(usage=Usage(5, 0)), Completion("Hi", usage=Usage(5, 1)), "never"]
    )
    pieces = await pieces_of(model)
    assert len(only(StepStarted, pieces)) == 2
    assert one(Completion, pieces) == Completion("Hi", usage=Usage(10, 1))


@pytest.mark.parametrize("empty", ["", " \n", Completion(reasoning="hm")])
async def test_a_second_empty_reply_is_given_as_it_is(empty) -> None:
    model = ScriptedModel([empty, empty, "never"])
    completion = one(Completion, await pieces_of(model))
    assert asking.is_empty(completion)
    assert len(model.requests) == 2


async def test_a_reply_without_pieces_is_shown_all_the_same() -> None:
    class Silent:
        async def stream(self, messages, tools) -> AsyncIterator[Completion]:
            yield Completion("Hi")

    assert TextDelta(1, "Hi") in await pieces_of(Silent())


async def test_a_stream_without_an_end_broke_off() -> None:
    class Endless:
        async def stream(self, messages, tools) -> AsyncIterator[str]:
            yield "Hel"

    pieces: list = []
    with pytest.raises(ModelError, match="broke off") as caught:
        await pieces_of(Endless(), pieces)
    assert caught.value.is_retryable
    assert len(only(StepStarted, pieces)) == 3


async def test_what_else_a_model_raises_becomes_a_plain_model_error() -> None:
    with pytest.raises(ModelError) as caught:
        await pieces_of(ScriptedModel([KeyError("secret")]))
    assert "secret" not in str(caught.value)
    assert isinstance(caught.value.__cause__, KeyError)


async def test_a_model_whose_stream_is_a_plain_iterator_works() -> None:
    class Plain:
        def stream(self, messages, tools) -> Plain:
            self.rest = iter(["Hi", Completion("Hi")])
            return self

        def __aiter__(self) -> Plain:
            return self

        async def __anext__(self):
            for piece in self.rest:
                return piece
            raise StopAsyncIteration

    assert one(Completion, await pieces_of(Plain())).text == "Hi"


async def test_closing_closes_the_models_stream() -> None:
    closed = []

    class Model:
        async def stream(self, messages, tools) -> AsyncIterator[str]:
            try:
                yield "Hel"
                yield "lo"
            finally:
                closed.append(True)

    async with aclosing(ask(Model(), HELLO, (), 1)) as stream:
        await anext(stream)
        await anext(stream)
    assert closed == [True]


async def test_text_that_is_no_utf8_is_mended() -> None:
    pieces = await pieces_of(ScriptedModel([Completion("a\ud800", reasoning="\udfff")]))
    assert one(TextDelta, pieces).text == "a�"
    assert one(Completion, pieces) == Completion("a�", reasoning="�")
