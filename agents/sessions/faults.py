"""What is wrong with arguments, in sentences for the person who wrote them. No I/O.

In English they are the validator's own words; those are made for each value, and in no catalogue.
"""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_noop
from jsonschema.exceptions import ValidationError

from agents.sentences import tell
from myagent.sentence import Said
from myagent.tool.validation import sentence_of, short

PLACE = gettext_noop("at {place}: {fault}")
OTHER = gettext_noop("{value} does not satisfy {keyword}: {limit}")

SENTENCES = {
    "required": gettext_noop("{missing} is missing"),
    "type": gettext_noop("{value} is not of type {limit}"),
    "enum": gettext_noop("{value} is not one of {limit}"),
    "minimum": gettext_noop("{value} is less than the minimum of {limit}"),
    "maximum": gettext_noop("{value} is greater than the maximum of {limit}"),
    "exclusiveMinimum": gettext_noop("{value} is not greater than {limit}"),
    "exclusiveMaximum": gettext_noop("{value} is not less than {limit}"),
    "minLength": gettext_noop("{value} is shorter than {limit} characters"),
    "maxLength": gettext_noop("{value} is longer than {limit} characters"),
    "minItems": gettext_noop("{value} has fewer than {limit} items"),
    "maxItems": gettext_noop("{value} has more than {limit} items"),
    "pattern": gettext_noop("{value} does not match {limit}"),
    "format": gettext_noop("{value} is not of the format {limit}"),
    "additionalProperties": gettext_noop("{unexpected} is no argument"),
    "anyOf": gettext_noop("{value} is of none of the allowed kinds"),
}
"""By the keyword of the schema."""


def told(fault: ValidationError, lang: str) -> str:
    """One fault, and where it is."""
    if lang.startswith("en"):
        return sentence_of(fault)
    keyword = str(fault.validator)
    template = SENTENCES.get(keyword, OTHER)
    said = Said(template, {"keyword": keyword, **_values(fault)})
    if fault.path:
        said = Said(PLACE, {"place": fault.json_path.removeprefix("$."), "fault": said})
    return tell(lang, said)


def _values(fault: ValidationError) -> dict[str, str]:
    value: Any = fault.instance
    limit: Any = fault.validator_value
    found = {"value": short(repr(value)), "limit": short(repr(limit))}
    match fault.validator:
        case "required":
            # There is a fault for each missing name, and only its words say which.
            missing = [name for name in limit if fault.message.startswith(repr(name))]
            found["missing"] = short(", ".join(map(repr, missing)))
        case "additionalProperties":
            known = fault.schema.get("properties", {}) if isinstance(fault.schema, dict) else {}
            found["unexpected"] = short(", ".join(repr(n) for n in value if n not in known))
    return found
