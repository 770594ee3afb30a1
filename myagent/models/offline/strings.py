"""Strings without a name beside them: by preposition, as free text, or what is left."""

from __future__ import annotations

import re
from itertools import pairwise

from myagent.models.offline.blanks import MAX_VARIANTS, Blanks, mentions
from myagent.models.offline.lexicon import LEADING_FILLER, PREPOSITIONS, ROLES
from myagent.models.offline.parameters import Parameter
from myagent.models.offline.reading import Reading, Run
from myagent.models.offline.values import fits

_SAYING = re.compile(
    r"\b(?:saying|says|that says|with the (?:text|words|message)|reading)\b[\s:,]*"
    r"|(?:内容是|内容为|说)[：:，,]?|[:：]\s*",
    re.IGNORECASE,
)


def from_roles(blanks: Blanks) -> None:
    """`from A to B`, `从甲到乙`, `给丙`: the preposition says which parameter is meant."""
    for parameter in blanks.open("string"):
        if parameter.role is None or parameter.values:
            continue
        for run in blanks.reading.runs():
            if run.before in ROLES[parameter.role] and blanks.give(
                parameter, run.text, run.start, run.end
            ):
                break


def from_text(blanks: Blanks) -> None:
    """A stretch of free text: quoted, after 'saying' or a colon, else all that is left."""
    texts = [p for p in blanks.open_strings() if p.is_text]
    required = [p for p in texts if p.required]
    if any(p.required and not p.is_text for p in blanks.open_strings()):
        from_examples(blanks)
    has_rivals = sum(p.required for p in blanks.open_strings()) > 1
    for parameter in required[-1:] if has_rivals else (required or texts)[:1]:
        span = _text_span(blanks.reading, has_rivals=has_rivals)
        if span is not None:
            blanks.give(parameter, blanks.reading.text[slice(*span)], *span)


def _text_span(reading: Reading, *, has_rivals: bool) -> tuple[int, int] | None:
    """Where the free text stands; with rivals for the same words only a clear mark counts."""
    if quoted := reading.quoted():
        quote = quoted[-1 if has_rivals else 0]
        return quote.start, quote.end
    end = len(reading.text.rstrip())
    match = _SAYING.search(reading.text)
    if match and match.end() < end and reading.is_free(match.end(), end):
        return match.end(), end
    if has_rivals:
        return None
    free = [token for token in reading.tokens() if token.is_free]
    if free:
        return _untaken(reading, _text_start(reading, free[0].start), free[-1].end)
    return _after_own_words(reading)


def _text_start(reading: Reading, start: int) -> int:
    """Goes back over common words that belong to the text: `search [what is] love`."""
    words = list(re.finditer(r"[A-Za-z_'’]+", reading.text[:start]))
    if not any(reading.is_own(match.group()) for match in words):
        return start
    for match in reversed(words):
        word = match.group()
        is_near = not reading.text[match.end() : start].strip()
        if reading.is_own(word) or word.casefold() in LEADING_FILLER or not is_near:
            break
        start = match.start()
    return start


def _untaken(reading: Reading, start: int, end: int) -> tuple[int, int]:
    """The longest part of a stretch that no other parameter has taken."""
    best, at = (start, start), start
    for position in range(start, end + 1):
        if position == end or not reading.is_free(position, position + 1):
            if position - at > best[1] - best[0]:
                best = (at, position)
            at = position + 1
    while best[0] < best[1] and reading.text[best[0]] in " ,，、":
        best = (best[0] + 1, best[1])
    while best[0] < best[1] and reading.text[best[1] - 1] in " ,，、":
        best = (best[0], best[1] - 1)
    return best


def _after_own_words(reading: Reading) -> tuple[int, int] | None:
    """What follows the tool's own words, though each word of it is common."""
    text = reading.text
    own = [m.end() for m in re.finditer(r"[A-Za-z_]+", text) if reading.is_own(m.group())]
    if not own:
        return None
    start, end = _untaken(reading, own[0], len(text))
    words = [*re.finditer(r"[^\s,，:：.!?。！？]+", text[start:end])]
    while words and words[-1].group().casefold() in PREPOSITIONS:
        words.pop()
    if len(words) < 2:
        return None
    return start + words[0].start(), start + words[-1].end()


def from_examples(blanks: Blanks) -> None:
    """A value that the schema gives as an example is one when it is said."""
    reading = blanks.reading
    for parameter in blanks.open_strings():
        if not parameter.examples or parameter.is_text:
            continue
        found = sorted(mentions(reading, parameter.examples), key=lambda one: one[1])
        if not found or _has_company(reading):
            continue
        _, start, end = found[0]
        blanks.give(parameter, reading.text[start:end], start, end)
        for _, start, end in found[1:MAX_VARIANTS]:
            blanks.vary(parameter, reading.text[start:end])
            reading.take(start, end)


def _has_company(reading: Reading) -> bool:
    """Whether values are joined: a known one beside an unknown one must not win alone."""
    runs = reading.runs()
    return any(reading.are_joined(a, b) for a, b in pairwise(runs))


def best_group(blanks: Blanks) -> list[Run]:
    """The likeliest run and those joined to it by commas or 'and'."""
    runs = blanks.reading.runs()
    if not runs:
        return []
    best = min(range(len(runs)), key=lambda i: (runs[i].rank, i))
    first = last = best
    while first > 0 and blanks.reading.are_joined(runs[first - 1], runs[first]):
        first -= 1
    while last + 1 < len(runs) and blanks.reading.are_joined(runs[last], runs[last + 1]):
        last += 1
    return runs[first : last + 1]


def from_rest(blanks: Blanks) -> None:
    """Names and other words that are left, for the strings that are still open."""
    wanted = [p for p in blanks.open_strings() if p.required]
    if not wanted and not any(p.required and p.type == "string" for p in blanks.parameters):
        wanted = blanks.open_strings()[:1]
    if len(wanted) == 1:
        _one_string(blanks, wanted[0])
    elif wanted:
        _several_strings(blanks, wanted)


def _one_string(blanks: Blanks, parameter: Parameter) -> None:
    group = [run for run in best_group(blanks) if fits(run.text, parameter.schema)]
    for run in group[:1]:
        blanks.give(parameter, run.text, run.start, run.end)
    if not parameter.is_text:
        for run in group[1:MAX_VARIANTS]:
            blanks.vary(parameter, run.text)
            blanks.reading.take(run.start, run.end)


def _several_strings(blanks: Blanks, wanted: list[Parameter]) -> None:
    runs = blanks.reading.runs()
    if len(runs) < len(wanted):
        runs = [piece for run in runs for piece in _split(blanks, run, len(wanted) - len(runs))]
    likeliest = sorted(runs, key=lambda run: (run.rank, run.start))[: len(wanted)]
    for parameter, run in zip(wanted, sorted(likeliest, key=lambda r: r.start), strict=False):
        blanks.give(parameter, run.text, run.start, run.end)


def _split(blanks: Blanks, run: Run, lacking: int) -> list[Run]:
    pieces = blanks.reading.pieces(run)
    return pieces if run.rank > 0 and 1 < len(pieces) <= lacking + 1 else [run]


def from_spare_quotes(blanks: Blanks) -> None:
    """Quoted text that nobody has claimed goes to the optional strings."""
    for parameter in blanks.open("string"):
        if not parameter.values:
            for run in blanks.reading.quoted()[:1]:
                blanks.give(parameter, run.text, run.start, run.end)
