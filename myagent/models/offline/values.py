"""Values as people write them: numbers, yes and no, shapes such as dates, and their JSON types."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from myagent.models.offline.lexicon import NUMBER_WORDS

NUMBER = re.compile(
    r"(?<![A-Za-z\d_.])(?<![A-Za-z\d][-_])(?:(?<![\d)])[-−+])?"
    r"(?:\d{1,3}(?:,\d{3})+(?![\d,])|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\d_]|\.\d)"
)
QUOTED = re.compile(
    r"\"([^\"\n]+)\"|“([^”\n]+)”|‘([^’\n]+)’|「([^」\n]+)」|『([^』\n]+)』|《([^》\n]+)》|`([^`\n]+)`"
    r"|(?<![A-Za-z0-9])'([^'\n]+)'(?![A-Za-z0-9])"
)
SHAPES: dict[str, re.Pattern[str]] = {
    "email": re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"),
    "uri": re.compile(r"https?://[^\s，。；、）)\"'<>]+"),
    "date-time": re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2})?(?:Z|[+-]\d{2}:?\d{2})?"),
    "date": re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{4}年\d{1,2}月\d{1,2}[日号]"),
    "time": re.compile(r"(?<!\d)\d{1,2}:\d{2}(?::\d{2})?(?:\s?[ap]m)?(?!\d)", re.IGNORECASE),
    "code": re.compile(
        r"(?<![\w-])(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[A-Za-z0-9]+(?:[-_][A-Za-z0-9]+)+"
    ),
    "formula": re.compile(r"[\d(][\d\s.()]*(?:[-+*/^×÷%][\d\s.()]*)+(?<=[\d)])"),
}
SHAPE_NAMES: dict[str, tuple[str, ...]] = {
    "email": ("email", "mail", "邮箱", "邮件"),
    "uri": ("url", "uri", "link", "website", "网址", "链接"),
    "date-time": ("datetime", "timestamp"),
    "date": ("date", "day", "日期"),
    "time": ("time", "clock", "时间"),
    "code": ("id", "code", "sku", "number", "编号", "单号"),
    "formula": ("expression", "formula", "equation", "expr", "算式", "表达式", "公式"),
}

_TRUE = r"true|yes|on|enabled?|是|真|开启|打开|启用|开"
_FALSE = r"false|no|off|disabled?|否|假|关闭|关掉|禁用|关"
YES_OR_NO = re.compile(
    rf"(?:(?P<yes>(?<![A-Za-z])(?:{_TRUE})(?![A-Za-z]))|(?P<no>(?<![A-Za-z])(?:{_FALSE})(?![A-Za-z])))",
    re.IGNORECASE,
)

_DIGITS_ZH = {char: value for value, char in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_UNITS_ZH = {"十": 10, "百": 100, "千": 1000, "万": 10_000, "亿": 100_000_000}
# Part of a name as often as not (三亚), unless something countable follows.
NUMERAL_ZH = re.compile(
    r"负?[零〇一二两三四五六七八九十百千万亿]+(?:点[零〇一二三四五六七八九]+)?"
    r"(?=[个天次本张件页杯瓶斤公岁年月日号位名条只台分秒小度元块人米周星份项种]|[^\u4e00-\u9fff]|$)"
)
NUMBER_WORD = re.compile(
    rf"(?<![A-Za-z])(?:{'|'.join(sorted(NUMBER_WORDS, key=len, reverse=True))})(?![A-Za-z])",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Number:
    """A number in a text. `is_digits`: it was written in digits, not in words."""

    value: int | float
    start: int
    end: int
    is_digits: bool = True


def numbers(text: str) -> list[Number]:
    """Those in digits in their order, then those in words in theirs."""
    shaped = [m.span() for m in shape_matches(text, but=("formula",))]
    found = [
        Number(parse_number(m.group()), m.start(), m.end())
        for m in NUMBER.finditer(text)
        if not any(start < m.end() and m.start() < end for start, end in shaped)
    ]
    found = [number for number in found if math.isfinite(number.value)]
    for m in NUMERAL_ZH.finditer(text):
        found.append(Number(parse_chinese(m.group()), m.start(), m.end(), is_digits=False))
    for m in NUMBER_WORD.finditer(text):
        value = NUMBER_WORDS[m.group().casefold()]
        found.append(Number(value, m.start(), m.end(), is_digits=False))
    return found


def parse_number(text: str) -> int | float:
    plain = text.replace(",", "").replace("−", "-").replace("+", "", 1)
    if plain.lstrip("-").isdigit() and len(plain) <= 30:
        return int(plain)
    return float(text.replace(",", "").replace("−", "-"))


def parse_chinese(text: str) -> int | float:
    """`三百零五` -> 305, `一二三` -> 123, `三点五` -> 3.5."""
    sign = -1 if text.startswith("负") else 1
    whole, _, fraction = text.removeprefix("负").partition("点")
    if all(char in _DIGITS_ZH for char in whole):
        value = int("".join(str(_DIGITS_ZH[char]) for char in whole))
    else:
        value = _with_units(whole)
    if fraction:
        return sign * float(f"{value}." + "".join(str(_DIGITS_ZH[char]) for char in fraction))
    return sign * value


def _with_units(text: str) -> int:
    total = section = digit = 0
    for char in text:
        if char in _DIGITS_ZH:
            digit = _DIGITS_ZH[char]
        elif (unit := _UNITS_ZH[char]) >= 10_000:
            total, section, digit = (total + section + digit) * unit, 0, 0
        else:
            section, digit = section + (digit or 1) * unit, 0
    return total + section + digit


def shape_matches(text: str, but: tuple[str, ...] = ()) -> Iterator[re.Match[str]]:
    for name, pattern in SHAPES.items():
        if name not in but:
            yield from pattern.finditer(text)


def shape_of(schema: dict[str, Any], words: frozenset[str], description: str) -> str | None:
    """The shape that a string parameter wants, by its `format` or its name."""
    declared = schema.get("format")
    if declared in SHAPES:
        return str(declared)
    for shape, names in SHAPE_NAMES.items():
        if any(name in words or (not name.isascii() and name in description) for name in names):
            return shape
    return None


def as_number(value: int | float, kind: str) -> int | float | None:
    if kind == "integer":
        return int(value) if float(value).is_integer() else None
    return value


def coerce(raw: str, kind: str) -> Any:
    """The value of one word of text as a JSON type, or None."""
    raw = raw.strip()
    if kind in ("integer", "number"):
        exact = [n for n in numbers(raw) if n.start == 0 and n.end == len(raw)]
        return as_number(exact[0].value, kind) if exact else None
    if kind == "boolean":
        match = YES_OR_NO.fullmatch(raw)
        return None if match is None else match["yes"] is not None
    return raw or None


def fits(value: Any, schema: dict[str, Any]) -> bool:
    """Whether a value of the right type keeps the limits that its schema states."""
    if value is None:
        return False
    if "enum" in schema and isinstance(schema["enum"], list) and value not in schema["enum"]:
        return False
    if "const" in schema and value != schema["const"]:
        return False
    if isinstance(value, bool):
        return True
    if isinstance(value, int | float):
        return _number_fits(value, schema)
    size = ("minLength", "maxLength") if isinstance(value, str) else ("minItems", "maxItems")
    low, high = (schema.get(word) for word in size)
    if (isinstance(low, int) and len(value) < low) or (isinstance(high, int) and len(value) > high):
        return False
    return not isinstance(value, str) or _text_fits(value, schema)


def _number_fits(value: int | float, schema: dict[str, Any]) -> bool:
    def limit(word: str, default: float) -> float:
        given = schema.get(word, default)
        return given if isinstance(given, int | float) else default

    step = limit("multipleOf", 0)
    return (
        limit("minimum", -math.inf) <= value <= limit("maximum", math.inf)
        and value > limit("exclusiveMinimum", -math.inf)
        and value < limit("exclusiveMaximum", math.inf)
        and (step <= 0 or math.isclose(value / step, round(value / step)))
    )


def _text_fits(value: str, schema: dict[str, Any]) -> bool:
    form, pattern = schema.get("format"), schema.get("pattern")
    if form in ("email", "date", "date-time") and not SHAPES[form].fullmatch(value):
        return False
    if not isinstance(pattern, str):
        return True
    try:
        return re.search(pattern, value) is not None
    except re.error:
        return True
