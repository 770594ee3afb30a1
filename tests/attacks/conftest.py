"""One runner for all attacks of a module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.databases import fresh_database
from tests.runners import ROOT, Runner, Server

AGENT = ROOT / "tests" / "agent_files" / "parrot.py"

DEFAULTS = {"MYAGENT_MESSAGES_PER_SECOND": "10"}
"""Limits as they are."""


@pytest.fixture(scope="module")
def runner_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Server], Runner]]:
    """The module's runner under an ASGI server; started on first use."""
    runners: dict[str, Runner] = {}
    with ExitStack() as stack:

        def start(server: Server = "uvicorn") -> Runner:
            if server not in runners:
                folder: Path = tmp_path_factory.mktemp(server)
                url = stack.enter_context(fresh_database(folder))
                runners[server] = stack.enter_context(
                    Runner(AGENT, url, folder, server=server, env=DEFAULTS)
                )
            return runners[server]

        yield start


@pytest.fixture(scope="module")
def runner(runner_of: Callable[[Server], Runner]) -> Runner:
    return runner_of("uvicorn")
