"""Sockets of a server that is below a path of its host."""

from __future__ import annotations

import asyncio
import urllib.request
from urllib.parse import urljoin

import pytest

from tests.acceptance.conftest import Serve
from tests.recording import Recorder
from tests.runners import Runner


@pytest.fixture(scope="module")
def runner(serve_module: Serve) -> Runner:
    return serve_module("parrot.py", "--debug", env={"MYAGENT_BASE_PATH": "agents"})  # type: ignore[no-any-return]


@pytest.mark.parametrize("path", ["agents/", "agents", "agents/ws", ""])
async def test_a_socket_is_served_with_the_path_and_without_it(runner: Runner, path: str) -> None:
    async with await Recorder.open(urljoin(runner.url, path)) as client:
        answer = await client.ask(await client.create_session(), "5 hello")
    assert answer["content"] == "hello"


async def test_what_is_nowhere_within_it_is_not_served(runner: Runner) -> None:
    client = await Recorder.dial(urljoin(runner.url, "agentsmith/"))
    assert await client.read_to_close() == 4004


async def test_the_path_of_a_connection_is_the_one_within_the_site(runner: Runner) -> None:
    async with await Recorder.dial(urljoin(runner.url, "agents/ws/chat/some%2Fbody")):
        line = await asyncio.to_thread(runner.wait_for_log, "some/body")
    assert '"/ws/chat/some/body"' in line


@pytest.mark.parametrize("path", ["health", "agents/health", "static/js/myagent.js"])
def test_health_and_files_are_found_either_way(runner: Runner, path: str) -> None:
    with urllib.request.urlopen(urljoin(runner.url.replace("ws:", "http:"), path)) as answer:
        assert answer.status == 200
