"""Several links, and what is said on them."""

from __future__ import annotations

from myagent import create_react_agent
from myagent.agent import Runnable
from myagent.steps import Answer, Thought
from myagent.testing import ScriptedModel
from myagent.worker.protocol import Stepping, Steps, Text
from tests.inline_worker import inline_worker
from tests.myagent.worker.dialling import dialled, start


async def echo() -> Runnable:
    model = ScriptedModel(lambda request: f"echo {request.texts[-1]}")
    return create_react_agent(model=model)


async def test_a_run_is_told_step_by_step_and_its_last_thought_with_the_answer() -> None:
    with inline_worker(echo) as worker:
        async with dialled(worker.path) as link:
            link.say(start("hello"))
            stepping = await link.hear(Stepping)
            text = await link.hear(Text)
            steps = await link.hear(Steps)
    assert (stepping.step, text.step, text.text) == (1, 1, "echo hello")
    thought, answer = steps.steps
    assert isinstance(thought, Thought) and isinstance(answer, Answer)
    assert answer.text == "echo hello"
