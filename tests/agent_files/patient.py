"""Calls the tool that the message names: one waits until it is cancelled, one answers at once."""

import asyncio

from myagent import create_react_agent, tool
from myagent.testing import ScriptedModel, call


@tool
async def wait() -> str:
    """Waits."""
    await asyncio.Event().wait()
    return "never"


@tool
def count() -> str:
    """Counts."""
    return "one"


def reply(request):
    last = request.messages[-1]
    return "Done." if last.role == "tool" else call(last.content)


agent = create_react_agent(name="patient", tools=[wait, count], model=ScriptedModel(reply))
