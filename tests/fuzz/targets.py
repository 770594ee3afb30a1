"""The targets by name: each takes bytes, and raises what no reader of such bytes may raise."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.fuzz import seeds

Target = Callable[[bytes], None]

TARGETS: dict[str, Target] = {}
SEEDS: dict[str, list[bytes]] = {}
"""For each target some inputs that it takes, from which others are made."""


def target(name: str, *seeds: bytes) -> Callable[[Target], Target]:
    def add(function: Target) -> Target:
        TARGETS[name], SEEDS[name] = function, list(seeds)
        return function

    return add


def _pieces(data: bytes) -> tuple[list[bytes], bytes]:
    """The input in pieces whose lengths its first bytes tell, as networks do; and whole."""
    cuts, rest = data[:4], data[4:]
    places = sorted({0, *(cut % (len(rest) + 1) for cut in cuts), len(rest)})
    return [rest[start:end] for start, end in pairwise(places)], rest


# What clients say.


@target(
    "events",
    b'{"event": "user.create_session", "metadata": {"tags": ["a"], "client": {"plan": 1}}}',
    b'{"event": "user.message", "session_id": "a", "content": "hi", "metadata": {"message_id": '
    b'"m", "on_busy": "reject", "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b71692033'
    b'31-01"}}',
    b'{"event": "user.response", "session_id": "a", "step_id": "s", "content": {"approved": true, '
    b'"args": {"n": 12345678901234567890123}}}',
    b'{"event": "user.feedback", "session_id": "a", "content": "c", "metadata": {"message_id": '
    b'"m", "score": 0.5}}',
    b'{"event": "user.reconnect", "session_id": "a", "metadata": {"last_seq": 9}}',
    b'{"event": "user.cancel", "session_id": "a", "metadata": {"all": true}}',
)
def events(data: bytes) -> None:
    """What is taken can be written down again, and a refusal can be told."""
    from myagent import exact_json, protocol
    from myagent.span_ids import TraceParent

    try:
        event = protocol.parse(data.decode("utf-8", "replace"))
    except protocol.ProtocolError as error:
        error.detail.encode()
        return
    exact_json.dumps(event.model_dump()).encode()
    if isinstance(event, protocol.UserMessage):
        TraceParent.parse(event.metadata.traceparent)


@target("chat", b'{"query": "hi", "token": "t"}', b'{"action": "cancel"}')
def chat(data: bytes) -> None:
    from myagent.protocol import ProtocolError
    from myagent.protocol import chat as dialect

    with suppress(ProtocolError):
        dialect.parse(data.decode("utf-8", "replace"))


@target("trace", b'{"action": "start_agent", "question": "hi"}', b'{"action": "cancel"}')
def trace(data: bytes) -> None:
    from myagent.protocol import ProtocolError
    from myagent.protocol import trace as dialect

    with suppress(ProtocolError):
        dialect.parse(data.decode("utf-8", "replace"))


@target(
    "external",
    b'{"event": "agent.session_created", "session_id": "a", "metadata": {"code": "x"}}',
    b'{"event": "system.error", "metadata": {"session_id": "a", "code": "unknown_session"}}',
    b'{"event": "user.create_session", "metadata": {"service": "a", "SESSION_ID": 1}}',
)
def external(data: bytes) -> None:
    """A service's frame; and a client's that is passed on, once it is known to be an event."""
    from agents.sockets.external import frames
    from myagent.protocol import ProtocolError, parse

    text = data.decode("utf-8", "replace")
    if (heard := frames.heard(text)) is not None:
        _ = heard.is_a_notice, heard.is_refusal, heard.disowns_a_session
    try:
        parse(text)
    except ProtocolError:
        return
    parse(frames.without_address(frames.unambiguous(text)))


# Between server and worker.


def _framed(*frames: bytes) -> bytes:
    from myagent.worker.framing import framed

    return b"\x05\x10\x20\x30" + b"".join(map(framed, frames))


def _read(data: bytes, decode: Callable[[bytes], object]) -> list[object]:
    """The messages in what arrives, up to a frame that is announced as too large."""
    from myagent.worker.framing import FrameReader, FrameTooLarge
    from myagent.worker.protocol import LinkError

    reader = FrameReader()
    found: list[object] = []
    with suppress(FrameTooLarge):
        for piece in _pieces(data)[0]:
            for frame in reader.feed(piece):
                with suppress(LinkError):
                    found.append(decode(frame))
    return found


@target("from_worker", *map(_framed, seeds.FROM_WORKER), _framed(*seeds.FROM_WORKER))
def from_worker(data: bytes) -> None:
    """What was taken can be written down: the log and traces do."""
    from myagent.worker.codec import decode_from_worker, encode

    for message in _read(data, decode_from_worker):
        encode(message)  # type: ignore[arg-type]


@target("link", *map(_framed, seeds.FROM_WORKER), _framed(*seeds.FROM_WORKER))
def link(data: bytes) -> None:
    """A worker's end of a link, heard by a server that has a run there."""
    from tests.fuzz.connection import hear

    hear(_pieces(data)[0])


