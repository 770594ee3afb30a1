from __future__ import annotations

import pytest

from myagent.tool import BaseTool, ToolDefinitionError, tool
from myagent.tool.toolbox import Toolbox


class Annotated(BaseTool):
    name: str = "annotated"
    description: str = "A tool"
    parameters: dict = {"type": "object", "properties": {"a": {"type": "string"}}}  # noqa: RUF012

    async def execute(self, a: str = "") -> str:
        return a


class Plain(BaseTool):
    """Says things."""

    name = "plain"

    def __init__(self, word: str = "") -> None:
        self.word = word

    def execute(self, **kwargs: object) -> str:
        return self.word


def test_attributes_with_and_without_annotations_work() -> None:
    specs = Toolbox([Annotated(), Plain("x")]).specs
    assert [spec.name for spec in specs] == ["annotated", "plain"]
    assert specs[0].parameters["properties"] == {"a": {"type": "string"}}


def test_a_tool_without_a_description_has_its_docstring() -> None:
    assert Toolbox([Plain()]).specs[0].description == "Says things."


def test_a_name_may_come_from_init_or_a_property() -> None:
    class FromInit(BaseTool):
        def __init__(self) -> None:
            self.name = "from_init"
            self.execute = lambda: "x"

    class FromProperty(Plain):
        @property
        def name(self) -> str:
            return "from_property"

    assert Toolbox([FromInit(), FromProperty()]).names == ("from_init", "from_property")


def test_classes_and_functions_are_tools_too() -> None:
    def shout(text: str) -> str:
        """Says it loud."""
        return text.upper()

    @tool
    async def whisper(text: str) -> str:
        return text.lower()

    toolbox = Toolbox([Plain, shout, whisper])
    assert toolbox.names == ("plain", "shout", "whisper")
    assert toolbox.specs[1].description == "Says it loud."


def test_the_attributes_that_may_be_left_out_have_defaults() -> None:
    (entry,) = Toolbox([Plain])
    assert (entry.idempotent, entry.requires_confirmation, entry.timeout_s) == (False, False, 60)


class Nameless(BaseTool):
    def execute(self) -> None: ...


class Lifeless(BaseTool):
    name = "lifeless"


class Demanding(Plain):
    def __init__(self, word: str) -> None: ...


class BadlyNamed(Plain):
    name = "say hello"


class Hasty(Plain):
    timeout_s = 0


class Schemeless(Plain):
    parameters = ["a"]  # noqa: RUF012


@pytest.mark.parametrize(
    ("tools", "sentence"),
    [
        ([Nameless], "Nameless has no name: set name"),
        ([Lifeless], r"Lifeless has no execute\(\)"),
        ([Demanding], "Demanding can't be made without arguments"),
        ([BadlyNamed], "'say hello' can't be a tool's: use letters"),
        ([Hasty], "Hasty: 'timeout_s' is 0"),
        ([Schemeless], "The tool 'plain': 'parameters' must be a dict, not list"),
        ([Plain(), Plain("x")], "Two tools have the name 'plain'"),
        ([3], "3 in 'tools' is not a tool"),
        ([lambda text: text], "use letters"),
    ],
)
def test_what_can_not_work_is_told_to_the_developer(tools: list, sentence: str) -> None:
    with pytest.raises(ToolDefinitionError, match=sentence):
        Toolbox(tools)
