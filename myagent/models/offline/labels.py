"""Values that the question gives by name: `days=3`, `days: 3`, `把天数设为3`, `3 days`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from typing import Any

from myagent.models.offline.parameters import Parameter
from myagent.models.offline.reading import Reading
from myagent.models.offline.values import (
    QUOTED,
    YES_OR_NO,
    as_number,
    coerce,
    fits,
    numbers,
)
from myagent.models.offline.words import CJK

MAX_MENTIONS = 12
"""How many mentions of a parameter are looked at for a value."""

NEAR = 60
"""Characters before a parameter's name in which 'set' or 'not' may stand."""

_STRONG = re.compile(
    r"\s*(?:=>|->|==?|[:：＝]|should be|must be|set to|equal to|equals?\b|is\b|are\b|being\b"
    r"|应该是|应为|设置为|设置成|设定为|设为|设成|改为|改成|等于|是|为|叫)\s*",
    re.IGNORECASE,
)
_WEAK = re.compile(r"\s*(?:(?:of|as)\b\s*)?(?:(?:the|a|an)\s+)?", re.IGNORECASE)
_SET_TO = re.compile(r"\s+to\s+", re.IGNORECASE)
_SETTING = re.compile(
    r"(?:\b(?:set|change|make|put|turn|switch|update)\b|把|将)[^,.;，。；]*$", re.I
)
_TEXT_END = re.compile(r"[\n;；。]|[,，]\s|[.!?！？](?:\s|$)|，|$")
_WORD = re.compile(rf"[^\s,，、;；。!！?？()（）\[\]{{}}\"'“”{CJK}]+|[{CJK}]+")
_NOT = re.compile(
    r"(?:\b(?:no|not|without|don'?t|do not|disable|exclude|skip|turn off|never)\b[^,.;]{0,12}"
    r"|(?:不要|不用|不|别|关闭|无需|没有))\s*(?:的)?$",
    re.IGNORECASE,
)
_LIST_SPLIT = re.compile(r"\s*(?:[,，、;；]\s*(?:and\s+|和)?|\s+and\s+|和|与|及)\s*", re.IGNORECASE)


def labelled(reading: Reading, parameter: Parameter, all_of: Sequence[Parameter]) -> Any:
    """The value that stands beside the parameter's name, or None; takes it from the reading."""
    for label in islice(parameter.label.finditer(reading.text), MAX_MENTIONS):
        if not reading.is_free(*label.span()):
            continue
        start, is_strong = _value_start(reading.text, *label.span())
        stop = _next_label(reading.text, start, all_of)
        match parameter.type:
            case "integer" | "number":
                found = _number(reading, parameter, label, start, stop)
            case "boolean":
                found = _yes_or_no(reading, label, start)
            case "array":
                found = _list(reading, parameter, start, stop, is_strong=is_strong)
            case "object":
                found = None
            case _:
                found = _word(reading, parameter, start, stop, is_strong=is_strong)
        if found is not None:
            value, begin, end = found
            if fits(value, parameter.schema):
                reading.take(min(begin, label.start()), max(end, label.end()))
                return value
    return None


Found = tuple[Any, int, int]


def _value_start(text: str, label_start: int, label_end: int) -> tuple[int, bool]:
    if match := _STRONG.match(text, label_end):
        return match.end(), True
    if (match := _SET_TO.match(text, label_end)) and _SETTING.search(
        text[max(label_start - NEAR, 0) : label_start]
    ):
        return match.end(), True
    weak = _WEAK.match(text, label_end)
    return (weak.end() if weak else label_end), False


def _next_label(text: str, start: int, parameters: Sequence[Parameter]) -> int:
    found = (parameter.label.search(text, start) for parameter in parameters)
    return min((match.start() for match in found if match and match.start() > start), default=-1)


def _number(
    reading: Reading, parameter: Parameter, label: re.Match[str], start: int, stop: int
) -> Found | None:
    text = reading.text
    for number in numbers(text):
        free = reading.is_free(number.start, number.end)
        after = number.start >= start and not text[start : number.start].strip(" :=\"'“")
        value = as_number(number.value, parameter.type)
        if free and after and value is not None:
            return value, number.start, number.end
    for number in numbers(text):
        before = number.end <= label.start() and not text[number.end : label.start()].strip(" -个")
        value = as_number(number.value, parameter.type)
        if before and value is not None and reading.is_free(number.start, number.end):
            return value, number.start, number.end
    return None


