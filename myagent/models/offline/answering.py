"""What the demo model says, in English or Chinese."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from myagent import exact_json
from myagent.models.offline.parameters import Parameter
from myagent.models.offline.study import Tool
from myagent.models.offline.words import has_chinese

Language = Literal["en", "zh"]

MAX_LISTED = 20
_ERROR = re.compile(
    r"(?:The user [^\n]*\n)*(?:error|failed|错误|失败|出错了?)[:：]\s*", re.IGNORECASE
)
"""How a tool message starts when the tool failed; what a person said of the call may precede."""

_DEMO = {
    "en": "(Offline demo model – set OPENAI_API_KEY for a real one.)",
    "zh": "（离线演示模型——设置 OPENAI_API_KEY 即可使用真正的模型。）",
}


@dataclass(frozen=True, slots=True)
class Result:
    """What a tool call gave back. `args`: the values it was called with."""

    tool: str
    args: dict[str, Any]
    content: str


def language_of(text: str) -> Language:
    return "zh" if has_chinese(text) else "en"


def signed(text: str, language: Language) -> str:
    """Every answer says that it is a demo's."""
    return f"{text}\n\n{_DEMO[language]}"


def from_results(results: Sequence[Result], language: Language) -> str:
    if len(results) == 1:
        return _one(results[0], language)
    return "\n".join(f"- {_one(result, language, indent='  ')}" for result in results)


def _one(result: Result, language: Language, indent: str = "") -> str:
    content = result.content.strip()
    if match := _ERROR.match(content):
        reason = content[match.end() :] or content
        if language == "zh":
            return f"工具 {result.tool} 没能完成{_about(result, language)}：{reason}"
        return f"{result.tool} could not do that{_about(result, language)}: {reason}"
    if not content:
        nothing = "没有返回内容。" if language == "zh" else "came back with nothing to say."
        return f"{result.tool}{'' if language == 'zh' else ' '}{nothing}"
    shown = readable(content, language)
    if "\n" in shown:
        heading = f"{result.tool}{_about(result, language)}"
        shown = f"{heading}{'：' if language == 'zh' else ':'}\n{shown}"
    return shown.replace("\n", f"\n{indent}")


def _about(result: Result, language: Language) -> str:
    values = [str(v) for v in result.args.values() if isinstance(v, str | int | float)]
    told = ", ".join(value for value in values if len(value) <= 40)
    if not told:
        return ""
    return f"（{told}）" if language == "zh" else f" ({told})"


def readable(content: str, language: Language) -> str:
    """JSON as lines of `key: value`; any other text as it is."""
    if content[:1] not in "{[":
        return content
    try:
        data = exact_json.loads(content)
    except ValueError:
        return content
    return "\n".join(_lines(data, language, depth=0)) or content


def _lines(data: Any, language: Language, depth: int) -> list[str]:
    pad = "  " * depth
    colon = "：" if language == "zh" else ": "
    lines: list[str] = []
    if isinstance(data, dict) and depth < 4:
        for key, value in data.items():
            name = key.replace("_", " ")
            if isinstance(value, dict | list) and value and not _is_flat(value):
                lines += [f"{pad}{name}{colon.rstrip()}", *_lines(value, language, depth + 1)]
            else:
                lines.append(f"{pad}{name}{colon}{_scalar(value, language)}")
    elif isinstance(data, list) and depth < 4 and not _is_flat(data):
        for item in data:
            nested = _lines(item, language, depth + 1)
            lines.append(f"{pad}- {nested[0].strip()}" if nested else f"{pad}-")
            lines += nested[1:]
    else:
        lines.append(f"{pad}{_scalar(data, language)}")
    return lines


def _is_flat(value: Any) -> bool:
    return isinstance(value, list) and not any(isinstance(item, dict | list) for item in value)


def _scalar(value: Any, language: Language) -> str:
    if isinstance(value, bool):
        words = ("是", "否") if language == "zh" else ("yes", "no")
        return words[0] if value else words[1]
    if value is None:
        return "无" if language == "zh" else "none"
    if _is_flat(value):
        return ("、" if language == "zh" else ", ").join(_scalar(one, language) for one in value)
    return value if isinstance(value, str) else exact_json.dumps(value)


def asking_for(tool: Tool, missing: Sequence[Parameter], language: Language) -> str:
    names = [_named(parameter) for parameter in missing]
    if language == "zh":
        return f"我可以用 {tool.name}，但还需要知道：{'、'.join(names)}。请告诉我。"
    return (
        f"I can use {tool.name} for that, but I need to know: {', '.join(names)}. Please tell me."
    )


def _named(parameter: Parameter) -> str:
    choices = ", ".join(map(str, parameter.values[:8]))
    told = (
        parameter.name
        if parameter.title == parameter.name
        else (f"{parameter.name} – {parameter.title}")
    )
    return f"{told} ({choices})" if choices else told


def nothing_fits(tools: Sequence[Tool], language: Language) -> str:
    if not tools:
        if language == "zh":
            return "我是一个离线演示模型，没有可用的工具，所以回答不了这个问题。"
        return "I am an offline demo model, and I have no tools here, so I can't answer that."
    listed = [f"- {tool.name}{_summary(tool, language)}" for tool in tools[:MAX_LISTED]]
    if language == "zh":
        heading = "我只会使用工具来回答问题，没有找到适合这个问题的工具。我能用的有："
    else:
        heading = "I answer with the help of tools, and none of them fits that. What I can use:"
    if len(tools) > MAX_LISTED:
        listed.append("- …")
    return "\n".join([heading, *listed])


def _summary(tool: Tool, language: Language) -> str:
    lines = tool.description.strip().splitlines()
    if not lines:
        return ""
    first = lines[0] if len(lines[0]) <= 160 else f"{lines[0][:159]}…"
    return f"{'：' if language == 'zh' else ': '}{first}"


def pieces(text: str) -> list[str]:
    """The text in the portions in which it is streamed: a few words each, at most about 80."""
    size = max(12, -(-len(text) // 80))
    found: list[str] = []
    at = 0
    while at < len(text):
        end = min(at + size, len(text))
        while end < len(text) and end - at < 2 * size and text[end - 1].isascii():
            if text[end - 1].isspace():
                break
            end += 1
        found.append(text[at:end])
        at = end
    return found
