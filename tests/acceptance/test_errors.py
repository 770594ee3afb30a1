"""What goes wrong is said in a plain sentence with its code, and changes nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.locks import nobody_writes
from tests.mysql_server import database_server
from tests.recording import (
    NOBODYS,
    PATIENCE_S,
    Frame,
    Recorder,
    assert_gapless,
    assert_one_end_each,
    durable,
    kinds,
    log_of,
)
from tests.runners import SERVERS_WHEN_LONG, Runner
from tests.servers import execute_sql

from .conftest import Serve
from .plain_http import health, http_request

MANY = 1_200_000
UNSPEAKABLE = re.compile(r"Traceback|File \"|\.py\b|/\w+/\w+|sk-|Error\b|<class|0x[0-9a-f]{6}")


@pytest.fixture(scope="module", params=SERVERS_WHEN_LONG)
def runner(request: pytest.FixtureRequest, serve_module: Serve) -> Iterator[Runner]:
    env = {"ALLOWED_HOSTS": "agents.example", "MYAGENT_ALLOWED_ORIGINS": "https://app.example"}
    with serve_module("tools.py", server=request.param, env=env) as runner:
        yield runner


@pytest.fixture(scope="module")
def odd(serve_module: Serve) -> Iterator[Runner]:
    """An agent that misbehaves as it is told."""
    with serve_module("odd.py") as runner:
        yield runner


def assert_plain(frame: Frame) -> None:
    """The sentence is for people."""
    assert len(frame["content"]) > 10
    assert frame["content"].rstrip()[-1] in ".!。"
    assert not UNSPEAKABLE.search(frame["content"]), frame["content"]


async def refused(client: Recorder, code: str) -> Frame:
    frame = await client.error(code)
    assert_plain(frame)
    assert isinstance(frame["metadata"]["retryable"], bool)
    return frame


async def dismissed(client: Recorder, code: str, close_code: int) -> Frame:
    """The server says why, then closes with this code; the last words."""
    assert await client.read_to_close() == close_code
    last = client.frames[-1]
    assert last["event"] == "system.error"
    assert last["metadata"]["code"] == code
    assert_plain(last)
    return last


# Frames that can't be used.


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("", "invalid_json"),
        ("{", "invalid_json"),
        ("hello", "invalid_json"),
        ('{"event": "user.message", "content": "\ud800"}'.encode("utf-8", "replace").decode(), ""),
        ("[" * 100_000, "invalid_json"),
        ('{"a":' * 5_000 + "1" + "}" * 5_000, ""),
        ("[]", "invalid_event"),
        ("17", "invalid_event"),
        ("null", "invalid_event"),
        ('"user.message"', "invalid_event"),
        (b'{"event": "user.create_session"}', "invalid_event"),
        (b"\x00\xff", "invalid_event"),
        ("{}", "invalid_event"),
        ('{"event": 7}', "invalid_event"),
        ('{"event": null}', "invalid_event"),
        ('{"event": {"a": 1}}', "invalid_event"),
        ('{"event": "user.dance"}', "unknown_event"),
        ('{"event": "agent.final_answer"}', "unknown_event"),
        ('{"event": "user.create_session", "metadata": []}', "invalid_event"),
        ('{"event": "user.create_session", "metadata": {"tags": "x"}}', "invalid_event"),
        ('{"event": "user.message", "content": "x"}', "invalid_event"),
        ('{"event": "user.message", "session_id": 1, "content": "x"}', "invalid_event"),
        ('{"event": "user.message", "session_id": "SESSION"}', "invalid_event"),
        ('{"event": "user.message", "session_id": "SESSION", "content": ""}', "invalid_event"),
        (
            '{"event": "user.message", "session_id": "SESSION", "content": " \\n\u3000"}',
            "invalid_event",
        ),
        ('{"event": "user.message", "session_id": "SESSION", "content": 1}', "invalid_event"),
        ('{"event": "user.reconnect", "session_id": "SESSION",'
         ' "metadata": {"last_seq": -1}}', "invalid_event"),
        ('{"event": "user.reconnect", "session_id": "SESSION",'
         ' "metadata": {"last_seq": "1"}}', "invalid_event"),
        ('{"event": "user.response", "session_id": "SESSION", "step_id": "x",'
         ' "content": {"approved": "yes"}}', "invalid_event"),
        ('{"event": "user.response", "session_id": "SESSION", "step_id": "x"}', "invalid_event"),
        ('{"event": "user.message", "session_id": "SESSION", "content": "x",'
         ' "metadata": {"message_id": "' + "m" * 65 + '"}}', "invalid_event"),
        ('{"event": "user.message", "session_id": "SESSION", "content": "x",'
         ' "metadata": {"on_busy": "panic"}}', "invalid_event"),
    ],
)  # fmt: skip
async def test_a_frame_that_can_not_be_used_changes_nothing(
    client: Recorder, session: str, frame: str | bytes, code: str
) -> None:
    await client.send_raw(frame.replace("SESSION", session) if isinstance(frame, str) else frame)
    error = await client.until("system.error")
    assert_plain(error)
    if code:
        assert error["metadata"]["code"] == code
    await client.ask(session, "still here")
    assert_gapless(client.frames)
    assert kinds(client.frames).count("user.message") == 1


async def test_fields_that_nobody_knows_are_ignored(client: Recorder, session: str) -> None:
    fields = {"colour": "red", "timestamp": "yesterday", "seq": 99}
    metadata = {"message_id": "m-1", "mood": {"deep": [1, 2]}}
    await client.send("user.message", session, content="hi", metadata=metadata, **fields)
    echo = await client.until("user.message")
    assert echo["seq"] == 2
    assert "colour" not in echo
    assert "mood" not in echo["metadata"]


async def test_three_unusable_frames_in_a_row_close_the_socket(client: Recorder) -> None:
    for frame in ("{", "[]", b"\x00"):
        await client.send_raw(frame)
    await dismissed(client, "invalid_event", 4400)
    codes = [
        frame["metadata"]["code"] for frame in client.frames if frame["event"] == "system.error"
    ]
    assert codes[:3] == ["invalid_json", "invalid_event", "invalid_event"]


async def test_a_usable_frame_between_unusable_ones_keeps_the_socket(
    client: Recorder, session: str
) -> None:
    for _ in range(3):
        for frame in ("{", "[]"):
            await client.send_raw(frame)
            await client.until("system.error")
        await client.fence(session)
    await client.ask(session, "still here")


async def test_a_frame_over_half_a_mebibyte_is_too_large(client: Recorder, session: str) -> None:
    await client.say(session, "x" * (512 * 1024))
    await refused(client, "too_large")
    await client.ask(session, "still here")
    assert kinds(client.frames).count("user.message") == 1


@pytest.mark.both_databases
async def test_a_message_may_have_a_quarter_of_a_mebibyte_and_no_more(
    runner: Runner, client: Recorder, session: str
) -> None:
    most = "龍" * (256 * 1024 // 3)
    await client.send_raw(
        json.dumps(
            {"event": "user.message", "session_id": session, "content": most + "龍"},
            ensure_ascii=False,
        )
    )
    await refused(client, "too_large")
    await client.send_raw(
        json.dumps(
            {"event": "user.message", "session_id": session, "content": most},
            ensure_ascii=False,
        )
    )
    answer = await client.until("agent.final_answer")
    assert answer["content"] == f"Answer to: {most}"
    assert await log_of(runner.url, session) == durable(client.frames)


async def test_what_a_client_says_of_itself_may_not_be_too_large(client: Recorder) -> None:
    await client.send("user.create_session", metadata={"client": {"x": "y" * 20_000}})
    await refused(client, "too_large")


async def test_a_frame_over_a_mebibyte_closes_the_socket(runner: Runner, client: Recorder) -> None:
    with contextlib.suppress(ConnectionClosed):
        await client.send_raw("x" * MANY)
    assert await client.read_to_close() in (1009, 1006)
    async with await Recorder.open(runner.url) as other:
        await other.create_session()


# Sessions that can't be reached.


@pytest.mark.parametrize("name", [NOBODYS, "nothing", "'; DROP TABLE agents_session; --", ""])
@pytest.mark.parametrize(
    ("event", "fields"),
    [
        ("user.message", {"content": "x"}),
        ("user.cancel", {}),
        ("user.response", {"step_id": "x", "content": {"approved": True}}),
        ("user.reconnect", {}),
        ("user.close_session", {}),
    ],
)
async def test_a_session_that_does_not_exist_is_not_known(
    client: Recorder, name: str, event: str, fields: dict[str, Any]
) -> None:
    await client.send(event, name, **fields)
    error = await refused(client, "unknown_session")
    assert error["metadata"]["session_id"] == name


async def test_detaching_from_nothing_is_no_error(client: Recorder, session: str) -> None:
    await client.send("user.detach", str(uuid4()))
    await client.fence(session)
    assert "system.error" not in kinds(client.frames)


async def test_another_service_can_not_be_asked_for(client: Recorder, runner: Runner) -> None:
    await client.send("user.create_session", metadata={"service": "other"})
    await refused(client, "no_service")
    await client.create_session(service="tools")
    async with await Recorder.open(f"{runner.url}services/tools/") as named:
        await named.create_session()
    async with await Recorder.open(f"{runner.url}ws/") as plain:
        await plain.create_session()


@pytest.mark.parametrize("path", ["services/other/", "services/%E4%B8%AD/"])
async def test_the_address_of_another_service_is_refused(runner: Runner, path: str) -> None:
    async with await Recorder.dial(f"{runner.url}{path}") as client:
        await dismissed(client, "no_service", 4004)


# Who may come in.


HOSTS = {
    "127.0.0.1": True,
    "127.0.0.1:1234": True,
    "192.0.2.7": True,
    "[::1]:80": True,
    "localhost": True,
    "agents.example": True,
    "AGENTS.example:8080": True,
    "evil.example": False,
    "agents.example.evil.example": False,
    "127.0.0.1.evil.example": False,
    "localhost.evil.example": False,
}


@pytest.mark.parametrize(("host", "may_enter"), HOSTS.items())
async def test_the_host_that_a_request_names_must_be_allowed(
    runner: Runner, host: str, may_enter: bool
) -> None:
    status, body = await http_request(runner, host=host)
    assert status == (200 if may_enter else 403)
    if not may_enter:
        assert json.loads(body)["code"] == "forbidden"
    answer = await shake_hands(runner, host=host)
    if may_enter:
        assert answer[0]["event"] == "system.connected"
    else:
        assert answer[0]["metadata"]["code"] == "forbidden"
        assert answer[1] == 4003


ORIGINS = {
    None: True,
    "OWN": True,
    "http://localhost:5173": True,
    "http://127.0.0.1:9999": True,
    "http://[::1]:3000": True,
    "https://app.example": True,
    "https://app.example:8443": False,
    "http://app.example": False,
    "null": False,
    "https://evil.example": False,
    "http://localhost.evil.example": False,
    "http://127.0.0.1.evil.example": False,
    "file://": False,
}


@pytest.mark.parametrize(("origin", "may_enter"), ORIGINS.items())
async def test_only_pages_of_allowed_origins_may_open_sockets(
    runner: Runner, origin: str | None, may_enter: bool
) -> None:
    if origin == "OWN":
        origin = f"http://127.0.0.1:{runner.port}"
    async with await Recorder.dial(runner.url, origin=origin) as client:
        if may_enter:
            await client.until("system.connected")
        else:
            await dismissed(client, "forbidden", 4003)


ON_OTHER_PORTS = ("http://localhost:5173", "http://127.0.0.1:9999", "http://[::1]:3000")


@pytest.mark.parametrize(
    ("origin", "may_enter"), (ORIGINS | dict.fromkeys(ON_OTHER_PORTS, False)).items()
)
async def test_only_own_pages_and_those_of_listed_origins_may_change_anything_over_http(
    runner: Runner, origin: str | None, may_enter: bool
) -> None:
    if origin == "OWN":
        origin = f"http://127.0.0.1:{runner.port}"
    headers = {} if origin is None else {"Origin": origin}
    status, body = await http_request(runner, method="POST", **headers)
    # A site's own pages need the token of a form besides.
    is_refused = status == 403 and json.loads(body)["code"] == "forbidden"
    assert is_refused != may_enter


@pytest.mark.parametrize("origin", ["garbage", "http://["])
async def test_an_origin_that_is_none_is_refused(runner: Runner, origin: str) -> None:
    try:
        async with await Recorder.dial(runner.url, origin=origin) as client:
            await dismissed(client, "forbidden", 4003)
    except InvalidStatus as error:
        # Daphne itself refuses these, before the application is asked.
        assert error.response.status_code == 400


async def test_a_page_from_a_file_may_come_in_where_that_is_listed(serve: Serve) -> None:
    runner = serve("odd.py", env={"MYAGENT_ALLOWED_ORIGINS": "null"})
    async with await Recorder.dial(runner.url, origin="null") as client:
        await client.until("system.connected")


async def shake_hands(runner: Runner, host: str) -> tuple[Frame, int | None]:
    """The first frame and the close code, for a handshake that names this host."""
    async with await Recorder.dial(f"ws://{host}/", host="127.0.0.1", port=runner.port) as client:
        first = await client.receive()
        if first["event"] == "system.connected":
            return first, None
        return first, await client.read_to_close()


# Too much.


async def test_a_client_that_sends_too_much_is_slowed_down_then_sent_away(serve: Serve) -> None:
    env = {"MYAGENT_MESSAGES_PER_SECOND": "0.001", "MYAGENT_MESSAGE_BURST": "3"}
    runner = serve("odd.py", env=env)
    async with await Recorder.open(runner.url) as client:
        session = await client.create_session()
        for number in range(3):
            await client.say(session, f"says {number}", message_id=f"m-{number}")
        error = await refused(client, "rate_limited")
        assert error["metadata"]["retryable"] is True
        for _ in range(150):
            await client.say(session, "says more")
        await dismissed(client, "rate_limited", 4029)
    async with await Recorder.open(runner.url) as back:
        log = durable(await back.reconnect(session))
        accepted = [frame["content"] for frame in log if frame["event"] == "user.message"]
        assert accepted == ["says 0", "says 1"]


async def test_a_socket_may_hold_only_so_many_sessions(serve: Serve) -> None:
    runner = serve("odd.py", env={"MYAGENT_SESSIONS_PER_CONNECTION": "2"})
    async with await Recorder.open(runner.url) as client:
        first, second = [await client.create_session() for _ in range(2)]
        await client.send("user.create_session")
        await refused(client, "too_many_sessions")
        await client.send("user.detach", first)
        third = await client.create_session()
        await client.say(first, "says hi")
        await refused(client, "too_many_sessions")
        await client.send("user.reconnect", first)
        await refused(client, "too_many_sessions")
        for session in (second, third):
            await client.ask(session, "says hi")


async def test_a_runner_serves_only_so_many_conversations_at_once(serve: Serve) -> None:
    runner = serve("odd.py", env={"MYAGENT_MAX_SESSIONS": "2"})
    async with (
        await Recorder.open(runner.url) as client,
        await Recorder.open(runner.url) as newcomer,
    ):
        first, _ = [await client.create_session() for _ in range(2)]
        await newcomer.send("user.create_session")
        await refused(newcomer, "service_unavailable")
        await client.ask(first, "says hi")
        await client.send("user.detach", first)
        # Frames of one socket are handled in their order: by the answer, the first is let go.
        await client.send("user.detach", "nobody's")
        await newcomer.create_session()


async def test_an_address_may_open_only_so_many_sockets_but_this_machine_any_number(
    serve: Serve,
) -> None:
    limits = {"MYAGENT_CONNECTIONS_PER_ADDRESS": "2", "MYAGENT_TRUSTED_PROXIES": "127.0.0.1"}
    runner = serve("odd.py", env=limits)
    far = {"additional_headers": {"X-Forwarded-For": "203.0.113.5"}}
    async with (
        await Recorder.open(runner.url, **far) as first,
        await Recorder.open(runner.url, **far),
    ):
        async with await Recorder.dial(runner.url, **far) as third:
            await dismissed(third, "rate_limited", 4029)
        async with contextlib.AsyncExitStack() as near:
            for _ in range(3):
                await near.enter_async_context(await Recorder.open(runner.url))
        await first.socket.close()
        async with asyncio.timeout(30):
            while True:
                async with await Recorder.dial(runner.url, **far) as next_one:
                    if (await next_one.receive())["event"] == "system.connected":
                        break


async def test_a_queue_has_an_end(serve: Serve) -> None:
    runner = serve("odd.py", env={"MYAGENT_QUEUE_LENGTH": "2"})
    async with await Recorder.open(runner.url) as client:
        session = await client.create_session()
        for number in range(4):
            await client.say(session, "waits", message_id=f"m-{number}")
        error = await refused(client, "busy")
        assert error["metadata"]["message_id"] == "m-3"
        await client.send("user.cancel", session, metadata={"all": True})
        for _ in range(3):
            await client.until("agent.interrupted")
        assert_one_end_each(client.frames)


# Agents and models that fail.


@pytest.mark.parametrize("deed", ["raises", "exits", "cancels", "yields_rubbish"])
@pytest.mark.both_databases
async def test_an_agent_that_fails_is_an_agent_error_and_the_session_goes_on(
    odd: Runner, deed: str
) -> None:
    async with await Recorder.open(odd.url) as client:
        session = await client.create_session()
        await client.say(session, deed, message_id="m-1")
        end = await client.until("agent.error")
        assert end["metadata"]["code"] == "agent_error"
        assert end["metadata"]["message_id"] == "m-1"
        assert_plain(end)
        answer = await client.ask(session, "says 你好")
        assert answer["content"] == "You said: 你好"
        assert_gapless(client.frames)
        assert_one_end_each(client.frames)


async def test_an_agent_that_ends_without_an_answer_is_an_agent_error(serve: Serve) -> None:
    runner = serve("quits.py")
    async with await Recorder.open(runner.url) as client:
        end = await client.ask(await client.create_session(), "well?")
        assert (end["event"], end["metadata"]["code"]) == ("agent.error", "agent_error")
        assert_plain(end)


async def test_a_model_that_can_not_be_reached_is_a_model_error(serve: Serve) -> None:
    runner = serve("deaf.py")
    async with await Recorder.open(runner.url) as client:
        session = await client.create_session()
        end = await client.ask(session, "hello?")
        assert (end["event"], end["metadata"]["code"]) == ("agent.error", "model_error")
        assert end["metadata"]["retryable"] is True
        assert_plain(end)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503])
async def test_a_models_refusal_is_a_plain_sentence(
    client: Recorder, session: str, status: int
) -> None:
    secret = "sk-123456 at /srv/model/main.py Traceback"
    end = await client.ask(session, f"[[status {status} {secret}]] hello")
    assert (end["event"], end["metadata"]["code"]) == ("agent.error", "model_error")
    assert_plain(end)


# Languages.


CHINESE = re.compile(r"[\u4e00-\u9fff]")


async def test_sentences_are_in_the_language_that_was_asked_for(runner: Runner) -> None:
    async def error_sentence(url: str, **options: Any) -> str:
        async with await Recorder.open(url, **options) as client:
            await client.send_raw("[]")
            return str((await client.error("invalid_event"))["content"])

    english = await error_sentence(runner.url)
    assert await error_sentence(f"{runner.url}?lang=tlh") == english
    chinese = await error_sentence(f"{runner.url}?lang=zh-hans")
    for tag in ("zh-CN", "zh-cn,en;q=0.5", "fr, zh-Hans;q=0.9, en;q=0.8"):
        header = {"Accept-Language": tag}
        assert await error_sentence(runner.url, additional_headers=header) == chinese
        assert (
            await error_sentence(f"{runner.url}?lang=en", additional_headers=header) == english
        ), "the query is asked before the header"


async def test_a_refusal_is_in_the_language_that_was_asked_for(runner: Runner) -> None:
    async def sentence(url: str, **options: Any) -> str:
        async with await Recorder.dial(url, origin="https://evil.example", **options) as client:
            return str((await dismissed(client, "forbidden", 4003))["content"])

    chinese = await sentence(runner.url, additional_headers={"Accept-Language": "zh-CN"})
    assert await sentence(f"{runner.url}?lang=zh-hans") == chinese


async def test_a_session_keeps_its_language(runner: Runner) -> None:
    async with await Recorder.open(f"{runner.url}?lang=en") as client:
        session = await client.create_session(lang="zh-CN")
        chinese = client.frames[-1]["content"]
    async with await Recorder.open(f"{runner.url}?lang=zh-hans") as client:
        await client.create_session()
        assert client.frames[-1]["content"] == chinese
        resumed = (await client.reconnect(session))[0]["content"]
    async with await Recorder.open(f"{runner.url}?lang=en") as client:
        assert (await client.reconnect(session))[0]["content"] == resumed


async def test_chinese_sentences_are_chinese(runner: Runner) -> None:
    async with await Recorder.open(f"{runner.url}?lang=zh-hans") as client:
        if not CHINESE.search(client.frames[0]["content"]):
            pytest.skip("there is no Chinese catalogue")
        session = await client.create_session()
        await client.say(session, '[[tool order {"item": "茶"}]]')
        await client.until("agent.user_confirm")
        await client.send("user.cancel", session)
        await client.until("agent.interrupted")
        await client.send_raw("[]")
        await client.until("system.error")
        await client.send("user.close_session", session)
        await client.until("agent.session_end")
        own = [
            frame
            for frame in client.frames
            if isinstance(frame["content"], str)
            and frame["content"]
            and frame["event"] not in ("user.message", "agent.tool_result")
        ]
        for frame in own:
            assert CHINESE.search(frame["content"]), frame


@pytest.mark.parametrize("status", [401, 500])
async def test_a_models_failure_is_said_in_the_sessions_language(
    runner: Runner, status: int
) -> None:
    async with await Recorder.open(f"{runner.url}?lang=zh-hans") as client:
        end = await client.ask(await client.create_session(), f"[[status {status}]] fail")
        assert CHINESE.search(end["content"])


# Storage that is away.


async def test_while_the_database_is_locked_nothing_is_accepted_and_nothing_is_lost(
    serve: Serve, fresh_database_url: str
) -> None:
    if not fresh_database_url.startswith("sqlite"):
        pytest.skip("a server's database has a test of its own")
    runner = serve("odd.py", database_url=f"{fresh_database_url}?timeout=1")
    async with await Recorder.open(runner.url) as client:
        session = await client.create_session()
        await client.ask(session, "says hi")
        with nobody_writes(fresh_database_url):
            await lose_storage(runner, client, session)
        await find_storage(runner, client, session)


async def test_while_the_database_server_is_down_nothing_is_accepted_and_nothing_is_lost(
    serve: Serve,
) -> None:
    if not database_server().is_installed():
        pytest.skip("MariaDB is not installed")
    with database_server()() as server:
        execute_sql(server.port, "CREATE DATABASE site CHARACTER SET utf8mb4")
        runner = serve("odd.py", database_url=server.url("site"))
        async with await Recorder.open(runner.url) as client:
            session = await client.create_session()
            await client.ask(session, "says hi")
            server.kill()
            await lose_storage(runner, client, session)
            server.start()
            await find_storage(runner, client, session)


async def test_health_tells_of_a_database_that_is_away_though_nobody_writes(serve: Serve) -> None:
    if not database_server().is_installed():
        pytest.skip("MariaDB is not installed")
    with database_server()() as server:
        execute_sql(server.port, "CREATE DATABASE site CHARACTER SET utf8mb4")
        runner = serve("odd.py", database_url=server.url("site"), env={"MYAGENT_RENEW_S": "0.5"})
        assert (await health(runner))["storage_available"] is True
        server.kill()
        await until_health(runner, 503)
        server.start()
        await until_health(runner, 200)


async def until_health(runner: Runner, status: int) -> None:
    """The server asks the database by itself, and sends no event."""
    async with asyncio.timeout(PATIENCE_S):
        while (await health(runner))["http_status"] != status:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def lose_storage(runner: Runner, client: Recorder, session: str) -> None:
    """The first message only waits: nobody knows yet. Then new ones are refused."""
    await client.say(session, "says accepted late", message_id="late")
    number = 0
    while True:
        number += 1
        await client.say(session, "says no", message_id=f"refused-{number}", on_busy="reject")
        error = await client.until("system.error")
        if error["metadata"]["code"] == "storage_unavailable":
            break
        assert error["metadata"]["code"] == "busy", error
    assert_plain(error)
    assert error["metadata"]["retryable"] is True
    assert error["metadata"]["message_id"] == f"refused-{number}"
    await client.send("user.create_session")
    await refused(client, "storage_unavailable")
    await client.send("user.reconnect", str(uuid4()))
    assert (await client.until("system.error"))["metadata"]["code"] in (
        "storage_unavailable",
        "unknown_session",
    )
    report = await health(runner)
    assert report["http_status"] == 503
    assert report["storage_available"] is False
    assert "late" not in {
        frame["metadata"].get("message_id")
        for frame in client.frames
        if frame["event"] == "user.message"
    }, "an echo is an acknowledgement"


async def find_storage(runner: Runner, client: Recorder, session: str) -> None:
    """What waited is accepted now, and everything that was acknowledged is there."""
    end = await client.until("agent.final_answer")
    assert end["metadata"]["message_id"] == "late"
    await client.ask(session, "says back")
    assert_gapless(client.frames)
    assert_one_end_each(client.frames)
    assert await log_of(runner.url, session) == durable(client.frames)
    assert (await health(runner))["http_status"] == 200
