from __future__ import annotations

import asyncio
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from textwrap import dedent

import pytest

from myagent.agent import Agent, ForeignAgent, Runnable
from myagent.loading import AgentFileError, load_agent_file
from myagent.messages import ChatMessage
from myagent.steps import Answer
from tests.myagent.runs import one, refuse_to_be_asked

Write = Callable[..., Path]

SCRIPTED = """
from myagent.testing import ScriptedModel, call
model = ScriptedModel(lambda request: request.texts[-1].upper())
"""


@pytest.fixture(autouse=True)
def _as_it_was(tmp_path: Path) -> Iterator[None]:
    path, modules = [*sys.path], {*sys.modules}
    yield
    sys.path[:] = path
    for name in {*sys.modules} - modules:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path.resolve())):
            del sys.modules[name]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(source: str | bytes, name: str = "my_agent.py") -> Path:
        path = tmp_path / name
        path.write_bytes(source if isinstance(source, bytes) else dedent(source).encode())
        return path

    return write


async def answer_of(agent: Runnable, text: str = "hello") -> str:
    history = [ChatMessage("user", text)]
    async with aclosing(agent.run(history, confirm=refuse_to_be_asked)) as steps:
        return one(Answer, [step async for step in steps]).text


REACT = """
from myagent import create_react_agent
from myagent.tool.base_tool import BaseTool, ToolResult
from myagent.testing import ScriptedModel, call

class HelloTool(BaseTool):
    name{annotation} = "say_hello"
    description{annotation} = "Greets someone"
    parameters = {{
        "type": "object", "properties": {{"name": {{"type": "string"}}}}, "required": ["name"]
    }}

    {kind} execute(self, name: str) -> ToolResult:
        return ToolResult({result})

def reply(request):
    return request.texts[-2] if len(request.messages) > 3 else call("say_hello", name="Bo")

agent = create_react_agent(name="hello", tools=[HelloTool()], system_prompt="…",
                           next_step_prompt="…", max_steps=3, enable_tracing=True,
                           model=ScriptedModel(reply))
"""


@pytest.mark.parametrize("annotation", ["", ": str"])
@pytest.mark.parametrize("kind", ["def", "async def"])
@pytest.mark.parametrize(
    "result", ['output=f"Hello, {name}!"', 'success=True, content=f"Hello, {name}!"']
)
async def test_an_agent_with_a_tool_loads_and_runs(write: Write, annotation, kind, result) -> None:
    path = write(REACT.format(annotation=annotation, kind=kind, result=result))
    agent_file = load_agent_file(path)
    assert (agent_file.name, agent_file.path) == ("my_agent", path)
    assert await answer_of(await agent_file.create()) == "Hello, Bo!"