@target("from_server", *map(_framed, seeds.FROM_SERVER), _framed(*seeds.FROM_SERVER))
def from_server(data: bytes) -> None:
    from myagent.worker.codec import decode_from_server

    _read(data, decode_from_server)


# What a model says.


def _stream(*chunks: bytes) -> bytes:
    return b"\x05\x10\x20\x30" + b"".join(b"data: %b\n\n" % chunk for chunk in chunks)


CALL = (
    b'{"choices": [{"delta": {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", '
    b'"arguments": "{\\"a\\": 1}"}}]}, "finish_reason": "tool_calls"}], '
    b'"usage": {"total_tokens": 1}}'
)


@target(
    "model",
    _stream(b'{"choices": [{"delta": {"content": "<think>x</think>hi"}}]}', CALL, b"[DONE]"),
    _stream(b'{"error": {"message": "m", "code": 429}}'),
    b'\x05\x10\x20\x30{"choices": [{"message": {"content": [{"type": "text", "text": "hi"}], '
    b'"reasoning_content": "r", "tool_calls": []}, "finish_reason": "stop"}]}',
    b"\x05\x10\x20\x30event: error\r\ndata: no\r\n\r\n",
)
def model(data: bytes) -> None:
    """A whole reply, as the client of models reads it; cut elsewhere it says the same."""
    from myagent.models.base import ModelError
    from myagent.models.chunks import Reply, parse_chunk
    from myagent.models.sse import DONE, EventSplitter

    pieces, whole = _pieces(data)
    splitter = EventSplitter()
    read = [event for piece in pieces for event in splitter.feed(piece)] + list(splitter.close())
    at_once = EventSplitter()
    assert read == [*at_once.feed(whole), *at_once.close()]
    reply = Reply()
    with suppress(ModelError):
        for event in read:
            if event == DONE:
                break
            for piece in reply.add(parse_chunk(event)):
                str(piece).encode()
        reply.close()
        completion = reply.completion(with_calls=True)
        completion.text.encode()
        for call in completion.tool_calls:
            call.name.encode()
            call.arguments.encode()


@target("offline", b"What is the weather in Paris and 'New York' on 12 May?", "巴黎 天气".encode())
def offline(data: bytes) -> None:
    from myagent.models.offline.question import Question

    question = Question(data.decode("utf-8", "replace"), {"weather"})
    question.numbers()
    question.names()
    question.quoted()


# Requests.


@target(
    "edge",
    b"localhost:8000\nhttp://localhost:8000\n10.0.0.1, 127.0.0.1\nhttps\nBearer x\na=b; c=d\nen,zh",
)
def edge(data: bytes) -> None:
    """The headers by which a client is judged, whatever they hold."""
    from agents.runtime import edge as judge
    from agents.runtime.http.safe_headers import completed
    from agents.sentences import choose
    from myagent_site.request_ids import USABLE
    from services.access import bearer_in, is_local

    names = (b"host", b"origin", b"x-forwarded-for", b"x-forwarded-proto", b"authorization")
    lines = data.split(b"\n")
    headers = [*zip(names, lines, strict=False), (b"accept-language", lines[-1])]
    host, origin = (lines[0].decode("latin-1"), lines[1 % len(lines)].decode("latin-1"))
    scope = {
        "type": "http",
        "http_version": "1.1",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
    }
    if judge.host_is_allowed(host, ["site.example"]):
        assert not set(host) & set(" \t;,'\"<>\\/@"), "it is written into a policy"
    is_allowed = judge.origin_is_allowed(origin, host, [], is_open_on_loopback=True)
    if is_allowed and not judge.is_own_origin(origin, host):
        assert "evil" not in origin.lower().partition("//")[2].partition(":")[0] or origin in host
    address = judge.client_address(scope, ["127.0.0.1"])
    judge.counted_as(address, ["10.0.0.0/8"])
    assert judge.scheme_of(scope, ["127.0.0.1"]) in ("http", "https")
    bearer_in(scope)
    is_local(scope)
    choose(host, accept_language=lines[-1].decode("latin-1"))
    USABLE.fullmatch(host)
    completed(headers)


