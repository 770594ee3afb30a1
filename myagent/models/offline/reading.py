"""A question while values are taken from it: which stretches of it are names, texts, numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Set
from itertools import islice

from myagent.models.offline.words import (
    CJK,
    CJK_RUN,
    EDGES_ZH,
    SENSE_ZH,
    STOP_WORDS,
    STOP_ZH,
    terms,
)

Span = tuple[int, int]

MAX_NAMES = 50
"""Names of a question that are looked at."""

QUOTED = re.compile(
    r"\"([^\"\n]+)\"|“([^”\n]+)”|「([^」\n]+)」|《([^》\n]+)》|(?<!\w)'([^'\n]+)'(?!\w)"
)
TEXT_MARK = re.compile(r"\b(?:saying|says)\b|内容[是为]|说|：|:\s", re.IGNORECASE)
"""What announces a text, which goes on to the end."""

_WORD = re.compile(rf"[^\W_{CJK}]+(?:[.@_-]+[^\W_{CJK}]+)*")
_NUMBER = re.compile(r"(?<![\w.)-])[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?!\w|[-./:,]\d)")
_COUNTS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_COUNT = re.compile(rf"\b(?:{'|'.join(_COUNTS)})\b", re.IGNORECASE)
_PREPOSITION = re.compile(r"\b(?:about|at|by|for|from|in|into|of|on|to|with)\s$", re.IGNORECASE)
_OPENING = re.compile(r"(?:^|[.!?\n])\s*$")
_CAPITALS = re.compile(r"[A-Z]\S*(?:\s(?:\S+\s)*[A-Z]\S*)?")
_JOINT = re.compile(
    r"[\s\"'“”]*[,，、&和与跟及]?\s*(?:\b(?:and|or)\b|以及|还有|或者?)?\s*(?:(?:in|of|for)\s)?[\s\"'“”]*",
    re.IGNORECASE,
)
# Between longer words only: 和 alone may be part of a name.
_JOINT_ZH = re.compile(rf"(?<=[{CJK}]{{2}})[和与跟及或从由到至给向](?=[{CJK}]{{2}})")
_TEXT_START = re.compile(r"(?:[\s,.:;，。：；、]|(?:a|an|for|me|of|please|that|the|to)\s)*", re.I)
_TEXT_END = re.compile(r"(?:\s+(?:for|in|into|of|please|to|with)|[\s,.!?:;，。！？：；、])+$", re.I)


class Reading:
    """`own` are the terms of the tools, which are no values; what is taken is not found again.

    Each character has a mark: `f` of a free word, `c` free Chinese, `s` of a
    stop word, `o` of an own one, `t` taken, ` ` a space, `.` anything else.
    """

    def __init__(self, text: str, own: Set[str]) -> None:
        self.text = text
        self._marks = re.sub("[^ ]", ".", text)
        for word in _WORD.finditer(text):
            is_own = bool(said := terms(word.group())) and said <= own
            is_stop = word.group().casefold() in STOP_WORDS
            self._mark("o" if is_own else "s" if is_stop else "f", *word.span())
        for run in CJK_RUN.finditer(text):
            self._mark_chinese(*run.span(), own)

    def _mark(self, mark: str, start: int, end: int) -> None:
        self._marks = self._marks[:start] + mark * (end - start) + self._marks[end:]

    def _mark_chinese(self, start: int, end: int, own: Set[str]) -> None:
        self._mark("c", start, end)
        for pattern in (STOP_ZH, _JOINT_ZH):
            for match in pattern.finditer(self.text, start, end):
                self._mark("s", *match.span())
        for match in SENSE_ZH.finditer(self.text, start, end):
            if terms(match.group()) <= own:
                self._mark("o", *match.span())
        for at in range(start, end - 1):
            if self.text[at : at + 2] in own:
                self._mark("o", at, at + 2)

    def take(self, start: int, end: int) -> None:
        self._mark("t", start, end)

    def is_free(self, start: int, end: int) -> bool:
        return "t" not in self._marks[start:end]

    def quoted(self) -> list[Span]:
        spans = (match.span(match.lastindex or 0) for match in QUOTED.finditer(self.text))
        return [span for span in spans if self.is_free(*span)]

    def numbers(self) -> list[tuple[float, Span]]:
        """Those in digits; where there are none, small ones in words."""
        found = [(_number(match.group()), match.span()) for match in _NUMBER.finditer(self.text)]
        for match in () if found else _COUNT.finditer(self.text):
            found.append((_COUNTS.index(match.group().casefold()) + 1, match.span()))
        return [(n, span) for n, span in found if math.isfinite(n) and self.is_free(*span)]

    def names(self) -> list[Span]:
        """Quoted ones, and free words in a row: from the first capital to the last, if any."""
        found = {*self.quoted()[:MAX_NAMES]}
        for run in islice(re.finditer("f+(?: f+)*|c+", self._marks), MAX_NAMES):
            start, end = run.span()
            if capitals := _CAPITALS.search(self.text, start, end):
                start, end = capitals.span()
            elif run.group().startswith("c"):
                start, end = self._without_edges(start, end)
            if start < end and not any(a <= start < b for a, b in found):
                found.add((start, end))
        return sorted(found)

    def _without_edges(self, start: int, end: int) -> Span:
        """Without small words at the edges, but for names of two characters, such as 成都."""
        while end - start > 2 and self.text[end - 1] in EDGES_ZH:
            end -= 1
        while end - start > 2 and self.text[start] in EDGES_ZH:
            start += 1
        is_name = end - start > 1 and not EDGES_ZH.issuperset(self.text[start:end])
        return (start, end) if is_name else (end, end)

    def rank(self, name: Span) -> int:
        """0: with a capital, or quoted; 1: after a preposition, or Chinese; 2: other; 3: opens."""
        first, before = self.text[name[0]], self.text[: name[0]]
        if first.isupper() or name in self.quoted():
            return 3 if first.isupper() and _OPENING.search(before) else 0
        return 1 if _PREPOSITION.search(before) or not first.isascii() else 2

    def group(self) -> list[Span]:
        """The likeliest name, and those that commas or 'and' join to it."""
        names = self.names()
        if not names:
            return []
        first = last = min(range(len(names)), key=lambda at: self.rank(names[at]))
        while first and self._are_joined(names[first - 1], names[first]):
            first -= 1
        while last + 1 < len(names) and self._are_joined(names[last], names[last + 1]):
            last += 1
        return names[first : last + 1]

    def _are_joined(self, one: Span, other: Span) -> bool:
        return _JOINT.fullmatch(self.text, one[1], other[0]) is not None

    def said_text(self) -> Span | None:
        """A text that is quoted, or announced as in `saying …` and `note: …`."""
        if quoted := self.quoted():
            return quoted[-1]
        mark = TEXT_MARK.search(self.text)
        return self._trimmed(mark.end()) if mark else None

    def rest(self) -> Span | None:
        """What follows the words that ask for the tool: `search [what is love]?`"""
        free = re.search("[fc]|$", self._marks)
        lead = self._marks[: free.start()] if free else ""
        return self._trimmed(max(lead.rfind(mark) for mark in "ot") + 1)

    def _trimmed(self, start: int) -> Span | None:
        """Up to what is taken, without punctuation and small words at the edges."""
        taken = self._marks.find("t", start)
        end = len(self.text) if taken < 0 else taken
        opening = _TEXT_START.match(self.text, start, end)
        start = opening.end() if opening else start
        end = start + len(_TEXT_END.sub("", self.text[start:end]))
        return (start, end) if start < end else None


def _number(text: str) -> float:
    plain = text.replace(",", "")
    return float(plain) if "." in plain else int(plain)
