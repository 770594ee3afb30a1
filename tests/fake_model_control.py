"""The fake model of `fake_model.py`, seen from a test: what it was asked, what it holds back."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from typing import Any


class FakeModelControl:
    """`base_url` is what agents are given."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self._root = base_url.removesuffix("/v1")

    @property
    def environment(self) -> dict[str, str]:
        """Makes a process's agents ask this model."""
        return {
            "OPENAI_BASE_URL": self.base_url,
            "OPENAI_API_KEY": "sk-test",
            "OPENAI_MODEL": "fake",
        }

    async def held(self, name: str, count: int = 1) -> None:
        """Waits until so many answers are held back under this name."""
        await self._call("GET", f"__held?wait={name}&count={count}")

    async def release(self, name: str) -> None:
        await self._call("POST", f"__release/{name}")

    async def stats(self, disconnects: int = 0) -> dict[str, int]:
        """Its counters, once so many clients have left while they were answered."""
        stats: dict[str, int] = await self._call("GET", f"__stats?disconnects={disconnects}")
        return stats

    async def requests(self) -> list[dict[str, Any]]:
        """The bodies of the last questions, oldest first."""
        bodies: list[dict[str, Any]] = await self._call("GET", "__requests")
        return bodies

    async def requests_about(self, text: str) -> list[list[dict[str, Any]]]:
        """The messages of each question in which the text occurs, oldest first."""
        messages = [request["messages"] for request in await self.requests()]
        return [each for each in messages if text in json.dumps(each, ensure_ascii=False)]

    async def _call(self, method: str, path: str) -> Any:
        return await asyncio.to_thread(self._ask, method, path)

    def _ask(self, method: str, path: str) -> Any:
        request = urllib.request.Request(f"{self._root}/{path}", method=method)
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)
