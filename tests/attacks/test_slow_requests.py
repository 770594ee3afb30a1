"""More connections than the server has descriptors, each with a request that never ends."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.attacks.conftest import AGENT, DEFAULTS
from tests.attacks.judging import carry_out, judging, kinds_of
from tests.attacks.slow_requests import ATTACKS
from tests.databases import fresh_database
from tests.recording import Recorder
from tests.runners import Runner

DESCRIPTORS = 256
IN_TIME = DEFAULTS | {"MYAGENT_HEADERS_TIMEOUT_S": "1", "MYAGENT_BODY_TIMEOUT_S": "1"}


@contextmanager
def few_descriptors() -> Iterator[None]:
    """Limits the descriptors of processes that are started meanwhile."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    folder: Path = tmp_path_factory.mktemp("few")
    with fresh_database(folder) as url:
        with few_descriptors():
            runner = Runner(AGENT, url, folder, env=IN_TIME)
        with runner:
            yield runner


SHOWN = ("half a second head", "a body")


@pytest.mark.parametrize("kind", kinds_of(ATTACKS, *SHOWN))
async def test_requests_that_never_end_lose_their_connection_and_shut_nobody_out(
    runner: Runner, kind: str
) -> None:
    async with judging(runner) as judgement:
        report = await carry_out("slow_requests", kind, runner.port, seconds=2.5)
    judgement.assert_unharmed()
    answers = set(report["answers"])
    assert "503" in answers and ("408" in answers or kind.endswith("nobody wants")), report
    async with await Recorder.open(runner.url) as late:
        session = await late.create_session()
        await late.ask(session, "5 hello")
    # It is logged, but not each time.
    assert any("out_of_descriptors" in line for line in runner.log)
    assert len(runner.log) < 50, runner.log
