"""Tools as the demo model sees them: the words that speak for each, and its parameters."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from myagent.models.base import ToolSpec
from myagent.models.offline.words import terms

NAME_WEIGHT, CHOICE_WEIGHT, DESCRIPTION_WEIGHT, PARAMETER_WEIGHT = 3.0, 2.0, 1.5, 1.0

_EXAMPLES = re.compile(r"(?:\be\.g\.|\b(?:for example|such as)\b|[例比]如)[^;；。)）\n]*", re.I)


@dataclass(frozen=True, slots=True)
class Parameter:
    """`kind` is a JSON schema type; `choices` are the values that it, or its items, may have."""

    name: str
    description: str
    is_required: bool
    kind: str
    choices: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Tool:
    """`weights`: how much each term says for the tool; its `own` terms are no values for it.

    `takes` says whether the schema allows arguments, `may_take` whether it does
    so far: what it requires may still be missing.
    """

    name: str
    description: str
    parameters: tuple[Parameter, ...]
    weights: Mapping[str, float]
    own: frozenset[str]
    takes: Callable[[Mapping[str, Any]], bool]
    may_take: Callable[[Mapping[str, Any]], bool]


def study(spec: ToolSpec) -> Tool:
    # Not at the top: an agent without tools needs no jsonschema.
    from myagent.tool.validation import fault_finder

    schema, description = spec.parameters, spec.description or ""
    parameters = tuple(_parameters(schema))
    names = " ".join(parameter.name for parameter in parameters)
    weights = dict.fromkeys(terms(names), PARAMETER_WEIGHT)
    weights |= dict.fromkeys(terms(_EXAMPLES.sub(" ", description)), DESCRIPTION_WEIGHT)
    weights |= dict.fromkeys(terms(spec.name), NAME_WEIGHT)
    own = frozenset(weights)
    choices = " ".join(str(choice) for one in parameters for choice in one.choices)
    weights = dict.fromkeys(terms(choices), CHOICE_WEIGHT) | weights
    find_faults, find_faults_so_far = fault_finder(schema), fault_finder({**schema, "required": []})
    return Tool(
        name=spec.name,
        description=description,
        parameters=parameters,
        weights=weights,
        own=own,
        takes=lambda args: not find_faults(args),
        may_take=lambda args: not find_faults_so_far(args),
    )


def _parameters(schema: Mapping[str, Any]) -> Iterator[Parameter]:
    for name, part in schema.get("properties", {}).items():
        parts = list(_alternatives(part, schema, set()))
        items = [one for each in parts for one in _alternatives(each.get("items"), schema, set())]
        listed = [
            one.get("enum", [one["const"]] if "const" in one else []) for one in parts + items
        ]
        yield Parameter(
            name=name,
            description=next((one["description"] for one in parts if "description" in one), ""),
            is_required=name in schema.get("required", ()),
            kind=_kind(parts),
            choices=tuple(choice for choices in listed for choice in choices),
        )


def _alternatives(
    part: Any, root: Mapping[str, Any], seen: set[str]
) -> Iterator[Mapping[str, Any]]:
    """A schema, what it refers to and is not `seen` yet, and what it lets choose between."""
    if not isinstance(part, Mapping):
        return
    yield part
    reference = part.get("$ref")
    if reference and reference not in seen:
        seen.add(reference)
        definition = root.get("$defs", {}).get(reference.removeprefix("#/$defs/"))
        yield from _alternatives(definition, root, seen)
    for word in ("allOf", "anyOf", "oneOf"):
        for one in part.get(word, ()):
            yield from _alternatives(one, root, seen)


def _kind(parts: Sequence[Mapping[str, Any]]) -> str:
    """The first type that is named and is not null; text where none is."""
    named = (one.get("type", ()) for one in parts)
    kinds = (kind for one in named for kind in ([one] if isinstance(one, str) else one))
    return next((kind for kind in kinds if kind != "null"), "string")


def rank(text: str, tools: Sequence[Tool]) -> list[Tool]:
    """The tools that share words with a text, best first; a word that few have weighs more.

    Among equals it is the one that has less else to say of itself.
    """
    said = terms(text)
    holders = {term: sum(term in tool.weights for tool in tools) for term in said}
    weight = {term: math.log(1 + len(tools) / much) for term, much in holders.items() if much}
    scores = {
        tool.name: round(sum(tool.weights.get(term, 0) * much for term, much in weight.items()), 6)
        for tool in tools
    }
    found = [tool for tool in tools if scores[tool.name]]
    return sorted(found, key=lambda tool: (-scores[tool.name], len(tool.description)))
