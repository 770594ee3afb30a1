"""A conversation as people read it: who said or did what, entry by entry. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from agents.log.entry import Logged
from myagent import exact_json


class Voice(StrEnum):
    USER = "user"
    AGENT = "agent"
    TOOL = "tool"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class Line:
    """`name`: the tool's; else ''. `text` is foreign: whoever shows it makes it harmless."""

    seq: int
    at: datetime
    voice: Voice
    name: str
    text: str


def line_of(logged: Logged) -> Line | None:
    """None for entries without anything to read."""
    data = exact_json.loads(logged.payload)
    content, metadata = data["content"], data["metadata"]
    voice, text = Voice.SERVER, _text_of(content)
    match logged.event:
        case "user.message" | "user.response":
            voice = Voice.USER
        case "user.feedback":
            score = metadata["score"]
            voice, text = Voice.USER, "" if score is None else f"[{score:+.3g}] {text}".rstrip()
        case "agent.thinking":
            voice, text = Voice.AGENT, metadata.get("text") or text
        case "agent.final_answer":
            voice = Voice.AGENT
        case "agent.tool_call" | "agent.user_confirm":
            voice, text = Voice.TOOL, _text_of(metadata.get("args"))
        case "agent.tool_result":
            voice = Voice.TOOL
        case "user.cancel":
            return None
    name = str(metadata.get("tool", "")) if voice is Voice.TOOL else ""
    if not text and voice is not Voice.TOOL:
        return None
    return Line(logged.seq, logged.created_at, voice, name, text)


def _text_of(content: Any) -> str:
    if content is None:
        return ""
    return content if isinstance(content, str) else exact_json.dumps(content)
