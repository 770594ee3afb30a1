"""The offline demo model: no key, no network, always the same reply to the same messages."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from hashlib import blake2b
from itertools import takewhile
from textwrap import shorten

from myagent import exact_json
from myagent.messages import ChatMessage, ToolCall
from myagent.models.base import OFFLINE, Completion, ToolSpec, Usage
from myagent.models.offline.filling import Form
from myagent.models.offline.tools import Tool, rank
from myagent.models.offline.words import CJK_RUN

MAX_PIECES = 80
MAX_READ = 2000
"""Characters of a question that are read; more is beyond a demo."""

_SENTENCES = {
    "en": {
        "failed": "{tool} could not do that: {reason}",
        "done": "{tool} is done.",
        "ask": "I can use {tool} for that, but I need to know: {names}. Please tell me.",
        "tools": "I answer with the help of tools, and none of them fits that. What I can use:",
        "no_tools": "I am an offline demo model, and I have no tools here, so I can't answer that.",
    },
    "zh": {
        "failed": "工具 {tool} 没能完成：{reason}",
        "done": "{tool} 已完成。",
        "ask": "我可以用 {tool}，但还需要知道：{names}。请告诉我。",
        "tools": "我只会使用工具来回答问题，没有找到适合这个问题的工具。我能用的有：",
        "no_tools": "我是一个离线演示模型，没有可用的工具，所以回答不了这个问题。",
    },
}
_ERROR = re.compile(r"(?:The user [^\n]*\n)*Error: ")
"""The start of the message of a failed call; a person's comment on the call may precede it."""
_FOLLOW_UP = re.compile(r"\s*(?:and|also|(?:what|how) about)\b|\s*(?:那|还有)|.*呢\s*[?？]?$", re.I)


class OfflineModel:
    """A ChatModel for trying out an agent before there is a key.

    It calls the tool whose words match the question, with values found in the question, asks for
    missing ones, and answers with what the tool returns. It never raises and keeps nothing between
    calls.
    """

    model = OFFLINE

    async def stream(
        self, messages: Sequence[ChatMessage], tools: Sequence[ToolSpec]
    ) -> AsyncIterator[str | Completion]:
        reply = compose(messages, tools)
        size = max(12, len(reply.content) // MAX_PIECES + 1)
        for at in range(0, len(reply.content), size):
            yield reply.content[at : at + size]
        usage = Usage(sum(message.tokens for message in messages), reply.tokens)
        yield Completion(text=reply.content, tool_calls=reply.tool_calls, usage=usage)


def compose(messages: Sequence[ChatMessage], specs: Sequence[ToolSpec]) -> ChatMessage:
    """The reply: tool calls, or an answer in the language of the question."""
    at = max((at for at, message in enumerate(messages) if _is_said(message)), default=0)
    before, now = messages[:at], messages[at:]
    question = "".join(message.content for message in now[:1] if _is_said(message))
    language = "zh" if CJK_RUN.search(question) else "en"
    if any(message.role == "tool" for message in now):
        return ChatMessage("assistant", _tell(now, language))
    tools = [Tool(spec) for spec in specs]
    form = _choose(question[:MAX_READ], before, tools)
    if form is None:
        return ChatMessage("assistant", _list_tools(tools, language))
    if not form.calls:
        return ChatMessage("assistant", _ask_for(form, language))
    # Ids are derived from the question and earlier calls, so that they are unique in a session.
    called = [call.id for message in before for call in message.tool_calls]
    seed = blake2b(f"{called}{question}".encode(errors="replace"), digest_size=8).hexdigest()
    calls = (
        ToolCall(f"call_{seed}_{number}", form.tool.name, exact_json.dumps(args))
        for number, args in enumerate(form.calls, start=1)
    )
    return ChatMessage("assistant", tool_calls=tuple(calls))


def _choose(question: str, before: Sequence[ChatMessage], tools: Sequence[Tool]) -> Form | None:
    """The tool that is asked for, with its arguments as far as the question contains them.

    It may continue from messages that led to no call, or from the last one, as with 'and …?'.
    """
    said = [message.content for message in before if _is_said(message)]
    since = takewhile(lambda message: message.role != "tool", reversed(before))
    pending = sum(map(_is_said, since)) or int(bool(_FOLLOW_UP.match(question)))
    earlier = "\n".join(said[len(said) - pending :])[-MAX_READ:]
    named, meant = rank(question, tools)[:1], rank(earlier, tools)[:1]
    form = next((Form(tool, question) for tool in named or meant), None)
    if form and not form.calls and meant == [form.tool] and (named or form.args):
        form = Form(form.tool, f"{earlier}\n{question}")
    return form if form and (named or form.args) else None


def _is_said(message: ChatMessage) -> bool:
    """The loop's own instructions are no questions."""
    return message.role == "user" and not message.is_instruction


def _tell(turn: Sequence[ChatMessage], language: str) -> str:
    """The results of a turn's calls as an answer."""
    names = {call.id: call.name for message in turn for call in message.tool_calls}
    results = (
        (m.content, names.get(m.tool_call_id or "", "tool")) for m in turn if m.role == "tool"
    )
    told = [_told(content, tool, language) for content, tool in results]
    return told[0] if len(told) == 1 else "\n".join(f"- {one}" for one in told)


def _told(content: str, tool: str, language: str) -> str:
    """Text as it is; a JSON object as one `key: value` per line."""
    if error := _ERROR.match(content):
        return _SENTENCES[language]["failed"].format(tool=tool, reason=content[error.end() :])
    try:
        value = exact_json.loads(content) if content.startswith("{") else {}
        items = [(k, v if isinstance(v, str) else exact_json.dumps(v)) for k, v in value.items()]
    except (ValueError, RecursionError):
        return content  # not JSON after all, or nested too deeply to be written again
    told = "\n".join(f"{key}: {text}" for key, text in items) or content
    return told.strip() or _SENTENCES[language]["done"].format(tool=tool)


def _ask_for(form: Form, language: str) -> str:
    """Asks for what is missing, with the choices or the description of each."""
    names = []
    for parameter in form.missing or form.tool.parameters:
        hint = ", ".join(map(str, parameter.choices)) or parameter.description
        names.append(f"{parameter.name} ({shorten(hint, 160)})" if hint else parameter.name)
    return _SENTENCES[language]["ask"].format(tool=form.tool.name, names=", ".join(names))


def _list_tools(tools: Sequence[Tool], language: str) -> str:
    """The answer if no tool matches."""
    lines = [shorten(f"- {tool.name}: {tool.description}", 160) for tool in tools]
    return "\n".join([_SENTENCES[language]["tools" if tools else "no_tools"], *lines])
