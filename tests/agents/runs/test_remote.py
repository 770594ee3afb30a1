"""Links over TCP: who does not belong to the instance gets none, whatever it knows or has heard."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import ssl
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from structlog.testing import capture_logs

from agents.log.fold import History
from agents.runs import link as link_module
from agents.runs import link_keeper
from agents.runs.attempts import Attempt
from agents.runs.link import Link, LinkFailed, dial
from agents.runs.link_keeper import LinkKeeper
from agents.runs.link_keys import key_of_servers, key_of_worker
from agents.runs.remote import Remote, address_of, is_of_the_network, way_to
from agents.runs.worker_process import Paths
from myagent.inner_spans import RunPlace
from myagent.messages import ChatMessage
from myagent.runnable import NOTHING_DONE
from myagent.worker import doors
from myagent.worker.codec import encode
from myagent.worker.framing import framed
from myagent.worker.protocol import VERSION, Hello, RunKey
from myagent.worker.tls import VARIABLE, BadLinkKey, LinkKey, context_of
from tests.cutting_proxy import CuttingProxy
from tests.inline_worker import InlineWorker, inline_worker
from tests.myagent.worker.processes import WorkerProcess, workers

ID = "one"
PATIENCE_S = 30.0
LOCAL = "127.0.0.1"


async def nobody() -> Any:
    raise AssertionError("nobody asks the agent")


@pytest.fixture
def worker() -> Iterator[InlineWorker]:
    with inline_worker(nobody, instance_id=ID, key=key_of_worker(ID)) as worker:
        yield worker


class Refusals(logging.Handler):
    """What the worker's log says of connections that it refused."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._has_come = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage().startswith("links_refused"):
            self.lines.append(record.getMessage())
            self._has_come.set()

    async def first(self) -> str:
        assert await asyncio.to_thread(self._has_come.wait, PATIENCE_S)
        return self.lines[0]


@pytest.fixture
def refusals() -> Iterator[Refusals]:
    handler = Refusals()
    doors.logger.addHandler(handler)
    yield handler
    doors.logger.removeHandler(handler)


def far(worker: InlineWorker) -> Remote:
    return Remote(ID, LOCAL, worker.port)


async def linked(worker: InlineWorker) -> None:
    """A server's link comes about."""
    link = await dial(far(worker), "a server")
    assert (link.instance_id, link.process) == (ID, None)
    link.close()
    await link.until_closed()


