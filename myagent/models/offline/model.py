"""The offline demo model: no key, no network, always the same reply to the same messages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import pairwise

from myagent import exact_json
from myagent.messages import ChatMessage, ToolCall
from myagent.models.base import Completion, ToolSpec, Usage
from myagent.models.offline.answering import (
    Result,
    asking_for,
    from_results,
    language_of,
    nothing_fits,
    pieces,
    signed,
)
from myagent.models.offline.planning import AskFor, Call, Calls, Exchange, plan
from myagent.models.offline.study import study

MAX_EARLIER = 8
"""Earlier questions that a follow-up may refer to."""


class OfflineModel:
    """A ChatModel for trying an agent out before there is a key.

    It calls the tools whose words fit the question, with values found in the
    question, and answers with what they return. It never raises, keeps nothing
    between calls, and every answer says that it is a demo's.
    """

    async def stream(
        self, messages: Sequence[ChatMessage], tools: Sequence[ToolSpec]
    ) -> AsyncIterator[str | Completion]:
        reply = compose(messages, tools)
        for piece in pieces(reply.content):
            yield piece
        yield Completion(
            text=reply.content,
            tool_calls=reply.tool_calls,
            usage=Usage(sum(message.tokens for message in messages), reply.tokens),
        )


@dataclass(frozen=True, slots=True)
class Conversation:
    """The messages as the demo model reads them."""

    question: str
    results: tuple[Result, ...]
    earlier: tuple[Exchange, ...]
    last_call_id: str


def compose(messages: Sequence[ChatMessage], tools: Sequence[ToolSpec]) -> ChatMessage:
    """The reply: tool calls, or an answer in the language of the question."""
    talk = read(messages)
    language = language_of(talk.question)
    if talk.results:
        return ChatMessage("assistant", signed(from_results(talk.results, language), language))
    known = [study(spec) for spec in tools]
    match plan(talk.question, talk.earlier, known):
        case Calls(calls):
            return ChatMessage("assistant", tool_calls=_as_calls(calls, talk, len(messages)))
        case AskFor(tool, missing):
            text = asking_for(tool, missing, language)
        case _:
            text = nothing_fits(known, language)
    return ChatMessage("assistant", signed(text, language))


def _as_calls(calls: Sequence[Call], talk: Conversation, length: int) -> tuple[ToolCall, ...]:
    """Ids are chained to what came before, so that a session does not see one twice."""
    chain = f"{length}\n{talk.last_call_id}\n{talk.question}"
    seed = blake2b(chain.encode(errors="replace"), digest_size=8).hexdigest()
    return tuple(
        ToolCall(f"call_{seed}_{number}", call.tool, exact_json.dumps(call.args))
        for number, call in enumerate(calls, start=1)
    )


def read(messages: Sequence[ChatMessage]) -> Conversation:
    """Splits the messages at what people said; the loop's own instructions are no questions."""
    asked = [
        at
        for at, message in enumerate(messages)
        if message.role == "user" and not message.is_instruction
    ]
    if not asked:
        return Conversation("", _results(messages), (), "")
    bounds = [*asked[-MAX_EARLIER - 1 :], len(messages)]
    earlier = tuple(
        Exchange(
            messages[start].content,
            tuple(Call(result.tool, result.args) for result in _results(messages[start:end])),
        )
        for start, end in pairwise(bounds[:-1])
    )
    ids = (call.id for message in reversed(messages) for call in reversed(message.tool_calls))
    question = messages[asked[-1]].content
    return Conversation(question, _results(messages[asked[-1] :]), earlier, next(ids, ""))


def _results(messages: Sequence[ChatMessage]) -> tuple[Result, ...]:
    calls = {call.id: call for message in messages for call in message.tool_calls}
    found = []
    for message in messages:
        call = calls.get(message.tool_call_id or "") if message.role == "tool" else None
        if message.role == "tool":
            name = call.name if call else "tool"
            found.append(Result(name, _arguments(call), message.content))
    return tuple(found)


def _arguments(call: ToolCall | None) -> dict[str, object]:
    try:
        args = exact_json.loads(call.arguments) if call else {}
    except ValueError:
        return {}
    return args if isinstance(args, dict) else {}
