"""A tool's parameters as their JSON schema tells them: types, choices, examples, names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from myagent.models.offline.lexicon import ROLE_NAMES, TEXT_NAMES
from myagent.models.offline.words import CJK, CJK_RUN, has_chinese, name_words

_EXAMPLES = re.compile(
    r"(?:\be\.g\.|\bfor example\b|\bfor instance\b|\bsuch as\b|\bexamples?\s*:"
    r"|例如|比如|譬如|示例|如)[:：,，]?\s*(?P<values>[^。；;）)\n]*)",
    re.IGNORECASE,
)
_EXAMPLE_SPLIT = re.compile(r"\s*(?:[、,，/|]|\bor\b|\band\b|或者?|和)\s*")
_CLAUSE_END = re.compile(r"[,，.。;；:：(（\n]")
_ALIAS_PREFIX_ZH = re.compile(r"^(?:需要|要|想|待)?(?:查询|搜索|指定|输入|使用|操作|目标)?的?")
_ALIAS_SUFFIX_ZH = re.compile(r"(?:的?名称|的?名字|名|的?值)$")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a tool. `type` is a JSON schema type; `label` finds it by name in a text."""

    name: str
    schema: dict[str, Any]
    type: str
    required: bool
    values: tuple[Any, ...]
    examples: tuple[str, ...]
    label: re.Pattern[str]
    title: str
    is_text: bool
    role: str | None

    @property
    def words(self) -> frozenset[str]:
        return frozenset(name_words(self.name))


def read_parameters(schema: dict[str, Any]) -> tuple[Parameter, ...]:
    """The properties of an object schema, required ones first."""
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return ()
    listed = schema.get("required")
    required = frozenset(map(str, listed)) if isinstance(listed, list) else frozenset()
    found = [
        _parameter(name, _resolve(part, schema), required=name in required)
        for name, part in properties.items()
    ]
    return tuple(sorted(found, key=lambda parameter: not parameter.required))


def _parameter(name: str, schema: dict[str, Any], *, required: bool) -> Parameter:
    description = description_of(schema)
    values = _choices(schema)
    words = name_words(name)
    role = next((ROLE_NAMES[word] for word in reversed(words) if word in ROLE_NAMES), None)
    kind = type_of(schema, values)
    return Parameter(
        name=name,
        schema=schema,
        type=kind,
        required=required and "default" not in schema,
        values=values,
        examples=tuple(_examples(schema, description)),
        label=_label(name, schema, description),
        title=_title(schema, description) or " ".join(words) or name,
        is_text=kind == "string" and any(word in TEXT_NAMES for word in words),
        role=role,
    )


def _resolve(part: Any, root: dict[str, Any]) -> dict[str, Any]:
    """Follows one local `$ref`, and takes the first alternative that is not null."""
    if not isinstance(part, dict):
        return {}
    reference = part.get("$ref")
    if isinstance(reference, str):
        node: Any = root
        for key in reference.removeprefix("#/").split("/"):
            node = node.get(key) if isinstance(node, dict) else None
        part = {**(node if isinstance(node, dict) else {}), **part}
    for word in ("anyOf", "oneOf"):
        choices = part.get(word)
        if "type" not in part and "enum" not in part and isinstance(choices, list):
            usable = [c for c in choices if isinstance(c, dict) and c.get("type") != "null"]
            if usable:
                return {**part, **usable[0]}
    return dict(part)


def _choices(schema: dict[str, Any]) -> tuple[Any, ...]:
    if "const" in schema:
        return (schema["const"],)
    choices = schema.get("enum")
    if not isinstance(choices, list):
        return ()
    return tuple(choice for choice in choices if isinstance(choice, str | int | float))


def type_of(schema: dict[str, Any], values: tuple[Any, ...] = ()) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((name for name in kind if name != "null"), None)
    if isinstance(kind, str):
        return kind
    if "items" in schema:
        return "array"
    if "properties" in schema:
        return "object"
    if values and all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        return "integer"
    return "string"


def description_of(schema: dict[str, Any]) -> str:
    text = schema.get("description")
    return text if isinstance(text, str) else ""


def without_examples(description: str) -> str:
    return _EXAMPLES.sub(" ", description)


def _examples(schema: dict[str, Any], description: str) -> list[str]:
    given = schema.get("examples", schema.get("example", []))
    found = [str(value) for value in (given if isinstance(given, list) else [given])]
    items = schema.get("items")
    if isinstance(items, dict):
        found += _examples(items, "")
    for match in _EXAMPLES.finditer(description):
        found += [v.strip(" '\"“”‘’「」`.") for v in _EXAMPLE_SPLIT.split(match["values"])]
    return sorted({value for value in found if 1 < len(value) <= 40}, key=lambda v: (-len(v), v))


def _title(schema: dict[str, Any], description: str) -> str:
    """A short noun for the parameter, when its description starts with one."""
    title = schema.get("title")
    clause = _CLAUSE_END.split(without_examples(description), maxsplit=1)[0].strip()
    if clause and (len(clause) <= 8 if has_chinese(clause) else len(clause.split()) <= 4):
        return clause
    return title if isinstance(title, str) else ""


def _label(name: str, schema: dict[str, Any], description: str) -> re.Pattern[str]:
    aliases = {re.escape(name), r"[\s_-]*".join(map(re.escape, name_words(name)))}
    title = _title(schema, description)
    if title and not has_chinese(title):
        words = [word for word in name_words(title) if word not in ("the", "a", "an")]
        aliases.add(r"\s+".join(map(re.escape, words)))
    elif run := CJK_RUN.fullmatch(title):
        short = _ALIAS_SUFFIX_ZH.sub("", _ALIAS_PREFIX_ZH.sub("", run.group()))
        aliases |= {word for word in (run.group(), short) if len(word) > 1}
    pattern = "|".join(sorted(aliases - {""}, key=lambda alias: (-len(alias), alias)))
    latin = rf"(?<![A-Za-z0-9_])(?:{pattern or re.escape(name)})(?:e?s)?(?![A-Za-z0-9_])"
    cjk = "|".join(a for a in sorted(aliases, key=len, reverse=True) if re.search(f"[{CJK}]", a))
    return re.compile(f"{latin}|{cjk}" if cjk else latin, re.IGNORECASE)
