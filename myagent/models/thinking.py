"""Splits text that starts with thinking between tags, while it is streamed. No I/O."""

from __future__ import annotations

import re
from typing import Literal

TAGS = ("think", "thinking", "thought")
_OPENING = tuple(f"<{tag}>" for tag in TAGS)
_OPENING_ANYWHERE = re.compile(r"<(?:think|thinking|thought)>", re.IGNORECASE)
_CLOSING = re.compile(r"</(?:think|thinking|thought)>", re.IGNORECASE)
_CLOSINGS = tuple(f"</{tag}>" for tag in TAGS)
_LONGEST = max(map(len, _CLOSINGS))

_QUOTES = ("`", '"', "'", "“", "‘")
"""A quotation mark before a tag means that the text is about the tag."""

_FENCE = "```"

State = Literal["start", "thinking", "text", "plain"]


class ThinkingSplitter:
    """Separates a reply's thinking from its text, wherever the pieces are cut.

    Thinking is at the start of the text, between `<think>` and `</think>`. Some servers leave the
    first tag out: then text before the second tag turns out to be thinking, and `takes_back` says
    so. With `begins_inside` the first tag is assumed to be left out.
    """

    def __init__(self, *, begins_inside: bool = False) -> None:
        self.takes_back = False
        """Whether the text returned before the last piece was thinking after all."""
        self.is_untagged = False
        """Whether the first tag was left out."""
        self._state: State = "start"
        self._assumes = begins_inside
        self._held = ""
        self._text: list[str] = []
        self._thinking: list[str] = []

    @property
    def thinking(self) -> str:
        """All thinking so far."""
        return "".join(self._thinking).strip()

    def end_search(self) -> None:
        """Stops looking for untagged thinking: the server sends it in a field of its own."""
        self._assumes = False
        if self._state == "text":
            self._state = "plain"

    def feed(self, piece: str) -> str:
        """The text in the piece, and in what was held back before it."""
        self.takes_back = False
        if self._state == "plain" and not self._held:
            return piece
        if self._state == "text" and not self._held and "<" not in piece:
            self._text.append(piece)
            return piece
        self._held += piece
        return self._advance()

    def close(self) -> str:
        """The text that was held back: nothing follows it."""
        self.takes_back = False
        held, self._held = self._held, ""
        if self._state != "thinking":
            return held if not self._thinking else held.lstrip()
        self._thinking.append(held)
        if not self._assumes:
            return ""
        # There was no tag, hence no thinking.
        text = "".join(self._thinking)
        self._thinking.clear()
        return text

    def _advance(self) -> str:
        told = ""
        while True:
            before = self._state
            match self._state:
                case "start":
                    self._open()
                case "thinking":
                    self._think()
                case "text":
                    told += self._watch()
                case "plain":
                    told, self._held = told + self._held, ""
            if self._state == before:
                return told

    def _open(self) -> None:
        """At the start: thinking, text, or not decided yet."""
        begin = self._held.lstrip().lower()
        tag = next((each for each in _OPENING if begin.startswith(each)), None)
        if tag is not None:
            self._held = self._held.lstrip()[len(tag) :]
            self._state, self._assumes = "thinking", False
        elif begin and not any(each.startswith(begin) for each in _OPENING):
            self._state = "thinking" if self._assumes else "text"
            if self._thinking:
                self._held, self._state = self._held.lstrip(), "plain"

    def _think(self) -> None:
        if (tag := _CLOSING.search(self._held)) is not None:
            self._thinking += [self._held[: tag.start()], "\n"]
            self._held, self._state = self._held[tag.end() :], "start"
            self.is_untagged |= self._assumes
            self._assumes = False
            return
        self._thinking.append(self._released())

    def _watch(self) -> str:
        """In the text: a closing tag without an opening one may still come, once."""
        tag = _CLOSING.search(self._held)
        if tag is None:
            told = self._released()
            self._text.append(told)
            return told
        before = "".join(self._text) + self._held[: tag.start()]
        if _is_spoken_of(before) or _has_opening(before):
            self._state = "plain"
            return ""
        self.takes_back, self.is_untagged = True, True
        self._thinking += [before, "\n"]
        self._held, self._state = self._held[tag.end() :], "start"
        return ""

    def _released(self) -> str:
        """The text that was held back, except an end that may be the start of a closing tag."""
        at = self._held.rfind("<", -_LONGEST)
        end = self._held[at:].lower() if at >= 0 else ""
        if not any(tag.startswith(end) for tag in _CLOSINGS):
            end = ""
        cut = len(self._held) - len(end)
        released, self._held = self._held[:cut], self._held[cut:]
        return released


def _is_spoken_of(before: str) -> bool:
    """Whether a tag after this text is only mentioned, and does not end the thinking."""
    return before.endswith(_QUOTES) or before.count(_FENCE) % 2 == 1


def _has_opening(before: str) -> bool:
    """Whether a tag after this text has its own opening tag in the text, so that both are text."""
    return any(
        not before.endswith(_QUOTES, 0, tag.start()) for tag in _OPENING_ANYWHERE.finditer(before)
    )