@target(
    "http",
    b"\x05\x10\x20\x30GET /a HTTP/1.1\r\nHost: localhost\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n",
    b"\x05\x10\x20\x30POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0"
    b"\r\n\r\n",
    b"\x05\x10\x20\x30GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    b"\x81\x82\x00\x00\x00\x00{}\x89\x80\x00\x00\x00\x00\x88\x80\x00\x00\x00\x00",
)
def http(data: bytes) -> None:
    """A connection to our own server, up to its loss."""
    from tests.fuzz.connection import deliver

    deliver(_pieces(data)[0])


# Settings, rules and names.


@target("rules", b"^a(b|c)*$\nabab", b"10.0.0.0/8\n10.1.2.3", b"a,b\na")
def rules(data: bytes) -> None:
    """A condition that a rule may have, and what a client says."""
    from agents.directory import Facts
    from services.routing.conditions import InvalidPattern, holds, pattern
    from services.routing.rules import Condition, Operator

    wanted, _, said = data.decode("utf-8", "surrogateescape").partition("\n")
    facts = Facts("", said, "", "", {}, {}, {"name": said})
    with suppress(InvalidPattern, UnicodeEncodeError):
        pattern(wanted, case_sensitive=True)
        condition = Condition("user_agent", Operator.REGEX_MATCH, wanted, case_sensitive=True)
        holds(condition, facts)
    for operator in (Operator.EQUALS, Operator.CONTAINS, Operator.STARTS_WITH, Operator.IN_LIST):
        holds(Condition("metadata.name", operator, wanted, case_sensitive=False), facts)


@target("query", b"since=12&status=running&trace_id=a&rerun_of=b&lang=zh&service=a%2Fb")
def query(data: bytes) -> None:
    """Parameters of an address."""
    from agents.sockets.handshake import language_of, query_of
    from traces.live.selection import Selection, Unusable

    scope = {"type": "websocket", "query_string": data, "headers": []}
    language_of(scope, {})
    with suppress(Unusable):
        selection = Selection.in_query(query_of(scope), None)
        assert selection.since is None or 0 <= selection.since < 2**63


@target("env_file", b"A=1\nB='x y'\nC=${A}\nexport D=\"e\\n\"\n# no\n")
def env_file(data: bytes) -> None:
    from myagent.env_file import EnvFileError, read_env_file

    with TemporaryDirectory() as folder:
        path = Path(folder) / ".env"
        path.write_bytes(data)
        with suppress(EnvFileError):
            for name, value in read_env_file(path, {}).items():
                assert name and "\0" not in value


@target("agent_file", b"echo.py", b"../../etc/passwd", b"a/./b.py")
def agent_file(data: bytes) -> None:
    """A name that somebody registers over the network: none leads out of the folders."""
    from django.test import override_settings

    from services.catalogue import agent_files
    from services.errors import ServiceError

    with TemporaryDirectory() as folder:
        inside = Path(folder).resolve() / "agents"
        inside.mkdir(mode=0o700)
        (inside / "echo.py").touch(mode=0o600)
        (Path(folder) / "outside.py").touch()
        with override_settings(MYAGENT_AGENT_DIRS=[str(inside)]), suppress(ServiceError):
            found = agent_files.found(data.decode("utf-8", "surrogateescape"), is_confined=True)
            assert Path(found).is_relative_to(inside)
