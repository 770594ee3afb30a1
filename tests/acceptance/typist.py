"""`manage.py chat` as a person and as a program use it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import Any

from tests.runners import ROOT
from tests.terminals import Terminal

COMMAND = [sys.executable, "manage.py", "chat"]
PROMPT = "›"


def environment() -> dict[str, str]:
    return os.environ | {"MYAGENT_ENV_FILE": os.devnull, "SECRET_KEY": "for tests only"}


class Typist:
    """A terminal, used from a test that has a loop to run."""

    def __init__(self, *arguments: str) -> None:
        self.terminal = Terminal([*COMMAND, *arguments], ROOT, environment())

    async def until(self, *texts: str) -> str:
        return await asyncio.to_thread(self.terminal.until, *texts)

    async def enter(self, text: str) -> None:
        self.terminal.enter(text)

    async def leave(self) -> int:
        self.terminal.press("\x04")
        return await asyncio.to_thread(self.terminal.wait)

    async def session_id(self) -> str:
        """The session's id, from the sentence that the conversation begins with."""
        return (await self.until("Session ", "\n")).partition("Session ")[2].strip()


async def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """The command as a program runs it, without a terminal."""
    options = {"stdin": subprocess.DEVNULL} | options
    return await asyncio.to_thread(
        subprocess.run,
        [*COMMAND, *arguments],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        **options,
    )
