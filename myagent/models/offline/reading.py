"""One question while values are taken from it: which characters are whose."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from myagent.models.offline.lexicon import EDGE_CHARS_ZH, PARTICLES_ZH, PREPOSITIONS, TIME_WORDS
from myagent.models.offline.study import Tool
from myagent.models.offline.values import QUOTED
from myagent.models.offline.words import (
    CJK,
    CJK_RUN,
    STOP_ZH,
    is_stop_word,
    meaning_of,
    meaning_spans_zh,
    name_words,
    stem,
)

TOKEN = re.compile(rf"[{CJK}]+|[A-Za-z\u00c0-\u024f0-9_]+(?:['’.-][A-Za-z\u00c0-\u024f0-9_]+)*")
TIME = re.compile("|".join(map(re.escape, TIME_WORDS)), re.IGNORECASE)
_GLUE = re.compile(r"[\s-]*")
_AND = r"(?:and|or|vs\.?|versus|plus|as well as|和|与|跟|及|以及|还有|或|或者)"
_JOINT = re.compile(
    rf"\s*(?:[,，、&/+]\s*{_AND}?|{_AND})\s*(?:also\s+)?(?:(?:for|in|of|about|to)\s+)?(?:the\s+)?",
    re.IGNORECASE,
)
# A lone 和 or 到 can be part of a name; between longer words it joins them.
_SPLIT_ZH = re.compile(rf"的|以及|还有|(?<=[{CJK}]{{2}})[和与跟及或](?=[{CJK}]{{2}})")
_ROLE_SPLIT_ZH = re.compile(
    rf"{_SPLIT_ZH.pattern}|(?<=[{CJK}]{{2}})[从由到至给向](?=[{CJK}]{{2}})|(?<=[换算译转改变])成"
)
_SENTENCE_START = re.compile(r"(?:^|[.!?\n])\s*$")
_CAPITAL_GLUE = frozenset(("of", "de", "del", "la", "le", "da", "do", "du", "van", "von", "the"))
_CLITIC = re.compile(r"['’](?:s|re|m|ll|d|ve|t)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring words that may be a value. `rank`: 0 is the likeliest kind."""

    text: str
    start: int
    end: int
    rank: int
    before: str = ""


@dataclass(slots=True)
class Token:
    text: str
    start: int
    end: int
    is_free: bool


