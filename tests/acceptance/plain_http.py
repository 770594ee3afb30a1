"""Plain HTTP requests to a runner."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from typing import Any

from tests.runners import Runner


async def http_request(
    runner: Runner, path: str = "/health", method: str = "GET", **headers: str
) -> tuple[int, bytes]:
    """The status and the body."""

    def ask() -> tuple[int, bytes]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{runner.port}{path}", method=method, headers=headers
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    return await asyncio.to_thread(ask)


async def health(runner: Runner) -> dict[str, Any]:
    """The runner's own report, with the status of the answer as `http_status`."""
    status, body = await http_request(runner)
    report: dict[str, Any] = json.loads(body)
    return report | {"http_status": status}
