"""Who is connected to which of two servers, and closing it from the other."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from websockets.exceptions import ConnectionClosed

from tests.managed_site import Command, ManagedSite, managed_site, until
from tests.recording import Recorder

AGENT = "async def agent(text):\n    yield text\n"


@pytest.fixture
def site(fresh_database_url: str, tmp_path: Path) -> Iterator[ManagedSite]:
    with managed_site(fresh_database_url, tmp_path) as site:
        yield site


def ask(serving: Command, path: str, method: str = "GET") -> Any:
    found = re.search(r"is ready at (http://[^ ]+:\d+)/", serving.log)
    assert found is not None
    with urlopen(Request(f"{found[1]}/api/v1/{path}", method=method)) as answer:
        return json.loads(answer.read() or "null")


async def test_a_connection_is_closed_from_another_server(site: ManagedSite) -> None:
    here, there = site.serve(), site.serve()
    site.register("echo", site.write("echo.py", AGENT), "--auto-start")
    site.until_runs("echo")
    async with (
        await Recorder.open(site.url(here, "echo")) as client,
        await Recorder.open(site.url(there, "echo")) as other,
    ):
        asked = client.frames[0]["metadata"]["connection_id"]
        # Listed by both servers.
        for server in (here, there):
            until(lambda at=server: ask(at, "connections?service=echo")["total"] == 2)
        began = time.monotonic()
        ask(there, f"connections/{asked}", "DELETE")
        error = await client.until("system.error")
        assert error["metadata"]["code"] == "forbidden"
        assert "administrator" in error["content"]
        with pytest.raises(ConnectionClosed):
            await client.socket.recv()
        assert client.socket.close_code == 4003
        assert time.monotonic() - began < 10, "it takes a second at most"
        until(lambda: ask(here, "connections")["total"] == 1)
        # Nobody else notices.
        await other.send("user.create_session")
        await other.until("agent.session_created")
    until(lambda: ask(here, "connections")["total"] == 0)