@asynccontextmanager
async def opened(
    port: int, context: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    host = None if context is None else ""
    reader, writer = await asyncio.open_connection(LOCAL, port, ssl=context, server_hostname=host)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


async def heard(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the end."""
    said = b""
    async with asyncio.timeout(PATIENCE_S):
        with suppress(OSError):
            while data := await reader.read(65536):
                said += data
    return said


HELLO = framed(encode(Hello(VERSION, "nobody")))


async def test_a_server_of_the_site_gets_a_link(worker: InlineWorker) -> None:
    await linked(worker)


async def test_with_another_secret_key_there_is_no_link_and_one_line_about_it(
    worker: InlineWorker, refusals: Refusals, settings: Any
) -> None:
    own = settings.SECRET_KEY
    settings.SECRET_KEY = "another"
    for _ in range(3):
        with pytest.raises(LinkFailed, match="SECRET_KEY is not the same"):
            await dial(far(worker), "a stranger")
    await refusals.first()
    settings.SECRET_KEY = own
    await linked(worker)
    assert len(refusals.lines) == 1


async def test_a_server_trusts_no_worker_but_the_one_that_it_dials(worker: InlineWorker) -> None:
    with pytest.raises(LinkFailed, match="another process answers there"):
        await dial(Remote("another", LOCAL, worker.port), "a server")


STRANGERS = {
    "what agent code can read of its own worker": key_of_worker,
    "the key for another instance": lambda _: LinkKey(
        key_of_servers("another").own, key_of_servers(ID).other
    ),
}


@pytest.mark.parametrize("key", STRANGERS.values(), ids=STRANGERS)
async def test_who_can_not_prove_to_be_a_server_is_not_heard(
    worker: InlineWorker, refusals: Refusals, key: Any
) -> None:
    # It knows the worker's certificate, hence does not mind to whom it talks.
    context = context_of(key(ID), is_worker=False)
    context.verify_mode = ssl.CERT_NONE
    async with opened(worker.port, context) as (reader, writer):
        writer.write(HELLO)
        assert await heard(reader) == b""
    assert "certificate verify failed" in await refusals.first()
    await linked(worker)


async def test_a_server_without_any_key_is_not_heard(
    worker: InlineWorker, refusals: Refusals
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    async with opened(worker.port, context) as (reader, writer):
        writer.write(HELLO)
        assert await heard(reader) == b""
    assert "peer did not return a certificate" in await refusals.first()


async def test_frames_before_the_proof_are_not_heard(
    worker: InlineWorker, refusals: Refusals
) -> None:
    async with opened(worker.port) as (reader, writer):
        writer.write(HELLO)
        # What comes back is TLS's own notice, if anything, and no frame.
        assert len(await heard(reader)) < len(HELLO)
    await refusals.first()
    await linked(worker)


class Recorder:
    """Passes a connection on to the worker, and keeps what its client said."""

    def __init__(self, port: int) -> None:
        self.said = b""
        self._port = port

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with opened(self._port) as (back, on):
            answers = asyncio.create_task(self._pass(back, writer))
            with suppress(OSError):
                while data := await reader.read(65536):
                    self.said += data
                    on.write(data)
            answers.cancel()
        writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)


async def test_a_link_that_was_overheard_can_not_be_replayed(
    worker: InlineWorker, refusals: Refusals
) -> None:
    recorder = Recorder(worker.port)
    async with await asyncio.start_server(recorder, LOCAL, 0) as between:
        link = await dial(Remote(ID, LOCAL, between.sockets[0].getsockname()[1]), "a server")
        link.close()
        await link.until_closed()
    assert len(recorder.said) > len(HELLO)
    async with opened(worker.port) as (reader, writer):
        writer.write(recorder.said)
        await heard(reader)
    assert "reason" in await refusals.first()
    await linked(worker)


async def test_connections_that_prove_nothing_keep_no_server_out(
    worker: InlineWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doors, "MAX_UNPROVED", 4)
    async with AsyncStack() as silent:
        for _ in range(12):
            await silent.open(worker.port)
        await linked(worker)
        # The oldest had to go, long before its time.
        assert await heard(silent.readers[0]) == b""


async def test_who_proves_nothing_in_time_is_hung_up_on(
    worker: InlineWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doors, "HANDSHAKE_S", 0.01)
    async with opened(worker.port) as (reader, _):
        assert await heard(reader) == b""


class AsyncStack:
    """Connections that stay open for as long as the block."""

    def __init__(self) -> None:
        self.readers: list[asyncio.StreamReader] = []
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> AsyncStack:
        return self

    async def open(self, port: int) -> None:
        reader, writer = await asyncio.open_connection(LOCAL, port)
        self.readers.append(reader)
        self._writers.append(writer)

    async def __aexit__(self, *_: object) -> None:
        for writer in self._writers:
            writer.transport.abort()


async def test_a_draining_worker_lets_nobody_in_for_its_successor(worker: InlineWorker) -> None:
    link = await dial(far(worker), "a server")
    link.drain()
    with pytest.raises(OSError):
        while True:  # Until the worker has taken it to heart.
            async with opened(worker.port) as (reader, _):
                await reader.read(1)
    link.close()
    await link.until_closed()


PRYING = """
import asyncio, os, sys

class Agent:
    async def astream(self, text):
        yield "begun"
        await asyncio.sleep(3600)

print("at import:", "MYAGENT_LINK_KEY" in os.environ, file=sys.stderr, flush=True)
agent = Agent()
"""


class Bereaved:
    """The receiver of a run, which waits to hear how its link ended."""

    def __init__(self) -> None:
        self.has_begun = asyncio.Event()
        self.end: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def on_text(self, step: int, text: str) -> None:
        self.has_begun.set()

    def on_step_started(self, step: int) -> None: ...

    def on_lost(self, attempt: Attempt, *, has_died: bool) -> None:
        self.end.set_result(has_died)


@pytest.mark.processes
@pytest.mark.parametrize("is_killed", [True, False], ids=["killed", "cut off"])
async def test_of_a_far_worker_a_kill_is_told_from_a_cut_and_its_agent_sees_no_key(
    monkeypatch: pytest.MonkeyPatch, is_killed: bool
) -> None:
    monkeypatch.setenv(VARIABLE, key_of_worker("i1").text)
    with workers() as launch:
        worker = launch(PRYING, "--listen", f"{LOCAL}:0")
        port = await asyncio.to_thread(port_in_log, worker)
        link = await dial(Remote("i1", LOCAL, port), "a server", timeout_s=None)
        receiver = Bereaved()
        begun(link, receiver)
        async with asyncio.timeout(PATIENCE_S):
            await receiver.has_begun.wait()
            worker.process.kill() if is_killed else link.close()
            assert await receiver.end is is_killed
        assert "at import: False" in worker.said


async def sleeper() -> Any:
    await asyncio.Event().wait()


async def test_a_link_that_is_reset_on_its_way_is_no_death_of_a_worker_that_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(link_module, "DEATH_S", PATIENCE_S)
    with inline_worker(sleeper, instance_id=ID, key=key_of_worker(ID)) as worker:
        async with CuttingProxy(worker.port) as network:
            link = await dial(Remote(ID, LOCAL, network.port), "a server")
            receiver = Bereaved()
            begun(link, receiver)
            network.cut()
            async with asyncio.timeout(PATIENCE_S):
                assert await receiver.end is False


@pytest.mark.parametrize(
    ("error", "is_of_it"),
    [
        (None, False),
        (ConnectionResetError(), False),
        (ssl.SSLEOFError(), False),
        (ssl.SSLError("bad record mac"), True),
        (TimeoutError(), True),
    ],
    ids=repr,
)
def test_what_no_dead_process_sends_is_of_the_network(
    error: Exception | None, is_of_it: bool
) -> None:
    assert is_of_the_network(error) is is_of_it


def begun(link: Link, receiver: Bereaved) -> None:
    """Starts a run on the link."""
    history = History(1000)
    history.start_turn("run")
    history.add("run", ChatMessage("user", "hi"))
    key = RunKey("session", 1, 1)
    link.start(key, history, NOTHING_DONE, receiver, place=RunPlace("r", 1, ""), is_continued=False)  # type: ignore[arg-type]


def port_in_log(worker: WorkerProcess) -> int:
    deadline = time.monotonic() + PATIENCE_S
    while (found := re.search(r"listening host='127.0.0.1' port=(\d+)", worker.said)) is None:
        assert time.monotonic() < deadline, worker.said
        time.sleep(0.01)
    return int(found[1])


async def test_the_keeper_dials_where_the_worker_is(worker: InlineWorker) -> None:
    keeper, links = LinkKeeper("server"), asyncio.Queue[Link]()

    async def attend(link: Link) -> None:
        links.put_nowait(link)
        await link.until_closed()

    keeper.keep(ID, attend, address=address_of(LOCAL, worker.port))
    try:
        async with asyncio.timeout(PATIENCE_S):
            assert (await links.get()).instance_id == ID
    finally:
        await keeper.end()


async def test_another_key_is_no_news_while_the_instance_is_being_replaced_at_its_address(
    worker: InlineWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper, failures = LinkKeeper("server"), asyncio.Queue[None]()
    is_replaced = True

    async def attend(link: Link) -> None:
        raise AssertionError("another process answers")

    async def fail(*args: Any, **options: Any) -> Link:
        try:
            return await dial(*args, **options)
        finally:
            failures.put_nowait(None)

    monkeypatch.setattr(link_keeper, "dial", fail)
    monkeypatch.setattr(link_keeper, "LAST_AGAIN_S", 0.01)
    monkeypatch.setattr(link_keeper, "AGAIN_S", 0.01)
    keeper.keep(
        "its successor",
        attend,
        address=address_of(LOCAL, worker.port),
        is_being_replaced=lambda: is_replaced,
    )

    async def dialled_again(times: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            for _ in range(times):
                await failures.get()

    with capture_logs() as lines:
        try:
            await dialled_again(3)
            assert [line["log_level"] for line in lines] == ["debug"]
            is_replaced = False
            while not failures.empty():
                failures.get_nowait()
            await dialled_again(3)
        finally:
            await keeper.end()
    assert [line["log_level"] for line in lines] == ["debug", "warning"]
    assert "another process answers there" in lines[1]["error"]


async def test_a_link_to_a_worker_whose_unix_socket_appears_meanwhile_is_over_that(
    worker: InlineWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper, links = LinkKeeper("server"), asyncio.Queue[Link]()
    place = Paths.of(ID).socket

    async def dial_before_it_is_there(way: Any, *args: Any, **options: Any) -> Link:
        link = await dial(way, *args, **options)
        if not place.is_symlink():
            place.symlink_to(worker.path)
        return link

    async def attend(link: Link) -> None:
        links.put_nowait(link)
        await link.until_closed()

    monkeypatch.setattr(link_keeper, "dial", dial_before_it_is_there)
    keeper.keep(ID, attend, address=address_of(LOCAL, worker.port))
    try:
        async with asyncio.timeout(PATIENCE_S):
            # Only that of a Unix socket knows the process at its other end.
            assert (await links.get()).process is not None
        assert links.empty()
    finally:
        await keeper.end()
        place.unlink(missing_ok=True)


def test_a_worker_of_this_folder_is_dialled_at_its_unix_socket() -> None:
    path, address = Paths.of(ID).socket, address_of("::1", 7)
    assert way_to(ID, "") == path
    assert way_to(ID, address) == Remote(ID, "::1", 7)
    path.touch()
    try:
        assert way_to(ID, address) == path
    finally:
        path.unlink()


@pytest.mark.parametrize("address", ["7", "tcp://", "tcp://:7", "tcp://::1:7", "tcp://h:x", "h:7"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        Remote.at(address, ID)


def test_keys_and_certificates_are_the_same_wherever_they_are_made(
    settings: Any,
) -> None:
    """Servers and workers of two versions of the site, or of its libraries, trust each other."""
    settings.SECRET_KEY = "for this test"
    digests = [
        hashlib.sha256(key(ID).text.encode()).hexdigest()[:16]
        for key in (key_of_worker, key_of_servers)
    ]
    assert digests == ["0082953b3453cc57", "942b2f38fc07a61a"]


@pytest.mark.parametrize("text", ["{", "[1, 2]", '["", ""]', '["x", "y"]'])
def test_what_is_no_key_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(BadLinkKey) as refused:
        context_of(LinkKey.of(text), is_worker=True)
    assert text not in str(refused.value)


def test_a_key_is_not_shown() -> None:
    assert "PRIVATE" not in repr(key_of_worker(ID))