def _yes_or_no(reading: Reading, label: re.Match[str], start: int) -> Found | None:
    text = reading.text
    if match := YES_OR_NO.match(text, start):
        return match["yes"] is not None, match.start(), match.end()
    if match := _NOT.search(text[max(label.start() - NEAR, 0) : label.start()]):
        return False, match.start(), label.end()
    return None


def _word(
    reading: Reading, parameter: Parameter, start: int, stop: int, *, is_strong: bool
) -> Found | None:
    text = reading.text
    if (quote := QUOTED.match(text, start)) and reading.is_free(*quote.span()):
        return quote.group(quote.lastindex or 0), quote.start(), quote.end()
    for value in sorted(parameter.values, key=lambda value: -len(str(value))):
        if text[start:].casefold().startswith(str(value).casefold()):
            return value, start, start + len(str(value))
    if parameter.values:
        return None
    end = _text_end(text, start, stop)
    if parameter.is_text and is_strong:
        raw = text[start:end].rstrip()
        return (raw, start, start + len(raw)) if raw else None
    return _words(reading, start, end, is_strong=is_strong)


def _text_end(text: str, start: int, stop: int) -> int:
    match = _TEXT_END.search(text, start)
    end = match.start() if match else len(text)
    if start < stop < end:
        joint = re.search(r"(?:\s*(?:\band|\bwith|,|，|、|和|且|并且?))?\s*$", text[start:stop])
        end = start + joint.start() if joint else stop
    return end


def _words(reading: Reading, start: int, end: int, *, is_strong: bool) -> Found | None:
    """The words from `start` that are no filler; after a strong label the first is always taken."""
    text = reading.text
    at = start
    for match in _WORD.finditer(text, start, end):
        if text[at : match.start()].strip():
            break
        word = match.group().rstrip(".")
        is_first = at == start
        if re.match(f"[{CJK}]", word):
            if is_strong and is_first and len(word) <= 12:
                at = match.end()
            break
        if not reading.is_free(match.start(), match.end()):
            break
        if reading.is_filler(word) and not (is_strong and is_first):
            break
        if not is_first and not word[0].isupper() and not is_strong and text[start].isupper():
            break
        at = match.start() + len(word)
    raw = text[start:at].strip()
    return (raw, start, at) if raw else None


def _list(
    reading: Reading, parameter: Parameter, start: int, stop: int, *, is_strong: bool
) -> Found | None:
    text = reading.text
    bracket = re.compile(r"\s*[\[(（]([^\])）]*)[\])）]").match(text, start)
    if bracket:
        begin, end = bracket.span()
        raw = bracket.group(1)
    else:
        begin, end = start, stop if stop > start else len(text)
        sentence = re.compile(r"[.。!！?？](?:\s|$)|[。！？；;\n]").search(text, start, end)
        end = sentence.start() if sentence else end
        raw = text[begin:end]
    items: list[Any] = []
    used = begin
    item_schema = _item_schema(parameter)
    kind = list_kind(parameter)
    for part in _list_parts(raw, kind):
        value = coerce(part.strip("\"'“”‘’ "), kind)
        if value is None or not fits(value, item_schema):
            break
        if isinstance(value, str) and not bracket and not is_strong and reading.is_filler(value):
            break
        items.append(value)
        used = max(used, text.find(part, used) + len(part))
    return (items, begin, end if bracket else used) if items else None


def _list_parts(raw: str, kind: str) -> list[str]:
    if kind in ("integer", "number"):
        if "," in raw:
            return [part for part in re.split(r"[\s,，、;；]+|\band\b|和", raw) if part]
        return [raw[number.start : number.end] for number in numbers(raw) if number.is_digits]
    parts = [part.strip() for part in _LIST_SPLIT.split(raw) if part.strip()]
    if len(parts) == 1 and parts[0][0] not in "\"'“‘":
        return parts[0].split()
    return [_leading_words(part) for part in parts]


def _leading_words(part: str) -> str:
    """`green please` -> `green`, `New York weather` -> `New York`; quoted text stays whole."""
    words = part.split()
    if part[0] in "\"'“‘" or len(words) == 1:
        return part
    capitals = next((i for i, word in enumerate(words) if not word[0].isupper()), len(words))
    return " ".join(words[: max(capitals, 1)])


def list_kind(parameter: Parameter) -> str:
    """The JSON type of an array's items."""
    kind = _item_schema(parameter).get("type")
    return kind if isinstance(kind, str) else "string"


def _item_schema(parameter: Parameter) -> dict[str, Any]:
    items = parameter.schema.get("items")
    return items if isinstance(items, dict) else {}
