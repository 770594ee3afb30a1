"""Values that show their kind: JSON, listed choices, dates, yes and no, numbers, lists."""

from __future__ import annotations

import re
from typing import Any

from myagent import exact_json
from myagent.models.offline.blanks import Blanks, mentions
from myagent.models.offline.labels import labelled, list_kind
from myagent.models.offline.parameters import Parameter
from myagent.models.offline.reading import TIME, Reading
from myagent.models.offline.strings import best_group
from myagent.models.offline.values import (
    SHAPES,
    YES_OR_NO,
    Number,
    as_number,
    numbers,
    shape_of,
)
from myagent.models.offline.words import CJK_RUN

_OBJECT = re.compile(r"\{.*\}", re.DOTALL)
_DATE_NAMES = frozenset(("date", "day", "when", "time", "日期", "时间"))


def from_json(blanks: Blanks) -> None:
    """An object literal in the question is the arguments themselves, or one of them."""
    match = _OBJECT.search(blanks.reading.text)
    if match is None:
        return
    try:
        given = exact_json.loads(match.group())
    except ValueError:
        return
    known = {p.name: p for p in blanks.parameters}
    if given and given.keys() <= known.keys():
        blanks.values.update(given)
        blanks.reading.take(*match.span())
    elif parameters := blanks.open("object"):
        blanks.give(parameters[0], given, *match.span())


def from_labels(blanks: Blanks) -> None:
    for parameter in blanks.parameters:
        if parameter.name not in blanks.values:
            value = labelled(blanks.reading, parameter, blanks.parameters)
            if value is not None:
                blanks.values[parameter.name] = value


def from_choices(blanks: Blanks) -> None:
    """Values that the schema lists (`enum`) and that the question mentions."""
    for parameter in blanks.parameters:
        if parameter.name in blanks.values or parameter.type in ("boolean", "object"):
            continue
        items = parameter.schema.get("items")
        listed = items.get("enum") if isinstance(items, dict) else None
        if parameter.type == "array" and isinstance(listed, list):
            found = mentions(blanks.reading, listed)
            if found:
                ordered = [value for value, _, _ in sorted(found, key=lambda one: one[1])]
                blanks.give(parameter, ordered, *found[0][1:])
                for _, start, end in found:
                    blanks.reading.take(start, end)
        elif parameter.values and (found := mentions(blanks.reading, parameter.values)):
            blanks.give(parameter, *found[0])


def from_shapes(blanks: Blanks) -> None:
    """Dates, addresses, formulas and the like, for the parameters that want one."""
    for parameter in blanks.open("string"):
        description = str(parameter.schema.get("description", ""))
        shape = (
            None if parameter.values else shape_of(parameter.schema, parameter.words, description)
        )
        patterns = [SHAPES[shape]] if shape else []
        if parameter.words & _DATE_NAMES or "日期" in description:
            patterns += [SHAPES["date"], TIME]
        spans = (m.span() for p in patterns for m in p.finditer(blanks.reading.text))
        for start, end in spans:
            if blanks.reading.is_free(start, end):
                blanks.give(parameter, blanks.reading.text[start:end].strip(), start, end)
                break


def from_booleans(blanks: Blanks) -> None:
    """A lone yes or no answers the only open question; an option that is mentioned is wanted."""
    reading = blanks.reading
    for parameter in blanks.open("boolean"):
        mention = parameter.label.search(reading.text)
        if mention and reading.is_free(*mention.span()) and not parameter.required:
            blanks.give(parameter, True, *mention.span())
    for parameter in blanks.open("boolean"):
        for match in YES_OR_NO.finditer(reading.text):
            plain = match.group().casefold() in (
                "true",
                "false",
                "yes",
                "no",
                "是",
                "否",
                "真",
                "假",
            )
            spoken = parameter.required and match.group().casefold() in ("on", "off")
            if (plain or spoken) and reading.is_free(*match.span()) and _stands_alone(match):
                blanks.give(parameter, match["yes"] is not None, *match.span())
                break
    for parameter in blanks.open("boolean"):
        mention = parameter.label.search(reading.text)
        if mention and reading.is_free(*mention.span()):
            blanks.give(parameter, True, *mention.span())