FORMS = {
    "tools in their several forms": """
        from myagent import create_react_agent, tool
        from myagent.tool import BaseTool, ToolResult

        @tool
        def first(a: int) -> int: return a

        @tool(name="second", idempotent=True)
        async def other(a: int) -> int: return a

        class Third(BaseTool):
            name: str = "third"
            description: str = "x"
            async def execute(self, **kwargs): return ToolResult(error="no")

        def fourth(text: str = "") -> str: return text

        agent = create_react_agent("x", [first, other, Third, fourth], model=model)
        assert agent.toolbox.names == ("first", "second", "third", "fourth")
    """,
    "a factory": """
        from myagent import create_react_agent
        def create_agent(): return create_react_agent("x", model=model)
    """,
    "an async factory": """
        from myagent import create_react_agent
        async def create_agent(): return create_react_agent("x", model=model)
    """,
    "a factory beside a module of the name": """
        import myagent.agent as agent
        def create_agent(): return agent.create_react_agent("x", model=model)
    """,
    "an agent before a factory": """
        from myagent import Agent
        agent = Agent("x", model=model)
        def create_agent(): raise AssertionError
    """,
    "a placeholder before a factory": """
        from myagent import Agent
        agent = None
        def create_agent(): return Agent("x", model=model)
    """,
    "arun": """
        class Mine:
            async def arun(self, text): return text.upper()
        agent = Mine()
    """,
    "a plain arun": """
        class Mine:
            def arun(self, text): return text.upper()
        agent = Mine()
    """,
    "astream": """
        class Mine:
            async def astream(self, text):
                yield text[:2].upper()
                yield text[2:].upper()
        agent = Mine()
    """,
    "an async generator function": """
        async def agent(text):
            for letter in text: yield letter.upper()
    """,
    "an async function": """
        async def agent(text): return text.upper()
    """,
    "a factory of a foreign agent": """
        class Mine:
            async def arun(self, text): return text.upper()
        def create_agent(): return Mine()
    """,
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
async def test_every_form_of_an_agent_loads_and_runs(write: Write, form: str) -> None:
    agent_file = load_agent_file(write(dedent(SCRIPTED) + dedent(form)))
    assert await answer_of(await agent_file.create()) == "HELLO"


def test_an_agent_file_answers_as_a_program_with_no_server(write: Write) -> None:
    source = """
from myagent import create_react_agent
agent = create_react_agent("x", model=model)

if __name__ == "__main__":
    import asyncio

    async def steps():
        async for step in agent.astream("streamed"):
            print(type(step).__name__)

    print(asyncio.run(agent.arun("text")))
    asyncio.run(steps())
"""
    path = write(SCRIPTED + source)
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, str(path)],
        capture_output=True, text=True, check=True, env={"PYTHONPATH": str(root)},
    )  # fmt: skip
    assert done.stdout.split() == ["TEXT", "StepStarted", "TextDelta", "Thought", "Answer"]


async def test_the_main_block_is_not_run(write: Write) -> None:
    load_agent_file(
        write("async def agent(text): ...\nif __name__ == '__main__': raise SystemExit")
    )


async def test_each_session_gets_an_agent_of_its_own(write: Write) -> None:
    source = """
        from myagent import Agent
        class Tools: pass
        {}
    """
    for definition in (
        "agent = Agent('x', model=model)",
        "def create_agent(): return Agent('x', model=model)",
    ):
        agent_file = load_agent_file(write(SCRIPTED + dedent(source.format(definition))))
        first, second = await agent_file.create(), await agent_file.create()
        assert isinstance(first, Agent)
        assert first is not second


async def test_a_copy_shares_its_tools(write: Write) -> None:
    agent_file = load_agent_file(write(REACT.format(annotation="", kind="def", result="")))
    first, second = await agent_file.create(), await agent_file.create()
    assert first.tools[0] is second.tools[0]
    assert first.toolbox is second.toolbox


async def test_a_foreign_object_is_copied_for_each_session(write: Write) -> None:
    source = """
        class Counting:
            count = 0
            async def arun(self, text):
                self.count += 1
                return self.count
        agent = Counting()
    """
    agent_file = load_agent_file(write(source))
    first, second = await agent_file.create(), await agent_file.create()
    assert isinstance(first, ForeignAgent)
    assert first.name == "my_agent"
    assert [await answer_of(a) for a in (first, first, second)] == ["1", "2", "1"]


async def test_an_agent_that_can_not_be_copied_says_what_to_do(write: Write) -> None:
    source = """
        class Single:
            async def arun(self, text): return text
            def __copy__(self): raise TypeError("there is only one")
        agent = Single()
    """
    with pytest.raises(AgentFileError, match=r"there is only one.*write a create_agent\(\)"):
        await load_agent_file(write(source)).create()


def test_neighbours_can_be_imported(write: Write, tmp_path: Path) -> None:
    write("WORD = 'from next door'", "neighbour_words.py")
    path = write("from neighbour_words import WORD\nasync def agent(text): return WORD")
    for _ in range(2):
        agent = asyncio.run(load_agent_file(path).create())
        assert asyncio.run(answer_of(agent)) == "from next door"
    assert sys.path.count(str(tmp_path.resolve())) == 1


