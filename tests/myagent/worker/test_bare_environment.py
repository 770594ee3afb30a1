"""An agent whose environment has none of the site's dependencies, nor the SDK."""

from __future__ import annotations

import pytest

from tests.myagent.worker.workers import Worker

pytestmark = pytest.mark.processes


@pytest.mark.parametrize(
    "source",
    [
        """
        class Foreign:
            async def arun(self, text):
                return {"said": text, "numbers": [1.5, None]}

        agent = Foreign()
        """,
        """
        class Foreign:
            async def astream(self, text, history):
                yield '{"said":"' + text
                yield {"content": '","numbers":[1.5,null]}'}

        def create_agent():
            return Foreign()
        """,
    ],
)
def test_a_foreign_agent_loads_and_answers(bare_worker: Worker, source: str) -> None:
    bare_worker.write(my_agent=source)
    answer = bare_worker.answer("my_agent.py", "größer")
    assert answer == '{"said":"größer","numbers":[1.5,null]}'


def test_an_agent_without_tools_needs_nothing_else(bare_worker: Worker) -> None:
    bare_worker.write(
        my_agent="from myagent import create_react_agent\nagent = create_react_agent()"
    )
    assert "demo" in bare_worker.answer("my_agent.py", "Hello")


NEEDY = {
    "hints": (
        "from myagent import Agent, tool\n@tool\ndef f(a: int): ...\nagent = Agent(tools=[f])"
    ),
    "factory": (
        "from myagent import Agent, tool\n@tool\ndef f(a: int): ...\n"
        "def create_agent(): return Agent(tools=[f])"
    ),
}


@pytest.mark.parametrize("source", NEEDY.values(), ids=NEEDY.keys())
def test_what_tools_need_is_told_with_how_to_install_it(bare_worker: Worker, source: str) -> None:
    bare_worker.write(my_agent=source)
    assert bare_worker.refusal("my_agent.py") == (
        f"{bare_worker.folder}/my_agent.py, line 4: it needs jsonschema>=4.23, which its "
        f"environment lacks; {bare_worker.python} -m pip install 'jsonschema>=4.23' installs it."
    )


def test_what_a_model_needs_is_told_before_anybody_asks(bare_worker: Worker) -> None:
    bare_worker.write(my_agent="from myagent import Agent\nagent = Agent()")
    told = bare_worker.refusal("my_agent.py", OPENAI_API_KEY="x")
    assert "my_agent.py: it needs openai[aiohttp]>=3,<4, which its environment lacks;" in told


def test_what_a_factorys_model_needs_is_told_to_who_asks(bare_worker: Worker) -> None:
    bare_worker.write(my_agent="from myagent import Agent\ndef create_agent(): return Agent()")
    done = bare_worker.run("my_agent.py", "Hello", OPENAI_API_KEY="x")
    assert "the agent's environment lacks the package" in done.stderr


def test_what_the_agent_itself_lacks_is_told_as_such(bare_worker: Worker) -> None:
    bare_worker.write(my_agent="\nimport openai")
    assert bare_worker.refusal("my_agent.py").endswith(
        "line 2: it imports 'openai', which is not installed and not next to the file."
    )