def _stands_alone(match: re.Match[str]) -> bool:
    """`是` inside a sentence is a verb; a value stands apart."""
    if match.group().isascii():
        return True
    around = match.string[max(match.start() - 1, 0) : match.start()]
    around += match.string[match.end() : match.end() + 1]
    return CJK_RUN.search(around) is None


def from_numbers(blanks: Blanks) -> None:
    """Numbers without a name, in the order of the parameters; a decimal is no integer."""
    wanted = blanks.open("integer", "number")
    if any(parameter.required for parameter in _number_lists(blanks)):
        wanted = [parameter for parameter in wanted if parameter.required]
    if not wanted:
        return
    free = _free_numbers(blanks, len(wanted))
    if _number_lists(blanks):
        free = _without_enumeration(blanks.reading, free, len(wanted))
    decimals = [p for p in wanted if p.type == "number"]
    if len(decimals) < len(wanted):
        for number in [n for n in free if isinstance(n.value, float)]:
            if decimals and blanks.give(decimals[0], number.value, number.start, number.end):
                free.remove(number)
                decimals.pop(0)
    for parameter in wanted:
        if parameter.name not in blanks.values:
            _next_number(blanks, parameter, free)


def _number_lists(blanks: Blanks) -> list[Parameter]:
    return [p for p in blanks.open("array") if list_kind(p) in ("integer", "number")]


def _without_enumeration(reading: Reading, free: list[Number], wanted: int) -> list[Number]:
    """The numbers that stand apart, when those in a row (`1, 2, 3`) are for a list."""
    free = sorted(free, key=lambda number: number.start)
    alone = [
        number
        for at, number in enumerate(free)
        if not (at and _in_a_row(reading, free[at - 1], number))
        and not (at + 1 < len(free) and _in_a_row(reading, number, free[at + 1]))
    ]
    return alone if len(alone) >= wanted else free


def _in_a_row(reading: Reading, one: Number, other: Number) -> bool:
    """Chinese has a comma for lists alone (、); where it is used, others divide."""
    gap = reading.text[one.end : other.start]
    commas = "、" if "、" in reading.text else ",，"
    return gap.strip(f" {commas}和") in ("", "and")


def _free_numbers(blanks: Blanks, wanted: int) -> list[Number]:
    """Those in digits; the ones in words too when there are too few. Quoted ones are text."""
    reading = blanks.reading
    quoted = reading.quoted()
    found = [
        number
        for number in numbers(reading.text)
        if reading.is_free(number.start, number.end)
        and not any(run.start <= number.start < run.end for run in quoted)
    ]
    digits = [number for number in found if number.is_digits]
    return digits if len(digits) >= wanted else sorted(found, key=lambda number: number.start)


def _next_number(blanks: Blanks, parameter: Parameter, free: list[Number]) -> None:
    for number in free:
        value = as_number(number.value, parameter.type)
        if value is None or not (number.is_digits or parameter.required or value > 1):
            continue
        if blanks.give(parameter, value, number.start, number.end):
            free.remove(number)
            return


def from_lists(blanks: Blanks) -> None:
    """An array takes all the values of its kind that are left."""
    reading = blanks.reading
    for parameter in blanks.open("array"):
        kind = list_kind(parameter)
        if kind in ("integer", "number"):
            free = [n for n in numbers(reading.text) if reading.is_free(n.start, n.end)]
            free = sorted((n for n in free if n.is_digits), key=lambda n: n.start)
            values: list[Any] = [as_number(n.value, kind) for n in free]
            spans = [(n.start, n.end) for n in free]
        else:
            if not parameter.required and any(p.required for p in blanks.open("string")):
                continue
            group = best_group(blanks)
            values, spans = [run.text for run in group], [(run.start, run.end) for run in group]
        if values and None not in values and blanks.give(parameter, values, *spans[0]):
            for start, end in spans:
                reading.take(start, end)
