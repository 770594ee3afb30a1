"""What one client, or one service, may have at most, at real servers."""

from __future__ import annotations

import re
from pathlib import Path

import aiohttp

from tests.acceptance.conftest import Serve
from tests.managed_site import managed_site
from tests.recording import Recorder

AGENT = """
async def agent(text):
    yield text
"""


async def test_where_nobody_logs_in_an_address_has_one_rate_for_all_its_sockets(
    serve: Serve,
) -> None:
    limits = {"MYAGENT_MESSAGES_PER_MINUTE": "2", "MYAGENT_TRUSTED_PROXIES": "127.0.0.1"}
    runner = serve("odd.py", env=limits)
    far, farther = (
        {"additional_headers": {"X-Forwarded-For": f"203.0.113.{number}"}} for number in (5, 6)
    )
    async with (
        await Recorder.open(runner.url, **far) as one,
        await Recorder.open(runner.url, **far) as other,
        await Recorder.open(runner.url, **farther) as somebody_else,
        await Recorder.open(runner.url) as here,
    ):
        await one.ask(await one.create_session(), "says a")
        session = await other.create_session()
        await other.ask(session, "says b")
        await other.say(session, "says c", message_id="c")
        told = (await other.error("rate_limited"))["metadata"]
        assert told["limit"] == "messages_per_minute"
        assert told["message_id"] == "c"
        assert 1 <= told["retry_after_s"] <= 60
        await somebody_else.ask(await somebody_else.create_session(), "says d")
        session = await here.create_session()
        for text in ("says e", "says f", "says g"):
            await here.ask(session, text)


async def test_sockets_and_requests_count_together_and_are_told_when_to_come_again(
    tmp_path: Path,
) -> None:
    with managed_site(f"sqlite:///{tmp_path / 'site.db'}", tmp_path) as site:
        serving = site.serve(MYAGENT_SERVICE_MESSAGES_PER_MINUTE="2", MYAGENT_MAX_SESSIONS="2")
        site.register("parrot", site.write("parrot.py", AGENT), "--auto-start")
        site.until_runs("parrot")
        found = re.search(r"is ready at (http://[^/]+)/", serving.log)
        assert found is not None
        sockets = found[1].replace("http", "ws", 1) + "/services/parrot/"
        async with (
            aiohttp.ClientSession(f"{found[1]}/api/v1/") as requests,
            await Recorder.open(sockets) as socket,
        ):
            session = await socket.create_session()
            await socket.ask(session, "a")
            said = await requests.post(f"sessions/{session}/messages", json={"content": "b"})
            assert said.status == 200
            refused = await requests.post(f"sessions/{session}/messages", json={"content": "c"})
            told = await refused.json()
            assert (refused.status, told["limit"]) == (429, "service_messages_per_minute")
            assert refused.headers["Retry-After"] == str(told["retry_after_s"])
            assert str(told["retry_after_s"]) in told["detail"]
            await socket.say(session, "d")
            assert (await socket.error("rate_limited"))["metadata"]["limit"] == told["limit"]
            await socket.create_session()
            refused = await requests.post("sessions", json={"service": "parrot"})
            told = await refused.json()
            assert (refused.status, told["limit"]) == (503, "max_sessions")
            assert refused.headers["Retry-After"] == str(told["retry_after_s"])
