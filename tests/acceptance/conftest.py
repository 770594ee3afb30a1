"""Real runner processes for a module's tests, on a database of their own, with a fake model."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.databases import fresh_database
from tests.fake_model import fake_model_process
from tests.fake_model_control import FakeModelControl
from tests.recording import Recorder
from tests.runners import OF_SITES, ROOT, Runner

from .served import served

AGENT_FILES = ROOT / "tests" / "agent_files"

Serve = Callable[..., Any]


@pytest.fixture(scope="session")
def model() -> Iterator[FakeModelControl]:
    with fake_model_process() as base_url:
        yield FakeModelControl(base_url)


@pytest.fixture(scope="module")
def database_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with fresh_database(tmp_path_factory.mktemp("database")) as url:
        yield url


@contextlib.contextmanager
def _serving(
    request: pytest.FixtureRequest, model: FakeModelControl, url: str, folder: Path
) -> Iterator[Serve]:
    with contextlib.ExitStack() as runners:

        def serve(
            file: str | Path, *options: str, env: dict[str, str] | None = None, **how: Any
        ) -> Runner:
            env = model.environment | (env or {})
            if how.get("server") in OF_SITES:
                return served(request, how["server"], AGENT_FILES / file, env, folder)
            given = {"database_url": url, "var_dir": folder} | how
            runner = Runner(
                AGENT_FILES / file, given.pop("database_url"), given.pop("var_dir"), *options,
                env=env, **given,
            )  # fmt: skip
            return runners.enter_context(runner)

        yield serve


@pytest.fixture(scope="module")
def serve_module(
    request: pytest.FixtureRequest,
    model: FakeModelControl,
    database_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Serve]:
    """Starts a runner for the whole module, on the module's database."""
    with _serving(request, model, database_url, tmp_path_factory.mktemp("var")) as serve:
        yield serve


@pytest.fixture
def serve(
    request: pytest.FixtureRequest,
    model: FakeModelControl,
    fresh_database_url: str,
    tmp_path: Path,
) -> Iterator[Serve]:
    """Starts a runner for one test, on a database of its own."""
    with _serving(request, model, fresh_database_url, tmp_path) as serve:
        yield serve


@pytest.fixture
async def client(runner: Runner) -> AsyncIterator[Recorder]:
    """A socket to the module's runner."""
    async with await Recorder.open(runner.url) as client:
        yield client


@pytest.fixture
async def other(runner: Runner) -> AsyncIterator[Recorder]:
    """A second socket to the runner."""
    async with await Recorder.open(runner.url) as other:
        yield other


@pytest.fixture
async def session(client: Recorder) -> str:
    """A new session, to which `client` is attached."""
    return await client.create_session()


@pytest.fixture
def nonce() -> str:
    """A word that no other test uses: the fake model tells tests apart by their words."""
    return f"n{uuid4().hex[:12]}"
