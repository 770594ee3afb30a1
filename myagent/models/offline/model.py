"""The offline demo model: no key, no network, always the same reply to the same messages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from hashlib import blake2b
from itertools import takewhile

from myagent import exact_json
from myagent.messages import ChatMessage, ToolCall
from myagent.models.base import Completion, ToolSpec, Usage
from myagent.models.offline.answering import asking_for, from_results, nothing_fits, say
from myagent.models.offline.planning import AskFor, Call, plan
from myagent.models.offline.tools import study
from myagent.models.offline.words import CJK_RUN

MAX_PIECES = 80


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
        size = max(12, len(reply.content) // MAX_PIECES + 1)
        for at in range(0, len(reply.content), size):
            yield reply.content[at : at + size]
        usage = Usage(sum(message.tokens for message in messages), reply.tokens)
        yield Completion(text=reply.content, tool_calls=reply.tool_calls, usage=usage)


def compose(messages: Sequence[ChatMessage], tools: Sequence[ToolSpec]) -> ChatMessage:
    """The reply: tool calls, or an answer in the language of the question."""
    at = max((at for at, message in enumerate(messages) if _is_said(message)), default=0)
    question = "".join(message.content for message in messages[at : at + 1] if _is_said(message))
    language = "zh" if CJK_RUN.search(question) else "en"
    if results := _results(messages[at:]):
        text = from_results(results, language)
    else:
        known = [study(spec) for spec in tools]
        wishes = [call for message in messages[:at] for call in message.tool_calls][-1:]
        last = [Call(wish.name, _arguments(wish)) for wish in wishes]
        match plan(question, _pending(messages[:at]), last[0] if last else None, known):
            case None:
                text = nothing_fits(known, language)
            case AskFor(tool, missing):
                text = asking_for(tool, missing, language)
            case calls:
                return ChatMessage("assistant", tool_calls=_wishes(calls, f"{wishes}\n{question}"))
    return ChatMessage("assistant", say(language, "signed", text=text))


def _is_said(message: ChatMessage) -> bool:
    """The loop's own instructions are no questions."""
    return message.role == "user" and not message.is_instruction


def _results(messages: Sequence[ChatMessage]) -> list[tuple[str, str]]:
    names = {call.id: call.name for message in messages for call in message.tool_calls}
    found = (message for message in messages if message.role == "tool")
    return [(names.get(message.tool_call_id or "", "tool"), message.content) for message in found]


def _pending(messages: Sequence[ChatMessage]) -> str:
    """What was said since the last call."""
    since = takewhile(lambda message: message.role != "tool", reversed(messages))
    return "\n".join([message.content for message in since if _is_said(message)][::-1])


def _arguments(call: ToolCall) -> dict[str, object]:
    try:
        args = exact_json.loads(call.arguments)
    except ValueError:
        return {}  # another model wrote them
    return args if isinstance(args, dict) else {}


def _wishes(calls: Sequence[Call], reason: str) -> tuple[ToolCall, ...]:
    """Ids come from the question and the call before, so that a session sees none twice."""
    seed = blake2b(reason.encode(errors="replace"), digest_size=8).hexdigest()
    return tuple(
        ToolCall(f"call_{seed}_{number}", call.tool, exact_json.dumps(call.args))
        for number, call in enumerate(calls, start=1)
    )
