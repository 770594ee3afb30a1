"""Turns a conversation into the strictest form, which all servers accept. No I/O.

The history is kept unchanged; what some servers would refuse is corrected in the request: names and
arguments of calls, the order of roles, and the reasoning of other models.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

from myagent import fast_json
from myagent.messages import NAMELESS, TOOL_NAME, ChatMessage, ToolCall
from myagent.models.base import ToolSpec
from myagent.models.surrogates import replace_lone_surrogates

_COUNTED = re.compile(r":\d+$")
_NAMESPACE = re.compile(r"(functions?|tools?|default_api)[.:/]+")
"""What models prepend that is no part of any name."""

_NO_PART_OF_A_NAME = re.compile(r"[^A-Za-z0-9_-]+")
_PARTING = "\n\n"


def strict(messages: Sequence[ChatMessage]) -> Sequence[ChatMessage]:
    """The messages in an order that every server accepts.

    System messages are merged into one, at the start; consecutive messages of the same role are
    merged. An instruction is appended to the user's message, or to the system message if it would
    otherwise follow a tool's result or an answer.
    """
    if _is_strict(messages):
        return messages
    system = [each.content for each in messages if each.role == "system"]
    said: list[ChatMessage] = []
    for message in messages:
        if message.role == "system":
            continue
        last = said[-1] if said else None
        if last is not None and _is_one_with(message, last):
            said[-1] = replace(message, content=last.content + _PARTING + message.content)
        elif message.is_instruction and last is not None:
            system.append(message.content)
        else:
            said.append(message)
    return [*([ChatMessage("system", _PARTING.join(system))] if system else []), *said]


def _is_strict(messages: Sequence[ChatMessage]) -> bool:
    before = ""
    for message in messages:
        role = message.role
        if role == before != "tool" or message.is_instruction or (role == "system" and before):
            return False
        before = role
    return True


def _is_one_with(message: ChatMessage, last: ChatMessage) -> bool:
    is_said = message.role == last.role and message.role in ("user", "assistant")
    return is_said and not last.tool_calls


def encoded(messages: Sequence[ChatMessage], names: Collection[str], origin: str) -> bytes:
    """The messages as JSON, separated by commas; `names` are the names of the tools.

    `origin` is the server and model that the request is for: see `Reasoning`.
    """
    return b",".join([_message_json(message, names, origin) for message in strict(messages)])


def _message_json(message: ChatMessage, names: Collection[str], origin: str) -> bytes:
    try:
        if message.reasoning is None and message.has_legal_calls:
            return message.wire_json
        return fast_json.dumps(_mended(message, names, origin))
    except TypeError:
        # A lone surrogate, for example from the name of a file, can't be sent.
        return replace_lone_surrogates(json.dumps(_mended(message, names, origin)).encode())


def _mended(message: ChatMessage, names: Collection[str], origin: str) -> dict[str, Any]:
    calls = tuple(legal(call, names) for call in message.tool_calls)
    data = replace(message, tool_calls=calls).wire()
    reasoning = message.reasoning
    if reasoning is not None and reasoning.origin == origin:
        data.update(reasoning.fields)
        for call, extra in zip(data.get("tool_calls", ()), reasoning.calls, strict=False):
            call.update(extra)
    return data


def legal(call: ToolCall, names: Collection[str]) -> ToolCall:
    """The call in a form that every server accepts in a history.

    Its result tells the model what was wrong with it.
    """
    if call.is_legal:
        return call
    arguments = call.arguments if call.has_object else "{}"
    return ToolCall(call.id, legal_name(call.name, names), arguments)


def legal_name(name: str, names: Collection[str]) -> str:
    """The tool that is certainly meant, or else the name with illegal characters replaced."""
    if TOOL_NAME.fullmatch(name):
        return name
    plain = _COUNTED.sub("", re.split(r"<\|", name.strip(), maxsplit=1)[0].strip())
    readings = [plain, _replaced(plain), *reversed(_NO_PART_OF_A_NAME.split(plain))]
    known = next((each for each in readings if each in names), None)
    return known or _fallback(plain)


def _fallback(plain: str) -> str:
    """The legal name that is nearest to one that belongs to no tool."""
    own = _NAMESPACE.sub("", plain, count=1) if _NAMESPACE.match(plain) else plain
    return _replaced(own)[:64] or NAMELESS


def _replaced(name: str) -> str:
    return _NO_PART_OF_A_NAME.sub("_", name).strip("_")


def called(messages: Iterable[ChatMessage]) -> list[ToolSpec]:
    """The tools that the messages call, for a request that offers none."""
    found = {legal_name(call.name, ()): None for message in messages for call in message.tool_calls}
    return [ToolSpec(name, "", {"type": "object", "properties": {}}) for name in found]
