"""Neighbours that are called like other modules: the agent file gets them, the SDK does not."""

from __future__ import annotations

import pytest

from tests.fake_model import fake_model_process
from tests.myagent.worker.workers import Worker

pytestmark = pytest.mark.processes

IMPORTED_BY_A_WORKER = ["asyncio", "json", "logging", "orjson", "threading", "secrets", "uuid"]
OF_THE_SITE = ["agents", "services", "channels", "django", "traces"]
SILLY = ["email", "queue", "typing", "select", "tokenize", "enum"]


@pytest.mark.parametrize("name", IMPORTED_BY_A_WORKER + OF_THE_SITE + SILLY)
@pytest.mark.parametrize("kind", ["module", "package"])
def test_a_neighbour_wins_over_whatever_is_called_like_it(
    worker: Worker, name: str, kind: str
) -> None:
    source = f"""
        import {name}

        async def agent(text):
            return str(getattr({name}, "WORD", None))

        if __name__ == "__main__":
            print(getattr({name}, "WORD", None))
    """
    place = name if kind == "module" else f"{name}___inner"
    worker.write(my_agent=source, **{place: "WORD = 'from next door'"})
    if kind == "package":
        worker.write(**{f"{name}_____init__": f"from {name}.inner import WORD"})
    assert worker.answer("my_agent.py") == worker.as_a_program("my_agent.py").strip()


def test_what_python_takes_before_any_folder_it_takes_here_too(worker: Worker) -> None:
    source = """
        import os, sys, time

        async def agent(text):
            return str([hasattr(module, "WORD") for module in (os, sys, time)])
    """
    worker.write(my_agent=source, os="WORD = 1", sys="WORD = 1", time="WORD = 1")
    assert worker.answer("my_agent.py") == "[False, False, False]"


def test_a_folder_that_is_no_package_hides_nothing(worker: Worker) -> None:
    worker.write(
        my_agent="import email\nasync def agent(text): return email.__file__[-17:]",
        email___notes="",
        myagent___notes="",
    )
    assert worker.answer("my_agent.py") == "email/__init__.py"


def test_neighbours_that_hide_nothing_are_loaded_once(worker: Worker) -> None:
    worker.write(
        my_agent="""
        import words
        from myagent import create_react_agent, tool

        @tool
        def first(number: int) -> int:
            return number

        import words as again
        async def agent(text): return str((words is again, words.LOADED))
        """,
        words="LOADED = []\nLOADED.append(1)",
    )
    assert worker.answer("my_agent.py") == "(True, [1])"


WITH_EVERYTHING = """
    {imports}
    from dataclasses import dataclass
    from typing import Annotated
    from myagent import BaseTool, create_react_agent, tool

    @dataclass
    class Place:
        city: str

    @tool
    def weather(place: Place, days: int = 1) -> str:
        "Tell the weather"
        return f"{{place.city}} {{days}} {{place.__class__.__name__}}"

    class Other(BaseTool):
        name = "other"
        description = "Does nothing"
        parameters = {{"type": "object", "properties": {{"a": {{"type": "string"}}}}}}

        def execute(self, a=""):
            return a

    agent = create_react_agent(tools=[weather, Other])
"""

QUESTION = (
    '[[tool weather {"place": {"city": "Rome"}, "days": 2}]] [[tool other {"a": 1}]] Weather?'
)
LIBRARIES_OF_OURS = [
    *("openai", "httpx", "httpx2", "aiohttp", "anyio", "pydantic", "jsonschema", "referencing"),
    "orjson",
]
OTHERS_OF_OURS = [
    *("email", "types", "ssl", "http", "json", "logging", "uuid", "queue", "decimal", "hashlib"),
    *("platform", "inspect", "copy", "random", "distro", "jiter", "attr", "attrs"),
]
NAMED_LIKE_OURS = LIBRARIES_OF_OURS + OTHERS_OF_OURS


def ask_with_the_real_client(worker: Worker, name: str, question: str = QUESTION) -> str:
    with fake_model_process() as url:
        env = {"OPENAI_BASE_URL": url, "OPENAI_MODEL": "test-model"}
        answer = worker.answer(f"{name}.py", question, **env)
    assert isinstance(answer, str)
    return answer


