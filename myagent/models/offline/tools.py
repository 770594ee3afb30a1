"""Tools as the demo model sees them: their terms, with weights, and their parameters."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from myagent.models.base import ToolSpec
from myagent.models.offline.words import terms, words_of

_TEXT = re.compile(
    "text|message|content|body|query|question|note|problem|issue|topic|description|reason|"
    "comment|expression|formula|内容"
)
"""Words in the names of parameters that take free text."""
_KINDS = {"integer": "number", "number": "number", "boolean": "option", "array": "list"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """`kind`: choice, number, option, list, text (as written) or name; others are not filled in.

    `choices` are the values that the parameter, or its items, may have.
    """

    name: str
    description: str
    is_required: bool
    kind: str
    choices: tuple[Any, ...]


class Tool:
    """`weights`: how strongly each term indicates the tool. Its `own` terms are never values."""

    def __init__(self, spec: ToolSpec) -> None:
        # Imported here: an agent without tools needs no jsonschema.
        from myagent.tool.validation import fault_finder

        self.name, self.description = spec.name, spec.description or ""
        self.parameters = tuple(_parameters(spec.parameters))
        names = " ".join(parameter.name for parameter in self.parameters)
        choices = " ".join(str(choice) for one in self.parameters for choice in one.choices)
        weights = dict.fromkeys(terms(names), 1.0) | dict.fromkeys(terms(self.description), 1.5)
        weights |= dict.fromkeys(terms(self.name), 3.0)
        self.own = frozenset(weights)
        self.weights = dict.fromkeys(terms(choices), 2.0) | weights
        self._find_faults = fault_finder(spec.parameters)
        self._find_faults_so_far = fault_finder({**spec.parameters, "required": []})

    def accepts(self, args: Mapping[str, Any], *, is_complete: bool) -> bool:
        """Whether the schema allows these arguments; others may follow unless `is_complete`."""
        return not (self._find_faults if is_complete else self._find_faults_so_far)(args)


def rank(text: str, tools: Sequence[Tool]) -> list[Tool]:
    """The tools that share terms with a text, best first; a term of few tools counts more.

    Of equal ones, the tool with the shorter description comes first.
    """
    scores: dict[str, float] = {}
    for term in sorted(terms(text)):
        holders = [tool for tool in tools if term in tool.weights]
        for tool in holders:
            scores[tool.name] = scores.get(tool.name, 0) + tool.weights[term] / len(holders)
    found = [tool for tool in tools if tool.name in scores]
    return sorted(found, key=lambda tool: (-scores[tool.name], len(tool.description)))


def _parameters(schema: Mapping[str, Any]) -> Iterator[Parameter]:
    for name, part in schema.get("properties", {}).items():
        parts = list(_parts(part, schema, set()))
        types = [one.get("type", ()) for one in parts]
        kinds = [kind for one in types for kind in ([one] if isinstance(one, str) else one)]
        listed = [one.get("enum", [one["const"]] if "const" in one else []) for one in parts]
        choices = tuple(choice for values in listed for choice in values)
        kind = next((kind for kind in kinds if kind != "null"), "string")
        if choices and kind != "array":
            kind = "choice"
        elif kind == "string":
            kind = "text" if any(map(_TEXT.fullmatch, words_of(name))) else "name"
        description = next((one["description"] for one in parts if "description" in one), "")
        is_required = name in schema.get("required", ())
        yield Parameter(name, description, is_required, _KINDS.get(kind, kind), choices)


def _parts(part: Any, root: Mapping[str, Any], seen: set[str]) -> Iterator[Mapping[str, Any]]:
    """A schema, its alternatives and items, and references that were not `seen` yet."""
    if not isinstance(part, Mapping):
        return
    yield part
    inner = [one for word in ("allOf", "anyOf", "oneOf") for one in part.get(word, ())]
    reference = part.get("$ref")
    if reference and reference not in seen:
        seen.add(reference)
        inner.append(root.get("$defs", {}).get(reference.removeprefix("#/$defs/")))
    for one in (*inner, part.get("items")):
        yield from _parts(one, root, seen)
