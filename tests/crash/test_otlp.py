"""Finished traces reach a receiver of OTLP, below their clients' spans, whatever was killed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from myagent import span_ids
from tests.crash.conftest import Site
from tests.crash.test_kill import kill
from tests.crash.witness import Witness, until
from tests.crash.workers import kill_worker
from tests.otlp_receiver import PATIENCE_S, ReceivedSpan, Receiver, otlp_receiver
from tests.runners import Runner

pytestmark = [pytest.mark.both_databases(when_long=True), pytest.mark.processes]

AGENT = """
import os
from opentelemetry import trace
from myagent import create_react_agent, tool

TRACER = trace.get_tracer(__name__)

@tool(idempotent=True)
async def look(text: str) -> str:
    with TRACER.start_as_current_span("query") as span:
        return trace.format_trace_id(span.get_span_context().trace_id)

@tool
async def variables() -> str:
    return " ".join(f"{name}={value}" for name, value in sorted(os.environ.items()))

agent = create_react_agent(name="helper", tools=[look, variables], max_steps=3)
"""

SECRET = "not-for-agents"
RUN = "invoke_agent helper"


def client_span(number: int) -> tuple[str, str, str]:
    """The ids of a client's trace and span, and how it tells them."""
    trace_id, span_id = f"{number}" * 32, f"{number}" * 16
    return trace_id, span_id, f"00-{trace_id}-{span_id}-01"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with otlp_receiver() as found:
        yield found


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    path = tmp_path / "helper.py"
    path.write_text(AGENT)
    return path


async def start(site: Site, agent: Path, receiver: Receiver, **more: str) -> Runner:
    return await site.start(
        agent,
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
        OTEL_EXPORTER_OTLP_HEADERS=f"authorization={SECRET}",
        **more,
    )


async def runs(receiver: Receiver, count: int = 1) -> list[ReceivedSpan]:
    spans = await asyncio.to_thread(receiver.wait_for, RUN, count)
    return [span for span in spans if span.name == RUN]


def below(receiver: Receiver, parent: ReceivedSpan) -> list[ReceivedSpan]:
    return [span for span in receiver.accepted if span.parent_id == parent.span_id]


def result_of(witness: Witness) -> Any:
    results = [frame for frame in witness.durable if frame["event"] == "agent.tool_result"]
    return results[-1]["content"]


async def test_a_run_and_one_that_waited_for_it_are_below_their_clients_spans(
    site: Site, agent: Path, receiver: Receiver
) -> None:
    runner = await start(site, agent, receiver)
    witness = await Witness.arrive(runner.url)
    (one, one_span, first), (two, two_span, second) = client_span(1), client_span(2)
    await witness.say("go [[hold model after=1]]", message_id="first", traceparent=first)
    await site.fake.wait_held("model")
    await witness.say('go [[tool look {"text": "a"}]]', message_id="second", traceparent=second)
    await witness.recorder.until("user.message")
    site.fake.release("model")
    await witness.until_ended(2)
    found = {span.trace_id: span for span in await runs(receiver, 2)}
    assert {trace_id: span.parent_id for trace_id, span in found.items()} == {
        one: one_span,
        two: two_span,
    }
    waited = found[two]
    (chat,) = [span for span in below(receiver, waited) if below(receiver, span)]
    (tool,) = below(receiver, chat)
    (query,) = below(receiver, tool)
    assert (chat.name.split()[0], tool.name, query.name) == ("chat", "execute_tool look", "query")
    run_id = waited.attributes["myagent.run.id"]
    assert waited.span_id == span_ids.run_span_id(run_id)
    assert {tool.trace_id, query.trace_id, result_of(witness)} == {two}
    assert waited.resource["service.name"] == "helper"
    await witness.leave()


async def begin_and_hold(
    site: Site, agent: Path, receiver: Receiver, traceparent: str
) -> tuple[Runner, Witness]:
    """A run for a client's span, which waits in the middle of its model's reply."""
    runner = await start(site, agent, receiver)
    witness = await Witness.arrive(runner.url)
    text = '[[hold model after=1]] go [[tool look {"text": "a"}]]'
    await witness.say(text, message_id="first", traceparent=traceparent)
    await site.fake.wait_held("model")
    return runner, witness


async def test_a_run_that_a_dead_worker_left_is_below_the_same_span(
    site: Site, agent: Path, receiver: Receiver
) -> None:
    trace_id, span_id, told = client_span(3)
    runner, witness = await begin_and_hold(site, agent, receiver, told)
    await kill_worker(runner)
    site.fake.release("model")
    await witness.until_ended(1)
    (run,) = await runs(receiver)
    assert (run.trace_id, run.parent_id) == (trace_id, span_id)
    assert run.attributes["myagent.run.attempts"] == 2
    assert run.error is None
    cut = [span for span in below(receiver, run) if span.error is not None]
    assert [
        (span.attributes["error.type"], span.attributes["myagent.attempt"]) for span in cut
    ] == [("cut_off", 1)]
    assert {span.trace_id for span in receiver.accepted} == {trace_id}
    await witness.leave()


