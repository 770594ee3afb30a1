"""A run's way between the loops."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

from agents.bridge import Bridge, Stopped, Task
from myagent import create_react_agent
from myagent.agent import Runnable
from myagent.messages import ChatMessage
from myagent.runnable import NOTHING_DONE
from myagent.steps import Step
from myagent.testing import ScriptedModel
from tests.agents.test_session_property import PATIENCE_S, agent_loop


class Receiver:
    """Waits for the end of a run."""

    def __init__(self) -> None:
        self.stopped: asyncio.Future[Stopped] = asyncio.get_running_loop().create_future()

    def on_steps(self, steps: Sequence[Step], bridge: Bridge) -> None:
        raise AssertionError(f"nothing was to happen: {steps}")

    def on_step_started(self, step: int) -> None:
        raise AssertionError("nothing was to happen")

    def on_text(self, step: int, text: str) -> None:
        raise AssertionError("nothing was to happen")

    def on_stopped(self, outcome: Stopped) -> None:
        self.stopped.set_result(outcome)


async def silent() -> Runnable:
    return create_react_agent(model=ScriptedModel([]))


async def test_a_run_that_is_cancelled_before_its_first_step_says_that_it_stopped() -> None:
    receiver, gate = Receiver(), threading.Event()
    with agent_loop() as agents:
        # Both calls wait behind code that blocks the loop.
        agents.call(gate.wait)
        bridge = Bridge(agents, receiver)
        bridge.start(Task(silent, [ChatMessage("user", "hi")], NOTHING_DONE, False))
        bridge.cancel()
        gate.set()
        async with asyncio.timeout(PATIENCE_S):
            assert await receiver.stopped == Stopped(None)
