"""An agent with a tool for each way in which tools behave; its model is the environment's."""

import asyncio
import threading
from collections import defaultdict

from myagent import create_react_agent
from myagent.tool import BaseTool, ToolResult, tool


@tool
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


@tool(idempotent=True)
async def lookup(word: str) -> str:
    """Looks a word up."""
    return f"{word}: 找到了 🎯"


@tool
def broken() -> str:
    """Fails."""
    raise ValueError("the wheel came off")


class Order(BaseTool):
    name = "order"
    description = "Orders something, when somebody agrees"
    requires_confirmation = True

    async def execute(self, item: str, amount: int = 1) -> ToolResult:
        return ToolResult(output=f"ordered {amount} × {item}")


class Rubbish:
    def __str__(self) -> str:
        raise RuntimeError("nobody may look at me")


@tool
def rubbish() -> Rubbish:
    """Returns what can't be shown."""
    return Rubbish()


@tool
def big(size: int) -> str:
    """Returns a text of a size."""
    return "龍" * size


@tool(timeout_s=None)
async def wait() -> str:
    """Works until it is cancelled."""
    await asyncio.get_running_loop().create_future()
    return "never"


gates: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)


@tool(timeout_s=None)
async def slow(gate: str) -> str:
    """Works until somebody opens the gate."""
    await gates[gate].wait()
    return "slow"


@tool
async def let(gate: str) -> str:
    """Opens a gate."""
    gates[gate].set()
    return "open"


@tool(timeout_s=None)
def never_returns() -> str:
    """Keeps its thread for good."""
    print("never_returns has begun")
    threading.Event().wait()
    return "never"


@tool(timeout_s=None)
async def stubborn() -> str:
    """Takes no notice of being cancelled."""
    print("stubborn has begun")
    while True:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            continue


agent = create_react_agent(
    name="tools",
    tools=[add, lookup, broken, Order(), rubbish, big, wait, never_returns, stubborn, slow, let],
    system_prompt="You are being tested.",
    max_steps=3,
)
