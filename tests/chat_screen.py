"""A front end of the chat dialect, as small as they come: what its reader has on the screen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

Frame = dict[str, Any]


@dataclass
class Turn:
    """`text` is what came after the last tool, `said` what came before it."""

    text: str = ""
    said: list[str] = field(default_factory=list)
    tools: list[tuple[str, str]] = field(default_factory=list)
    open_tools: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    is_final: bool = False
    completed: dict[str, Any] | None = None


class Screen:
    """Holds every frame to the order that the dialect promises."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.errors: list[str] = []

    @classmethod
    def of(cls, frames: Iterable[Frame]) -> Screen:
        screen = cls()
        for frame in frames:
            screen.show(frame)
        return screen

    @property
    def current(self) -> Turn | None:
        return self.turns[-1] if self.turns and self.turns[-1].completed is None else None

    def show(self, frame: Frame) -> None:
        match frame:
            case {"type": "chunk", "content": str(text), "is_final": bool(is_final), **rest}:
                assert not rest
                turn = self._open()
                assert not turn.is_final, "one chunk is the final one, and it is the last"
                turn.text += text
                turn.is_final = is_final
            case {"type": "error", "content": str(sentence), **rest}:
                assert not rest and sentence
                (self.current.errors if self.current else self.errors).append(sentence)
            case {"type": "status", "status": str(status), "data": dict(data), **rest}:
                assert not rest
                self._show_status(status, data)
            case _:
                raise AssertionError(f"not one of the three shapes: {frame}")

    def _show_status(self, status: str, data: dict[str, Any]) -> None:
        if status == "thinking":
            assert data["message"] and data["session_id"]
            if self.current is None:
                self.turns.append(Turn())
            else:
                assert data.get("reset") or data.get("waiting_for"), "said once a turn"
            if data.get("reset"):
                self._open().text = ""
            return
        turn = self._open()
        if status == "tool_calling":
            assert isinstance(data["args"], dict)
            turn.open_tools.append(data["step_id"])
        elif status == "tool_completed":
            turn.open_tools.remove(data["step_id"])
            turn.tools.append((data["tool"], data["status"]))
            turn.said.append(turn.text)
            turn.text = ""
        else:
            assert status == "completed"
            assert turn.is_final and not turn.open_tools
            assert isinstance(data["duration_ms"], int) and data["session_id"] and data["seq"]
            turn.completed = data

    def _open(self) -> Turn:
        assert self.current is not None, "a turn begins with 'thinking'"
        return self.current