def check_answer(answer: str) -> None:
    assert "Rome 2 Place" in answer
    assert "do not fit the tool's schema" in answer


@pytest.mark.parametrize(
    "name",
    [
        *LIBRARIES_OF_OURS,
        *(pytest.param(name, marks=pytest.mark.long) for name in OTHERS_OF_OURS),
    ],
)
def test_an_agent_file_called_like_what_the_sdk_needs_works(worker: Worker, name: str) -> None:
    worker.write(**{name: WITH_EVERYTHING.format(imports="")})
    check_answer(ask_with_the_real_client(worker, name))


def test_neighbours_called_like_what_the_sdk_needs_are_not_taken_for_it(worker: Worker) -> None:
    silly = dict.fromkeys(NAMED_LIKE_OURS, "raise AssertionError('only the agent may import this')")
    worker.write(my_agent=WITH_EVERYTHING.format(imports=""), **silly)
    check_answer(ask_with_the_real_client(worker, "my_agent"))


OF_NO_USE_TO_OTHERS = ["openai", "httpx2", "aiohttp", "jsonschema", "orjson", "referencing"]


def test_neighbours_that_the_agent_has_imported_are_not_taken_for_it_either(
    worker: Worker,
) -> None:
    names = OF_NO_USE_TO_OTHERS
    imports = f"import {', '.join(names)}; assert all(m.WORD for m in [{', '.join(names)}])"
    worker.write(
        my_agent=WITH_EVERYTHING.format(imports=imports), **dict.fromkeys(names, "WORD = 1")
    )
    check_answer(ask_with_the_real_client(worker, "my_agent"))


NEEDS_IT_LATE = """
    from myagent import create_react_agent, tool

    @tool
    def late() -> str:
        "Imports what the model's client does without"
        from openai import AzureOpenAI
        return AzureOpenAI.__name__

    agent = create_react_agent(tools=[late])
"""


def test_nor_are_they_where_a_tool_asks_the_openai_package_for_more(worker: Worker) -> None:
    silly = dict.fromkeys(["httpx2", "inspect"], "raise AssertionError('not what was meant')")
    worker.write(my_agent=NEEDS_IT_LATE, **silly)
    answer = ask_with_the_real_client(worker, "my_agent", "[[tool late {}]] Which?")
    assert "AzureOpenAI" in answer


def test_a_tool_that_imports_a_neighbour_called_like_the_model_s_client_gets_it(
    worker: Worker,
) -> None:
    source = NEEDS_IT_LATE.replace("from openai import AzureOpenAI", "import openai")
    worker.write(my_agent=source.replace("AzureOpenAI.__name__", "openai.WORD"))
    worker.write(openai="WORD = 'from next door'")
    answer = ask_with_the_real_client(worker, "my_agent", "[[tool late {}]] Which?")
    assert "from next door" in answer


def test_a_package_called_like_the_model_s_client_is_not_taken_for_it_at_the_start(
    worker: Worker,
) -> None:
    worker.write(
        my_agent="""
        import openai
        from myagent import create_react_agent
        agent = create_react_agent(tools=[], description=openai.WORD)
        """,
        openai_____init__="WORD = 'from next door'",
    )
    with fake_model_process() as url:
        done = worker.run("my_agent.py", "Hello", OPENAI_BASE_URL=url, OPENAI_MODEL="test-model")
    # What it needs is there; that the package imports more of itself later is another matter.
    assert "which its environment lacks" not in done.stderr


@pytest.mark.parametrize(
    "statement", ["import openai", "from openai.types.chat import ChatCompletion as openai"]
)
def test_a_thread_of_the_agent_may_import_the_model_s_client_meanwhile(
    worker: Worker, statement: str
) -> None:
    worker.write(
        my_agent=f"""
        import threading
        from myagent import create_react_agent, tool

        said = []

        def work():
            try:
                {statement}
            except BaseException as error:
                said.append(repr(error))
            else:
                said.append("got " + openai.__name__)

        thread = threading.Thread(target=work)
        thread.start()

        @tool
        def told() -> str:
            "What the thread has to say"
            thread.join()
            return said[0]

        agent = create_react_agent(tools=[told])
        """
    )
    answer = ask_with_the_real_client(worker, "my_agent", "[[tool told {}]] Well?")
    assert "got " in answer
