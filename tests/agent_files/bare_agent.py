"""Agents that are a text in, a text out. COUNT_DIR counts their runs; BARE says what they do."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

FOLDER = Path(os.environ["COUNT_DIR"])
MODE = os.environ.get("BARE", "")


class Bare:
    name = "bare"
    idempotent = "idempotent" in MODE

    async def arun(self, text: str) -> str:
        with (FOLDER / "bare").open("a") as file:
            file.write(f"{text}\n")
        if "dies" in MODE:
            os._exit(1)
        while not (FOLDER / "gate").exists():  # noqa: ASYNC110 - a file sends no event
            await asyncio.sleep(0.01)
        return f"Done: {text}"


agent = Bare()