async def test_dataclasses_pickle_and_postponed_hints_work_in_the_file(write: Write) -> None:
    source = """
        from __future__ import annotations
        import pickle
        from dataclasses import dataclass, field
        from typing import ClassVar

        @dataclass
        class Note:
            text: str
            kind: ClassVar[str] = "note"

        async def agent(text): return pickle.dumps(Note(text))
        agent.note = Note
    """
    agent_file = load_agent_file(write(source))
    note = agent_file.source.note
    assert pickle.loads(pickle.dumps(note("x"))) == note("x")


def test_a_class_of_the_file_is_known_by_the_stem(write: Write) -> None:
    path = write("class Mine:\n    async def arun(self, text): ...\nagent = Mine()")
    agent = load_agent_file(path).source
    assert type(agent).__module__ == "my_agent"
    assert sys.modules["my_agent"].__spec__ is not None
    assert isinstance(pickle.loads(pickle.dumps(agent)), type(agent))


@pytest.mark.parametrize("name", ["json", "openai", "pytest", "httpx", "test.loading", "tests"])
def test_a_stem_that_is_taken_stays_with_its_owner(write: Write, name: str) -> None:
    before = sys.modules.get(name)
    agent = load_agent_file(write("async def agent(text): ...", f"{name}.py")).source
    assert sys.modules.get(name) is before
    assert agent.__module__.startswith("_agent_file_")
    assert sys.modules[agent.__module__].agent is agent


def test_a_folder_of_the_same_name_does_not_take_it(write: Write, tmp_path: Path) -> None:
    (tmp_path / "lib" / "my_agent").mkdir(parents=True)
    sys.path.append(str(tmp_path / "lib"))
    assert load_agent_file(write("async def agent(text): ...")).source.__module__ == "my_agent"


def test_files_of_the_same_stem_are_not_mixed_up(write: Write, tmp_path: Path) -> None:
    sources = []
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        source = f"WORD = '{folder}'\nasync def agent(text): return WORD"
        sources.append(load_agent_file(write(source, f"{folder}/my_agent.py")).source)
    assert [asyncio.run(source("")) for source in sources] == ["first", "second"]
    assert [sys.modules[source.__module__].WORD for source in sources] == ["first", "second"]


def test_the_same_file_loads_twice_side_by_side(write: Write) -> None:
    path = write("class Mine:\n    async def arun(self, text): ...\nagent = Mine()")
    first, second = load_agent_file(path).source, load_agent_file(path).source
    assert type(first).__module__ != type(second).__module__


