"""A question, and the numbers, names and texts in it that may be arguments of a tool."""

from __future__ import annotations

import re
from collections.abc import Iterable, Set
from typing import Any

from myagent.models.offline.words import CJK, CJK_RUN, SENSE_ZH, STOP_WORDS, STOP_ZH, terms

Span = tuple[int, int]
Value = tuple[Any, Span]
"""A value, and where it begins and ends in the text."""

_QUOTED = re.compile(r"(?<!\w)'([^'\n]+)'(?!\w)|\"([^\"\n]+)\"|“([^“”\n]+)”|「([^「」\n]+)」")
_ANNOUNCING = re.compile(r"\b(?:saying|says)\b|内容[是为]|说|：|:\s", re.IGNORECASE)
_WORD = re.compile(rf"[^\W_{CJK}]+(?:[.@_-]+[^\W_{CJK}]+)*")
_NAME = re.compile(rf"{_WORD.pattern}(?: {_WORD.pattern})*|[{CJK}]+")
_CAPITALS = re.compile(r"[A-Z]\S*(?:\s(?:\S+\s)*[A-Z]\S*)?")
# Chinese writes no blanks around numbers, as in 前10条.
_NUMBER = re.compile(
    rf"(?<![^\W{CJK}])(?<![.)-])[-+]?\d{{1,40}}(?:,\d{{3}})*(?:\.\d{{1,20}})?"
    rf"(?![^\W{CJK}]|[-./:,]\d)"
)
_JOINT = re.compile(r"[\s\"'“”,，、&]*(?:(?:and|or)\b[\s\"'“”]*)?|[和与跟及或]")
# Only between longer words: 和 alone may be part of a name.
_JOINT_ZH = re.compile(rf"(?<=[{CJK}]{{2}})[和与跟及或从由到至给向](?=[{CJK}]{{2}})")
_EDGES_ZH = "了吗呢吧啊呀哦嘛我你您他她请在查看问找给从到把将用以对为向帮那这和与跟及或有是去要想让"
# 用 is an edge, but not where 用户 begins.
_START_ZH = re.compile(f"(?:(?!用户)[{_EDGES_ZH}])*")
_PAIR_ZH = re.compile(rf"(?=([{CJK}]{{2}}))")
_TEXT_START = re.compile(r"^(?:[\s,.:;，。：；、]|(?:a|an|for|me|of|please|that|the|to)\s)*", re.I)
_SMALL_ENDS = frozenset({"for", "in", "into", "of", "please", "to", "with"})
_MARKS = frozenset(",.!?:;，。！？：；、")
_STOP, _OWN, _TAKEN = "\0", "\1", "\2"


class Question:
    """A text whose parts are used for at most one value each.

    A tool's `own` terms are not values.
    """

    def __init__(self, text: str, own: Set[str]) -> None:
        def mark(match: re.Match[str]) -> str:
            word, said = match.group(), terms(match.group())
            is_stop = match.re in (_JOINT_ZH, STOP_ZH) or word.casefold() in STOP_WORDS
            mark = _OWN if said and said <= own else _STOP if is_stop else ""
            return mark * len(word) or word

        self.text = self._left = text
        for pair in _PAIR_ZH.finditer(text):
            if pair[1] in own:
                self.take(pair.span(1), _OWN)
        for pattern in (_JOINT_ZH, SENSE_ZH, STOP_ZH, _WORD):
            self._left = pattern.sub(mark, self._left)

    def take(self, span: Span, mark: str = _TAKEN) -> None:
        """Marks a part of the text as used, so that it is not found again."""
        self._left = self._left[: span[0]] + mark * (span[1] - span[0]) + self._left[span[1] :]

    def _values(self, spans: Iterable[Span]) -> list[Value]:
        """The parts of the text that are not used yet."""
        left = (span for span in spans if _TAKEN not in self._left[slice(*span)])
        return [(self.text[slice(*span)], span) for span in left]

    def find(self, phrase: str) -> Span | None:
        """Where a phrase is found: as it is, in the plural, or with blanks for underscores."""
        words = re.escape(phrase).replace("_", r"[\s_-]*") or "(?!)"
        bounded = rf"(?<![A-Za-z\d]){words}s?(?![A-Za-z\d])" if phrase.isascii() else words
        found = re.finditer(bounded, self.text, re.IGNORECASE)
        return next((span for _, span in self._values(match.span() for match in found)), None)

    def numbers(self) -> list[Value]:
        found = self._values(match.span() for match in _NUMBER.finditer(self.text))
        plain = [(said.replace(",", ""), span) for said, span in found]
        return [(float(said) if "." in said else int(said), span) for said, span in plain]

    def quoted(self) -> list[Value]:
        found = _QUOTED.finditer(self.text)
        return self._values(match.span(match.lastindex or 0) for match in found)

    def names(self) -> list[Value]:
        """Quoted words, and words in a row: from the first to the last capitalised one, if any.

        Quoted and capitalised ones come first. A single Chinese character is none, as in 3 本 and
        users 表.
        """
        spans = [span for _, span in self.quoted()]
        for name in _NAME.finditer(self._left):
            start, end = (_CAPITALS.search(self.text, *name.span()) or name).span()
            if edge := _START_ZH.match(name.group()):
                start += edge.end()
            end -= len(name.group()) - len(name.group().rstrip(_EDGES_ZH))
            is_counter = end - start == 1 and CJK_RUN.fullmatch(self.text, start, end)
            if start < end and not is_counter and not any(a <= start < b for a, b in spans):
                spans.append((start, end))
        return self._values(sorted(spans, key=self._doubt))

    def _doubt(self, name: Span) -> tuple[bool, Span]:
        is_quoted = self.text[name[0] - 1 : name[0]] in ("'", '"', "“", "「")
        return not (is_quoted or self.text[name[0]].isupper()), name

    def group(self) -> list[Value]:
        """The likeliest name, and those that commas or 'and' join to it, in their order."""
        groups: list[list[Span]] = []
        for _, name in sorted(self.names(), key=lambda one: one[1]):
            if groups and _JOINT.fullmatch(self.text, groups[-1][-1][1], name[0]):
                groups[-1].append(name)
            else:
                groups.append([name])
        return self._values(min(groups, key=lambda one: min(map(self._doubt, one)), default=[]))

    def announced(self) -> list[Value]:
        """The text that is quoted, or announced as in `saying …` and `note: …`."""
        mark = _ANNOUNCING.search(self.text)
        return self.quoted()[-1:] or (self._text_from(mark.end()) if mark else [])

    def rest(self) -> list[Value]:
        """The text after the words that ask for the tool: `search [what is love]?`"""
        lead = re.split(r"\w", self._left, maxsplit=1)[0]
        return self._text_from(max(lead.rfind(_OWN), lead.rfind(_TAKEN)) + 1)

    def _text_from(self, start: int) -> list[Value]:
        """The text up to the next used part, without punctuation and small words at its edges."""
        end = (self._left + _TAKEN).index(_TAKEN, start)
        start = end - len(_TEXT_START.sub("", self.text[start:end]))
        text = _without_end(self.text[start:end])
        return [(text, (start, start + len(text)))] if text else []


def _without_end(text: str) -> str:
    """The text without punctuation and small words at its end.

    No regular expression: one that searches for an end begins again at every blank before it.
    """
    while True:
        end = len(text)
        while end and (text[end - 1].isspace() or text[end - 1] in _MARKS):
            end -= 1
        text = text[:end]
        before, *last = text.rsplit(None, 1)[:2] or [""]
        if not last or last[0].casefold() not in _SMALL_ENDS:
            return text
        text = before
