"""An agent whose tools leave marks in files, so that a test can count what they really did.

COUNT_DIR holds, for each tool, a line for each time that it ran. A tool with a `gate` waits until
a file of that name is there.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
from pathlib import Path

from myagent import create_react_agent, tool

FOLDER = Path(os.environ["COUNT_DIR"])


def mark(name: str, text: str) -> None:
    with (FOLDER / name).open("a") as file:
        file.write(f"{text}\n")


async def work(name: str, text: str, gate: str) -> str:
    mark(name, text)
    while gate and not (FOLDER / gate).exists():  # noqa: ASYNC110 - a file sends no event
        await asyncio.sleep(0.01)
    return f"{name} {text}"


@tool
async def charge(text: str, gate: str = "") -> str:
    """Does something that must not be done twice."""
    return await work("charge", text, gate)


@tool(idempotent=True)
async def look(text: str, gate: str = "") -> str:
    """Does something that may be done again."""
    return await work("look", text, gate)


@tool(requires_confirmation=True)
async def transfer(text: str) -> str:
    """Does something that somebody has to approve."""
    return await work("transfer", text, "")


@tool(idempotent=True)
def die(text: str, how: str = "exit", times: int = 1000) -> str:
    """Ends the process in one of several ways, the first `times` times that it runs."""
    mark("die", text)
    if len((FOLDER / "die").read_text().splitlines()) > times:
        return f"alive {text}"
    match how:
        case "fault":
            ctypes.string_at(0)
        case "memory":
            # What the system does to a process for which there is no memory.
            os.kill(os.getpid(), signal.SIGKILL)
    os._exit(1)


@tool
def burn(text: str) -> str:
    """Ends the process, and is not run again unless the model asks for it."""
    mark("burn", text)
    os._exit(1)


agent = create_react_agent(name="counting", tools=[charge, look, transfer, die, burn], max_steps=8)
