"""Tools with random names and words, and questions that fit them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from myagent.models.base import ToolSpec

CONSONANTS = "bdfgklmnprtvz"
VOWELS = "aeiou"
HAN = "枫澜煜霖琥珀钧瑶翎岚骥苔芷鲸蜻鹭砚笺帆舟橡榆槐梭锚碇珊瑚瀑溪涧峦麓沼"
LETTERS = "天地玄黄宇宙洪荒"


@dataclass(frozen=True)
class Case:
    tools: list[ToolSpec]
    expected: ToolSpec
    args: dict[str, Any]
    question: str


class Words:
    """Words that nobody knows, each given out once."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.used: set[str] = set()

    def english(self) -> str:
        while True:
            syllables = self.dice.randint(2, 3)
            word = "".join(
                self.dice.choice(CONSONANTS) + self.dice.choice(VOWELS) for _ in range(syllables)
            ) + self.dice.choice(("", "n", "rk", "st", "l"))
            if word not in self.used and not any(word in one or one in word for one in self.used):
                self.used.add(word)
                return word

    def chinese(self) -> str:
        while True:
            word = "".join(self.dice.sample(HAN, 2))
            if word not in self.used:
                self.used.add(word)
                return word


def make_case(seed: int, *, language: str, labelled: bool, missing: bool = False) -> Case:
    """A set of tools, one of which is asked for; `missing` leaves out one required value."""
    dice = random.Random(seed)
    words = Words(dice)
    tools = [make_tool(dice, words, language, labelled) for _ in range(dice.randint(1, 5))]
    expected = dice.choice(tools)
    properties = expected.parameters["properties"]
    required = expected.parameters["required"]
    args: dict[str, Any] = {}
    for name, schema in properties.items():
        if name in required or (labelled and dice.random() < 0.5):
            args[name] = make_value(dice, words, schema, language)
    said = dict(args)
    if missing:
        said.pop(required[0])
    question = make_question(dice, expected, said, language, labelled)
    return Case(tools, expected, args, question)


def make_tool(dice: random.Random, words: Words, language: str, labelled: bool) -> ToolSpec:
    name_words = [words.english() for _ in range(dice.randint(1, 3))]
    name = (
        "_".join(name_words)
        if dice.random() < 0.5
        else name_words[0] + "".join(word.title() for word in name_words[1:])
    )
    if language == "en":
        description = f"Gets the {words.english()} {words.english()} of a {words.english()}."
    else:
        description = f"查询{words.chinese()}的{words.chinese()}，返回{words.chinese()}"
    # Values of one kind only once: without names beside them nobody could tell them apart.
    kinds = ["string", "boolean", "enum", *dice.sample(["integer", "array"], 2 if labelled else 1)]
    kinds = dice.sample(kinds, dice.randint(1, 4))
    properties = {words.english(): make_schema(dice, words, kind, language) for kind in kinds}
    names = list(properties)
    required = names[: dice.randint(1, len(names))]
    schema = {"type": "object", "properties": properties, "required": required}
    return ToolSpec(name, description, schema)


def make_schema(dice: random.Random, words: Words, kind: str, language: str) -> dict[str, Any]:
    word = words.english if language == "en" else words.chinese
    match kind:
        case "integer":
            return {"type": dice.choice(("integer", "number"))}
        case "enum":
            return {"type": "string", "enum": [word() for _ in range(3)]}
        case "array":
            return {"type": "array", "items": {"type": "number"}}
        case _:
            return {"type": kind, "description": f"The {words.english()}"}


def make_value(dice: random.Random, words: Words, schema: dict[str, Any], language: str) -> Any:
    if "enum" in schema:
        return dice.choice(schema["enum"])
    match schema["type"]:
        case "integer":
            return dice.randint(-500, 500)
        case "number":
            return dice.choice((dice.randint(0, 99), dice.randint(1, 999) / 8))
        case "boolean":
            return dice.random() < 0.5
        case "array":
            return [dice.randint(1, 99) for _ in range(dice.randint(2, 4))]
        case _:
            value = words.english() if language == "en" else words.chinese()
            return dice.choice((value, value.title()))


def make_question(
    dice: random.Random, tool: ToolSpec, args: dict[str, Any], language: str, labelled: bool
) -> str:
    topic = make_topic(dice, tool, language)
    parts = [make_part(dice, name, value, language, labelled) for name, value in args.items()]
    dice.shuffle(parts)
    if language == "zh":
        opening = dice.choice(("请帮我", "我想知道", ""))
        return f"{opening}{topic}，{'，'.join(parts)}" if parts else f"{opening}{topic}？"
    opening = dice.choice(("Please ", "What is the ", "Can you show me the ", ""))
    joint = ", " if labelled else dice.choice((" with ", " for ", " "))
    return f"{opening}{topic}{joint}{', '.join(parts)}".rstrip(" ,") + dice.choice(("", "?", "."))


def make_topic(dice: random.Random, tool: ToolSpec, language: str) -> str:
    if language == "zh":
        return tool.description.split("，")[0]
    by_name = "".join(f" {char.lower()}" if char.isupper() else char for char in tool.name)
    by_description = tool.description.removeprefix("Gets the ").removesuffix(".")
    return dice.choice((tool.name, by_name.replace("_", " "), by_description))


def make_part(dice: random.Random, name: str, value: Any, language: str, labelled: bool) -> str:
    if isinstance(value, list):
        said = ", ".join(map(str, value)) if language == "en" else "、".join(map(str, value))
    elif isinstance(value, bool):
        said = str(value).lower()
    else:
        said = str(value)
    if not labelled:
        return said
    forms = (
        ("{0}={1}", "{0}: {1}", "{0} is {1}", "{0} {1}", "set {0} to {1}")
        if language == "en"
        else ("{0}={1}", "{0}：{1}", "{0}为{1}", "{0} 是 {1}", "把 {0} 设为 {1}")
    )
    return dice.choice(forms).format(name, said)
