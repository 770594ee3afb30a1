"""A tool that uses OpenTelemetry, and a client whose request is part of a trace of its own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from myagent import span_ids
from tests.fake_model import fake_model_process
from tests.managed_site import ManagedSite, managed_site
from tests.recording import Recorder

pytestmark = pytest.mark.processes

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"

AGENT = """
from opentelemetry import trace
from myagent import create_react_agent
from myagent.tool import tool

TRACER = trace.get_tracer(__name__)

@tool
async def look(text: str) -> str:
    with TRACER.start_as_current_span("query", attributes={"db.rows": 3}) as span:
        with TRACER.start_as_current_span("lookup"):
            pass
        return trace.format_trace_id(span.get_span_context().trace_id)

@tool
async def dig(text: str) -> str:
    with TRACER.start_as_current_span("all of it"):
        for _ in range(500):
            with TRACER.start_as_current_span("one of many"):
                pass
    return text

agent = create_react_agent(name="looker", tools=[look, dig], max_steps=3)
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ManagedSite, str]]:
    """A site, and the address of its agent."""
    folder = tmp_path_factory.mktemp("site")
    with (
        fake_model_process() as model,
        managed_site(f"sqlite:///{folder / 'site.db'}", folder) as site,
    ):
        environment = {"OPENAI_API_KEY": "none", "OPENAI_BASE_URL": model}
        options = [part for item in environment.items() for part in ("--env", "=".join(item))]
        serving = site.serve()
        site.register("looker", site.write("looker.py", AGENT), "--auto-start", *options)
        site.until_runs("looker")
        yield site, site.url(serving, "looker")


def exported(site: ManagedSite, trace_id: str) -> Any:
    return json.loads(site.manage("traces", "export", trace_id))


async def test_spans_of_a_tool_and_the_trace_of_a_client_meet(
    served: tuple[ManagedSite, str],
) -> None:
    site, door = served
    async with await Recorder.open(door) as client:
        session = await client.create_session()
        await client.send(
            "user.message",
            session,
            content='go [[tool look {"text": "a"}]]',
            metadata={"traceparent": PARENT},
        )
        end = await client.until("agent.final_answer")
    run_id = end["metadata"]["run_id"]
    result = next(frame for frame in client.frames if frame["event"] == "agent.tool_result")
    # What the tool calls elsewhere belongs to the client's trace.
    assert result["content"] == TRACE
    spans = {span["name"]: span for span in exported(site, run_id)["spans"]}
    tool, query, lookup = spans["look"], spans["query"], spans["lookup"]
    assert tool["span_id"] == span_ids.tool_id(run_id, result["step_id"], 1)
    assert (query["kind"], query["parent_span_id"]) == ("work", tool["span_id"])
    assert (query["attributes"], lookup["parent_span_id"]) == ({"db.rows": 3}, query["span_id"])
    assert re.search(r"look.*\n.*query.*\n.*lookup", site.manage("traces", "show", run_id))


async def test_of_too_many_spans_none_is_without_its_parent_and_the_others_are_counted(
    served: tuple[ManagedSite, str],
) -> None:
    site, door = served
    async with await Recorder.open(door) as client:
        session = await client.create_session()
        await client.send("user.message", session, content='go [[tool dig {"text": "a"}]]')
        end = await client.until("agent.final_answer")
    spans = exported(site, end["metadata"]["run_id"])["spans"]
    (tool,) = [span for span in spans if span["kind"] == "tool"]
    (whole,) = [span for span in spans if span["name"] == "all of it"]
    many = [span for span in spans if span["name"] == "one of many"]
    assert {span["parent_span_id"] for span in many} == {whole["span_id"]}
    assert whole["parent_span_id"] == tool["span_id"]
    assert tool["attributes"] == {"myagent.parts_left_out": 501 - 1 - len(many)}


async def test_the_header_of_a_request_is_its_parent_and_nonsense_is_none(
    served: tuple[ManagedSite, str],
) -> None:
    site, door = served
    api = re.sub(r"^ws(.*)/services/looker/$", r"http\1/api/v1", door)
    async with aiohttp.ClientSession() as http:
        for given, kept in ((PARENT, PARENT), ("x" * 2000, "")):
            async with http.post(f"{api}/sessions", json={"service": "looker"}) as answer:
                session = (await answer.json())["session_id"]
            url, headers = f"{api}/sessions/{session}/messages", {"traceparent": given}
            async with http.post(url, json={"content": "hello"}, headers=headers) as answer:
                assert answer.status == 200, await answer.text()
            rows = site.query("SELECT traceparent FROM traces_trace ORDER BY id")
            assert rows[-1] == (kept,)


def test_an_environment_without_it_is_left_alone() -> None:
    """Nothing imports it by itself."""
    code = "import sys, myagent.worker.runs; print(any('opentelemetry' in m for m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
