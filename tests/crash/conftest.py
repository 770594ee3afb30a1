"""Real runners, killed for real, over a model that is scripted by the conversation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.conftest import serve
from tests.crash.witness import query
from tests.databases import migrate
from tests.fake_model import FakeModel
from tests.mysql_server import database_server
from tests.runners import ROOT, Runner
from tests.servers import MariaDB, PrivateServer, Redis, execute_sql

AGENT_FILES = Path(__file__).resolve().parent.parent / "agent_files"


@pytest.fixture
def own_mariadb() -> Iterator[PrivateServer]:
    """A MariaDB, or MySQL, that may be killed."""
    yield from serve(database_server())


@pytest.fixture
def own_redis() -> Iterator[PrivateServer]:
    """A Redis that may be killed."""
    yield from serve(Redis)


class Site:
    """A database, a folder for what tools do, and the runners that a test starts on them."""

    def __init__(self, database_url: str, folder: Path, fake: FakeModel, runners: ExitStack):
        self.database_url = database_url
        self.folder = folder
        self.fake = fake
        self._runners = runners

    async def start(
        self,
        file: str | Path = "counting_agent.py",
        *options: str,
        port: int = 0,
        cwd: Path = ROOT,
        **environment: str,
    ) -> Runner:
        """A runner of the service, on a port of its own or this one; ends with the test."""
        env = {
            "OPENAI_API_KEY": "none",
            "OPENAI_BASE_URL": self.fake.base_url,
            "COUNT_DIR": str(self.folder),
            **environment,
        }
        return self._runners.enter_context(
            await asyncio.to_thread(
                partial(
                    Runner,
                    AGENT_FILES / file,
                    self.database_url,
                    self.folder,
                    *options,
                    port=port,
                    env=env,
                    cwd=cwd,
                )
            )
        )

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        return query(self.database_url, sql)

    async def start_with_barrier(
        self, side: Literal["before", "within", "after"], event: str, **environment: str
    ) -> tuple[Runner, Path]:
        """A runner whose log stops at a point, and the file that tells when it has."""
        reached = self.folder / "reached"
        return await self.start(MYAGENT_BARRIER=f"{side} {event}={reached}", **environment), reached


@pytest.fixture
async def fake_model() -> AsyncIterator[FakeModel]:
    async with FakeModel() as fake:
        yield fake


@pytest.fixture
def runners() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
async def site(
    fresh_database_url: str, tmp_path: Path, fake_model: FakeModel, runners: ExitStack
) -> Site:
    return Site(fresh_database_url, tmp_path, fake_model, runners)


@pytest.fixture
def mariadb_site(
    own_mariadb: MariaDB, tmp_path: Path, fake_model: FakeModel, runners: ExitStack
) -> Site:
    """A site on a MariaDB of the test's own, which it may kill."""
    execute_sql(own_mariadb.port, "CREATE DATABASE site CHARACTER SET utf8mb4")
    migrate(own_mariadb.url("site"))
    return Site(own_mariadb.url("site"), tmp_path, fake_model, runners)
