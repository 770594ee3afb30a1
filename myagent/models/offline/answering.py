"""What the demo model says, in English or Chinese."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from myagent import exact_json
from myagent.models.offline.tools import Parameter, Tool

MAX_TOLD = 160
"""Characters of a description that are repeated."""

_SENTENCES = {
    "en": {
        "signed": "{text}\n\n(Offline demo model – set OPENAI_API_KEY for a real one.)",
        "failed": "{tool} could not do that: {reason}",
        "ask": "I can use {tool} for that, but I need to know: {names}. Please tell me.",
        "tools": "I answer with the help of tools, and none of them fits that. What I can use:",
        "no_tools": "I am an offline demo model, and I have no tools here, so I can't answer that.",
    },
    "zh": {
        "signed": "{text}\n\n（离线演示模型——设置 OPENAI_API_KEY 即可使用真正的模型。）",
        "failed": "工具 {tool} 没能完成：{reason}",
        "ask": "我可以用 {tool}，但还需要知道：{names}。请告诉我。",
        "tools": "我只会使用工具来回答问题，没有找到适合这个问题的工具。我能用的有：",
        "no_tools": "我是一个离线演示模型，没有可用的工具，所以回答不了这个问题。",
    },
}
_ERROR = re.compile(r"(?:The user [^\n]*\n)*Error: ")
"""How the message of a failed call begins; what a person said of the call may precede."""


def say(language: str, sentence: str, **values: str) -> str:
    return _SENTENCES[language][sentence].format(**values)


def from_results(results: Sequence[tuple[str, str]], language: str) -> str:
    """The results of calls, each a tool's name and the message about it, as an answer."""
    told = [_told(tool, content.strip(), language) for tool, content in results]
    return told[0] if len(told) == 1 else "\n".join(f"- {one}" for one in told)


def _told(tool: str, content: str, language: str) -> str:
    if error := _ERROR.match(content):
        return say(language, "failed", tool=tool, reason=content[error.end() :])
    try:
        return _as_text(exact_json.loads(content)) if content.startswith(("{", "[")) else content
    except (ValueError, RecursionError):
        return content  # not JSON after all, or nested too deeply to be written again


def _as_text(result: Any) -> str:
    """JSON as text: `key: value` a line, lists in a row."""
    match result:
        case dict():
            lines = (f"{key.replace('_', ' ')}: {_as_text(one)}" for key, one in result.items())
            return "\n".join(lines)
        case list():
            return ", ".join(map(_as_text, result))
        case str():
            return result
        case _:
            return exact_json.dumps(result)


def asking_for(tool: Tool, missing: Sequence[Parameter], language: str) -> str:
    names = []
    for parameter in missing:
        hint = ", ".join(map(str, parameter.choices)) or parameter.description
        names.append(f"{parameter.name} ({hint[:MAX_TOLD]})" if hint else parameter.name)
    return say(language, "ask", tool=tool.name, names=", ".join(names))


def nothing_fits(tools: Sequence[Tool], language: str) -> str:
    if not tools:
        return say(language, "no_tools")
    return "\n".join([say(language, "tools"), *map(_listed, tools)])


def _listed(tool: Tool) -> str:
    summary = tool.description.strip().partition("\n")[0][:MAX_TOLD]
    return f"- {tool.name}: {summary}" if summary else f"- {tool.name}"