class Reading:
    """A question read for one tool: hands each stretch of it to one parameter only."""

    def __init__(self, text: str, tool: Tool, others: Iterable[Tool] = ()) -> None:
        self.text = text
        self.tools = (tool, *others)
        self._taken = bytearray(len(text))
        has_roles = any(parameter.role for parameter in tool.parameters)
        self._split = _ROLE_SPLIT_ZH if has_roles else _SPLIT_ZH

    def take(self, start: int, end: int) -> None:
        self._taken[start:end] = b"\x01" * (end - start)

    def is_free(self, start: int, end: int) -> bool:
        return not any(self._taken[start:end])

    def is_own(self, word: str) -> bool:
        """Whether a word is the tool's, or means what one of the tool's words means."""
        folded = stem(word)
        sense = meaning_of(folded)
        parts = name_words(word)
        return any(
            folded in tool.own
            or (sense is not None and sense in tool.meanings)
            or (len(parts) > 1 and all(part in tool.own for part in parts))
            for tool in self.tools
        )

    def is_filler(self, word: str) -> bool:
        word = _CLITIC.sub("", word)
        return is_stop_word(word) or self.is_own(word)

    def tokens(self) -> list[Token]:
        found: list[Token] = []
        for match in TOKEN.finditer(self.text):
            if CJK_RUN.match(match.group()):
                found += self._chinese(match.start(), match.group())
            else:
                word, start = _CLITIC.sub("", match.group()), match.start()
                end = start + len(word)
                free = self.is_free(start, end) and not self.is_filler(word)
                found.append(Token(word, start, end, free))
        return found

    def _chinese(self, offset: int, run: str) -> list[Token]:
        """The stretches of a run of Chinese that are neither filler nor the tool's own words."""
        free = bytearray(b"\x01" * len(run))
        spans = [match.span() for match in STOP_ZH.finditer(run)]
        for tool in self.tools:
            spans += [(i, i + 2) for i in range(len(run) - 1) if run[i : i + 2] in tool.own]
            spans += meaning_spans_zh(run, frozenset(tool.meanings))
        spans += [match.span() for match in self._split.finditer(run)]
        for start, end in spans:
            free[start:end] = bytes(end - start)
        for i in range(len(run)):
            free[i] &= not self._taken[offset + i]
        found = [
            _trimmed(run[m.start() : m.end()], offset + m.start())
            for m in re.finditer(rb"\x01+", bytes(free))
        ]
        return [token for token in found if token.text]

    def quoted(self) -> list[Run]:
        found = []
        for match in QUOTED.finditer(self.text):
            index = match.lastindex or 0
            if self.is_free(*match.span(index)):
                found.append(Run(match.group(index), *match.span(index), rank=0))
        return found

    def runs(self) -> list[Run]:
        """What is left, in the order of the text: quoted, capitalised, announced, any other."""
        quoted = self.quoted()
        tokens = [
            token
            for token in self.tokens()
            if not any(q.start <= token.start < q.end for q in quoted)
        ]
        found = list(quoted)
        at = 0
        while at < len(tokens):
            if not tokens[at].is_free:
                at += 1
                continue
            end = self._run_end(tokens, at)
            before = tokens[at - 1].text.casefold() if at else ""
            found.append(self._run(tokens[at : end + 1], before))
            at = end + 1
        return sorted(found, key=lambda run: run.start)

    def _run_end(self, tokens: list[Token], at: int) -> int:
        """The index of the last token of the run that starts at `at`."""
        end = at
        while end + 1 < len(tokens) and not CJK_RUN.match(tokens[at].text):
            following = end + 1
            if (
                tokens[following].text.casefold() in _CAPITAL_GLUE
                and following + 1 < len(tokens)
                and tokens[end].text[:1].isupper()
                and tokens[following + 1].text[:1].isupper()
            ):
                following += 1
            gap = self.text[tokens[end].end : tokens[following].start]
            adjacent = following > end + 1 or _GLUE.fullmatch(gap)
            if not adjacent or not tokens[following].is_free:
                break
            if CJK_RUN.match(tokens[following].text) or not self._same_case(
                tokens[end], tokens[following]
            ):
                break
            end = following
        return end

    def _same_case(self, one: Token, other: Token) -> bool:
        return one.text[:1].isupper() == other.text[:1].isupper() or other.text[:1].isdigit()

    def _run(self, tokens: list[Token], before: str) -> Run:
        start, end = tokens[0].start, tokens[-1].end
        text = self.text[start:end]
        if CJK_RUN.match(text):
            before = self.text[max(start - 1, 0) : start]
        is_opening = len(tokens) == 1 and _SENTENCE_START.search(self.text[:start])
        if tokens[0].text[:1].isupper() and not is_opening:
            rank = 1
        elif before in PREPOSITIONS:
            rank = 2
        elif is_opening and tokens[0].text.isascii():
            rank = 4
        else:
            rank = 3 if len(text) > 1 else 4
        return Run(text, start, end, rank, before)

    def are_joined(self, one: Run, other: Run) -> bool:
        """Whether only 'and', a comma or the like stands between two runs."""
        gap = self.text[one.end : other.start].strip("\"“”‘’'「」《》`")
        return _JOINT.fullmatch(gap) is not None

    def pieces(self, run: Run) -> list[Run]:
        """The words of a run, one by one."""
        return [
            Run(match.group(), run.start + match.start(), run.start + match.end(), run.rank)
            for match in re.finditer(r"\S+", run.text)
        ]


def _trimmed(text: str, start: int) -> Token:
    """Cuts filler off both ends, but no word of two characters in half: 成都 ends in one."""
    first, last = 0, len(text)
    while first < last and text[first] in EDGE_CHARS_ZH:
        if last - first == 2 and text[first + 1] not in EDGE_CHARS_ZH:
            break
        first += 1
    while last > first and text[last - 1] in EDGE_CHARS_ZH:
        if last - first == 2 and text[last - 1] not in PARTICLES_ZH:
            break
        last -= 1
    return Token(text[first:last], start + first, start + last, is_free=True)
