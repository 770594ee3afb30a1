"""A tool's arguments, taken from a question; nothing is invented."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from myagent.models.offline import strings, typed
from myagent.models.offline.blanks import Blanks
from myagent.models.offline.parameters import Parameter, read_parameters
from myagent.models.offline.reading import Reading
from myagent.models.offline.study import Tool


@dataclass(slots=True)
class Filled:
    """Arguments for one call, or for several that differ in one value.

    `missing`: the required parameters that the question gives no value for.
    """

    variants: list[dict[str, Any]]
    missing: tuple[Parameter, ...]


def fill(text: str, tool: Tool, others: Iterable[Tool] = ()) -> Filled:
    """Fills a tool's parameters; `others` are tools that are asked in the same breath."""
    blanks = Blanks(Reading(text, tool, others), tool.parameters)
    for step in STEPS:
        step(blanks)
    missing = tuple(p for p in tool.required if p.name not in blanks.values)
    variants = [blanks.values] + [{**blanks.values, **more} for more in blanks.more]
    return Filled(variants, missing)


def _from_parts(blanks: Blanks) -> None:
    """A nested object is filled as a tool of its own, from what is left."""
    for parameter in blanks.open("object"):
        parts = read_parameters(parameter.schema)
        inner = Blanks(blanks.reading, parts)
        for step in STEPS[1:] if parameter.required else (typed.from_labels,):
            step(inner)
        if inner.values and all(p.name in inner.values for p in parts if p.required):
            blanks.values[parameter.name] = inner.values


STEPS: tuple[Callable[[Blanks], None], ...] = (
    typed.from_json,
    typed.from_labels,
    typed.from_choices,
    typed.from_shapes,
    typed.from_booleans,
    typed.from_numbers,
    strings.from_roles,
    strings.from_text,
    strings.from_examples,
    typed.from_lists,
    strings.from_rest,
    strings.from_spare_quotes,
    _from_parts,
)
"""The surest evidence first: what one step takes, the next does not see."""