def test_a_relative_path_and_other_encodings_work(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("# coding: latin-1\nWORD = 'é'\nasync def agent(text): ...".encode("latin-1"))
    monkeypatch.chdir(path.parent)
    assert load_agent_file("my_agent.py").source.__globals__["WORD"] == "é"


WRONG = {
    "syntax": ("agent = 1\ndef (:\n", r"line 2: syntax error: invalid syntax"),
    "missing module": ("\nimport no_such_thing.at_all\n", r"line 2: it imports 'no_such_thing'"),
    "missing name": (
        "from myagent import agnet",
        "line 1: an import failed: ImportError: cannot import",
    ),
    "exception": ("x = 1\n1 / 0\n", "line 2: it raised ZeroDivisionError: division by zero while"),
    "exception in a function": ("def f():\n    raise ValueError('no')\nf()", "line 2: it raised V"),
    "a variable that is not set": (
        "import os\nKEY = os.environ['APP_KEY']",
        r"line 2: it needs the environment variable APP_KEY, .*\.env beside it.* --env APP_KEY=…"
        r".* MYAGENT_PASS_ENV=APP_KEY",
    ),
    "a variable of the site": (
        "import os\nKEY = os.environ['DATABASE_URL']",
        "line 2: it needs the environment variable DATABASE_URL, which is a setting of the site",
    ),
    "a key of a dict": ("x = {}\nx['APP_KEY']", "line 2: it raised KeyError: 'APP_KEY'"),
    "several lines": ("raise ValueError('one\\ntwo')", "it raised ValueError: one two while"),
    "exit": ("import sys\nsys.exit(3)", "line 2: it ended the program"),
    "nothing": ("x = 1", r"has no agent: give it a module-level 'agent', or a function create_a"),
    "a number": ("agent = 3", "'agent' is an object of type int, which is not an agent"),
    "a class": (
        "class Mine:\n    async def arun(self, text): ...\nagent = Mine",
        r"'agent' is the class Mine, .* agent = Mine\(\)",
    ),
    "a plain function": ("def agent(text): ...", r"the function agent\(\).*'async def'.*arun\("),
    "a coroutine": (
        "async def make(): ...\nagent = make()",
        r"an object of type coroutine.*'async def create_agent\(\)'",
    ),
    "a module": ("import sys as agent", "the module sys"),
    "a factory that is none": ("create_agent = 3", "'create_agent' is an object of type int"),
    "a demanding factory": ("def create_agent(name): ...", "a required argument: 'name'"),
    "a bad tool": (
        "from myagent import create_react_agent\nagent = create_react_agent(tools=[3])",
        "line 2: it raised ToolDefinitionError: 3 in 'tools' is not a tool",
    ),
    "binary": (b"\x7fELF\0\0", "not a Python file: it holds binary data"),
    "not utf-8": (b"x = '\xff'", "my_agent.py"),
    "too deep": ("x = " + "(" * 500 + ")" * 500, "my_agent.py"),
}


@pytest.mark.parametrize(("source", "sentence"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_with_a_file_is_one_sentence_that_names_it(
    write: Write, source, sentence: str
) -> None:
    path = write(source)
    with pytest.raises(AgentFileError, match=sentence) as caught:
        load_agent_file(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("missing.py", "missing.py: there is no such file"),
        ("", "is a directory"),
        ("notes.txt", "notes.txt is not a Python file: its name must end in .py"),
    ],
)
def test_a_path_that_is_no_agent_file_is_told(
    tmp_path: Path, write: Write, name: str, sentence: str
) -> None:
    write("x", "notes.txt")
    with pytest.raises(AgentFileError, match=sentence):
        load_agent_file(tmp_path / name)


def test_the_cause_is_kept_for_those_who_want_the_traceback(write: Write) -> None:
    with pytest.raises(AgentFileError) as caught:
        load_agent_file(write("1 / 0"))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_file_that_failed_leaves_no_module_behind(write: Write) -> None:
    before = {*sys.modules}
    with pytest.raises(AgentFileError):
        load_agent_file(write("1 / 0"))
    assert {*sys.modules} - before == set()


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("raise ValueError('no key')", r"line 2: create_agent\(\) raised ValueError: no key\."),
        ("import os; os.environ['APP_KEY']", r"line 2: it needs the environment variable APP_KEY"),
        ("raise SystemExit(1)", r"create_agent\(\) raised SystemExit: 1"),
        ("return 3", r"create_agent\(\) returned an object of type int"),
        ("pass", r"create_agent\(\) returned None"),
    ],
)
async def test_a_factory_that_fails_is_told(write: Write, body: str, sentence: str) -> None:
    for kind in ("def", "async def"):
        agent_file = load_agent_file(write(f"{kind} create_agent():\n    {body}"))
        with pytest.raises(AgentFileError, match=sentence):
            await agent_file.create()


def test_sessions_can_be_made_on_any_loop(write: Write) -> None:
    agent_file = load_agent_file(write("async def agent(text): return text"))
    for _ in range(2):
        assert asyncio.run(answer_of(asyncio.run(agent_file.create()))) == "hello"
