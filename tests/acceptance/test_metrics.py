"""What Prometheus reads at a server, beside what its clients saw."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from agents.sessions.measuring import MEASURE_S
from tests import accounts
from tests.fake_model_control import FakeModelControl
from tests.ports import free_port
from tests.recording import PATIENCE_S, Recorder
from tests.runners import Runner

from .conftest import Serve

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(scope="module")
def runner(serve_module: Serve) -> Iterator[Runner]:
    with serve_module("tools.py") as runner:
        yield runner


async def read(address: str, token: str = "") -> Samples:
    request = urllib.request.Request(
        address, headers={"Authorization": f"Bearer {token}"} if token else {}
    )

    def ask() -> str:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=")
            return str(answer.read().decode())

    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(await asyncio.to_thread(ask))
        for sample in family.samples
    }


def at(runner: Runner) -> str:
    return runner.url.replace("ws://", "http://") + "metrics"


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples.get((name, frozenset(labels.items())), 0.0)


async def until(address: str, fact: Callable[[Samples], bool]) -> Samples:
    """The gauges are measured every few seconds."""
    async with asyncio.timeout(10 * MEASURE_S):
        while not fact(samples := await read(address)):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.1)
    return samples


async def test_turns_are_counted_as_their_client_saw_them(runner: Runner, nonce: str) -> None:
    before = await read(at(runner))
    async with await Recorder.open(runner.url) as client:
        session = await client.create_session()
        answer = await client.ask(session, f'[[tool add {{"a": 1, "b": 2}}]] {nonce}')
        failed = await client.ask(session, f"[[status 400]] {nonce}")
        await client.send("user.message", "not-a-session", content="x")
        await client.error("unknown_session")
        tools = {"service": "tools"}
        samples = await until(
            at(runner), lambda found: value(found, "myagent_live_sessions", **tools) == 1
        )
        assert value(samples, "myagent_open_sockets") == 1

    def grown(name: str, **labels: str) -> float:
        return value(samples, name, **labels) - value(before, name, **labels)

    assert failed["event"] == "agent.error"
    assert grown("myagent_runs_started_total", **tools) == 2
    assert grown("myagent_runs_ended_total", **tools, status="answered") == 1
    assert grown("myagent_runs_ended_total", **tools, status="failed") == 1
    assert grown("myagent_run_errors_total", **tools, code="model_error") == 1
    assert grown("myagent_tool_calls_total", **tools, status="success") == 1
    assert grown("myagent_refusals_total", code="unknown_session") == 1
    assert grown("myagent_run_seconds_count", **tools) == 2
    assert grown("myagent_model_reply_seconds_count", **tools) == 2
    usage = answer["metadata"]["usage"]
    for kind in ("prompt", "completion"):
        counted = grown("myagent_tokens_total", **tools, kind=kind)
        assert counted == usage[f"{kind}_tokens"] > 0
    assert grown("myagent_journal_commit_seconds_count") >= 8
    assert value(samples, "myagent_storage_available") == 1
    assert value(samples, "myagent_redis_up") == 1
    assert value(samples, "myagent_database_up") == 1


async def test_what_runs_and_waits_is_shown(
    runner: Runner, model: FakeModelControl, nonce: str
) -> None:
    hold = f"hold{nonce}"
    async with await Recorder.open(runner.url) as client:
        session = await client.create_session()
        await client.say(session, f"[[hold {hold}]] {nonce}")
        await client.say(session, f"second {nonce}")
        await model.held(hold)
        samples = await until(
            at(runner), lambda found: value(found, "myagent_queued_runs", service="tools") == 1
        )
        assert value(samples, "myagent_running_runs", service="tools") == 1
        assert value(samples, "myagent_unfinished_runs", status="running") == 1
        await model.release(hold)
        for _ in range(2):
            await client.until("agent.final_answer")
        await until(
            at(runner), lambda found: value(found, "myagent_queued_runs", service="tools") == 0
        )


async def test_labels_have_few_values(runner: Runner) -> None:
    """Whatever clients say: a label that grows with them fills Prometheus."""
    async with await Recorder.open(runner.url) as client:
        for number in range(3):
            session = await client.create_session()
            await client.ask(session, f"hello {number}")
    names = {name for _, labels in await read(at(runner)) for name, _ in labels}
    of_python = {"generation", "implementation", "major", "minor", "patchlevel", "version"}
    known = {"service", "status", "code", "kind", "state", "slot", "cause", "le"}
    assert names - of_python <= known


async def test_a_port_of_its_own_needs_no_token(
    serve_module: Serve, database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    environment = accounts.environment_of(database_url, tmp_path_factory.mktemp("var"))
    port = free_port()
    with serve_module(
        "parrot.py",
        env={
            "MYAGENT_AUTH": "token",
            "SECRET_KEY": environment["SECRET_KEY"],
            "MYAGENT_METRICS_PORT": str(port),
        },
    ) as runner:
        people = accounts.make(
            environment,
            ada={},
            root={"is_superuser": True, "is_staff": True},
            eye={"user": "root", "token": {"rights": ["view"]}},
            talker={"user": "root", "token": {"rights": ["use"]}},
        )
        for name, status in (("", 401), ("ada", 403), ("talker", 403)):
            token = people[name]["token"] if name else ""
            with pytest.raises(urllib.error.HTTPError) as refused:
                await read(at(runner), token)
            refused.value.close()
            assert refused.value.code == status
        here = await read(at(runner), people["eye"]["token"])
        there = await read(f"http://127.0.0.1:{port}/metrics")
        assert {name for name, _ in here} == {name for name, _ in there}
