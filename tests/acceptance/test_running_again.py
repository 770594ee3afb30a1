"""A run again, at a real site: from a step on, by REST and by the command, judged by the log."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.rest_client import RestClient, in_time
from tests.managed_site import Command, ManagedSite, managed_site
from tests.recording import TERMINAL
from tests.runners import ROOT

pytestmark = pytest.mark.both_databases(when_long=True)

PARROT = '''
async def agent(text):
    """Echoes."""
    yield f"said: {text}"
'''


@pytest.fixture(scope="module")
def site(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ManagedSite]:
    with managed_site(database_url, tmp_path_factory.mktemp("again")) as site:
        yield site


@pytest.fixture(scope="module")
def address(site: ManagedSite) -> str:
    serving = site.serve(OPENAI_API_KEY="")
    weather = ROOT / "examples" / "ws_weather_agent.py"
    site.register("weather", weather, "--auto-start")
    site.register("parrot", site.write("parrot.py", PARROT), "--auto-start")
    site.until_runs("weather")
    site.until_runs("parrot")
    return _address(serving)


@pytest.fixture
async def client(address: str) -> AsyncIterator[RestClient]:
    async with RestClient(address) as client:
        yield client


async def asked(client: RestClient, service: str, text: str) -> dict[str, Any]:
    """The end of the answer."""
    session = await client.begin(service)
    status, end = await client.say(session, text)
    assert status == 200
    found: dict[str, Any] = end
    return found


async def outcome(client: RestClient, session: str) -> list[dict[str, Any]]:
    """The whole log, once its last run has ended."""
    async with client.stream("GET", f"sessions/{session}/events?after=0") as stream:
        while stream.events == [] or stream.events[-1]["event"] not in TERMINAL:
            assert await in_time(stream.next()) is not None
    return await client.events(session)


async def test_the_rest_of_a_run_is_done_again_and_what_was_done_before_is_not(
    client: RestClient,
) -> None:
    end = await asked(client, "weather", "What is the weather in Beijing and Tokyo?")
    before = await client.events(end["session_id"])
    path = f"traces/{end['metadata']['run_id']}"
    status, new = await client.ask("POST", f"{path}/rerun", {"step": 2})
    assert status == 201, new
    log = await outcome(client, new["session_id"])
    assert [each["seq"] for each in log] == list(range(1, len(log) + 1))
    assert [each["event"] for each in log] == [each["event"] for each in before]
    assert log[-1]["content"] == end["content"]
    assert log[-1]["metadata"]["run_id"] == new["trace_id"]
    _, shown = await client.ask("GET", f"traces/{new['trace_id']}")
    assert (shown["status"], shown["attempts"]) == ("answered", 1)
    assert shown["rerun_of"] == {"trace_id": end["metadata"]["run_id"], "step": 2}
    _, spans = await client.ask("GET", f"traces/{new['trace_id']}/spans")
    assert [(each["kind"], each["step"]) for each in spans["items"]] == [("think", 2)]
    _, reruns = await client.ask("GET", f"traces?rerun_of={end['metadata']['run_id']}")
    assert [each["trace_id"] for each in reruns["items"]] == [new["trace_id"]]
    assert await client.events(end["session_id"]) == before
    status, after = await client.say(new["session_id"], "And in Paris?")
    assert (status, after["event"]) == (200, "agent.final_answer")
    status, refused = await client.ask("POST", f"{path}/rerun", {"step": 3})
    assert (status, refused["code"]) == (409, "unknown_step")
    assert "from steps 1 to 2" in refused["detail"]


async def test_another_question_begins_an_agent_that_can_not_continue(client: RestClient) -> None:
    end = await asked(client, "parrot", "one")
    path = f"traces/{end['metadata']['run_id']}/rerun"
    status, new = await client.ask("POST", path, {"question": "two"})
    assert status == 201, new
    log = await outcome(client, new["session_id"])
    assert (log[-1]["event"], log[-1]["content"]) == ("agent.final_answer", "said: two")
    assert [each["seq"] for each in log] == list(range(1, len(log) + 1))


async def test_the_command_leaves_it_to_the_server(client: RestClient, site: ManagedSite) -> None:
    end = await asked(client, "parrot", "one")
    run_id = end["metadata"]["run_id"]
    new = json.loads(site.manage("traces", "rerun", run_id, "--json"))
    log = await outcome(client, new["session_id"])
    assert log[-1]["content"] == "said: one"
    assert "as soon as a server of 'parrot'" in site.manage("traces", "rerun", run_id)
    said = site.manage("traces", "rerun", run_id, "--step", "9", expect=1)
    assert "There is no step 9: this run can run again from steps 1 to" in said


async def test_what_can_not_run_again_is_refused_in_a_sentence(
    client: RestClient, site: ManagedSite
) -> None:
    end = await asked(client, "parrot", "one")
    path = f"traces/{end['metadata']['run_id']}/rerun"
    for body, status, code in (
        ({"step": 2}, 409, "unknown_step"),  # Its agent only ever begins.
        ({"step": 0}, 400, "invalid"),
        ({"step": 2, "question": "two"}, 400, "invalid"),
        ({"question": "x" * 300_000}, 400, "invalid"),
    ):
        found, answer = await client.ask("POST", path, body)
        assert (found, answer["code"]) == (status, code), answer
    assert (await client.ask("POST", "traces/none/rerun", {}))[0] == 404
    # On another thread, so that the client sees meanwhile when the server parts with it.
    await asyncio.to_thread(site.services, "stop", "parrot")
    found, answer = await client.ask("POST", path, {})
    assert (found, answer["code"]) == (503, "service_unavailable")
    await asyncio.to_thread(site.services, "unregister", "parrot")
    # An empty question is the run's own.
    found, answer = await client.ask("POST", path, {"question": ""})
    assert (found, answer["code"]) == (404, "no_service")
    run_id = end["metadata"]["run_id"]
    assert "There is no service 'parrot'" in site.manage("traces", "rerun", run_id, expect=1)


async def test_what_was_written_down_without_a_server_runs_at_the_next_start(
    tmp_path: Path,
) -> None:
    with managed_site(f"sqlite:///{tmp_path / 'site.db'}", tmp_path) as site:
        first = site.serve()
        site.register("parrot", site.write("parrot.py", PARROT), "--auto-start")
        site.until_runs("parrot")
        async with RestClient(_address(first)) as client:
            end = await asked(client, "parrot", "one")
        first.kill()
        run_id = end["metadata"]["run_id"]
        new = json.loads(site.manage("traces", "rerun", run_id, "--question", "two", "--json"))
        async with RestClient(_address(site.serve())) as client:
            log = await outcome(client, new["session_id"])
        assert [each["event"] for each in log].count("agent.final_answer") == 1
        assert log[-1]["content"] == "said: two"


def _address(serving: Command) -> str:
    found = re.search(r"is ready at (http://[^/]+)/", serving.log)
    assert found is not None
    return found[1]