async def test_a_run_that_a_dead_server_left_is_below_the_same_span(
    site: Site, agent: Path, receiver: Receiver
) -> None:
    trace_id, span_id, told = client_span(4)
    runner, witness = await begin_and_hold(site, agent, receiver, told)
    await kill(runner, witness)
    site.fake.release("model")
    runner = await start(site, agent, receiver)
    await witness.reattach(runner.url)
    await witness.until_ended(1)
    (run,) = await runs(receiver)
    assert (run.trace_id, run.parent_id) == (trace_id, span_id)
    # The tool worked in the second attempt, at another server.
    assert result_of(witness) == trace_id
    await witness.leave()


async def test_a_server_that_dies_before_it_could_send_leaves_it_to_the_next(
    site: Site, agent: Path
) -> None:
    with otlp_receiver() as receiver:
        pass
    runner = await start(site, agent, receiver)
    witness = await Witness.arrive(runner.url)
    await witness.say("hello", message_id="first")
    await witness.until_ended(1)
    await until(lambda: site.query("SELECT tries FROM traces_waiting WHERE tries > 0"))
    await kill(runner, witness)
    assert not any(SECRET in line for line in runner.log)
    with otlp_receiver(receiver=receiver):
        await start(site, agent, receiver)
        (run,) = await runs(receiver)
        assert run.parent_id == ""
        await until(lambda: not site.query("SELECT id FROM traces_waiting"))
    await witness.leave()


@pytest.mark.long
async def test_two_servers_send_each_once(site: Site, agent: Path, receiver: Receiver) -> None:
    servers = [await start(site, agent, receiver) for _ in range(2)]
    witnesses = [await Witness.arrive(server.url) for server in servers for _ in range(3)]
    for witness in witnesses:
        for number in range(3):
            await witness.say("hello", message_id=f"m{number}")
    for witness in witnesses:
        await witness.until_ended(3)
    await runs(receiver, 18)
    await until(lambda: not site.query("SELECT id FROM traces_waiting"))
    times = Counter(span.span_id for span in receiver.accepted)
    assert len(receiver.accepted) == 36 and set(times.values()) == {1}
    for witness in witnesses:
        await witness.leave()


async def test_what_is_refused_is_said_without_the_headers_and_no_worker_has_them(
    site: Site, agent: Path, receiver: Receiver
) -> None:
    receiver.statuses = [401]
    runner = await start(site, agent, receiver)
    witness = await Witness.arrive(runner.url)
    await witness.say("go [[tool variables {}]]", message_id="first")
    await witness.until_ended(1)
    await asyncio.to_thread(runner.wait_for_log, "trace_refused_by_receiver")
    await until(lambda: not site.query("SELECT id FROM traces_waiting"))
    assert "OTEL_EXPORTER_OTLP_ENDPOINT=" in result_of(witness)
    assert SECRET not in result_of(witness)
    assert not any(SECRET in line for line in runner.log)
    # The next one is sent.
    await witness.say("hello", message_id="second")
    await runs(receiver)
    (request,) = receiver.requests
    assert request.headers["authorization"] == SECRET
    await witness.leave()


@pytest.mark.long
async def test_where_nothing_is_sent_nothing_waits(site: Site) -> None:
    runner = await site.start()
    witness = await Witness.arrive(runner.url)
    await witness.say("hello", message_id="first")
    await witness.until_ended(1)
    assert site.query("SELECT COUNT(*) FROM traces_trace") == [(1,)]
    assert site.query("SELECT COUNT(*) FROM traces_waiting") == [(0,)]
    await witness.leave()


async def test_a_receiver_that_never_answers_holds_up_neither_runs_nor_the_end_of_a_server(
    site: Site, agent: Path
) -> None:
    asked = asyncio.Event()
    connections: list[asyncio.StreamWriter] = []

    async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        asked.set()
        await writer.wait_closed()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    runner = await start(site, agent, Receiver(port))
    witness = await Witness.arrive(runner.url)
    await witness.say("hello", message_id="first")
    async with asyncio.timeout(PATIENCE_S):
        await asked.wait()
    await witness.say("hello", message_id="second")
    await witness.until_ended(2)
    assert site.query("SELECT COUNT(*) FROM traces_waiting") == [(2,)]
    assert await asyncio.to_thread(runner.stop) == 0
    assert site.query("SELECT COUNT(*) FROM traces_waiting") == [(2,)]
    for writer in connections:
        writer.close()
    server.close()
    await witness.leave()
