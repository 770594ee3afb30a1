"""What clients say, and what server and worker say to each other."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from tests.fuzz import seeds
from tests.fuzz.registry import pieces_of, target


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
        for piece in pieces_of(data)[0]:
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

    hear(pieces_of(data)[0])


@target("from_server", *map(_framed, seeds.FROM_SERVER), _framed(*seeds.FROM_SERVER))
def from_server(data: bytes) -> None:
    from myagent.worker.codec import decode_from_server

    _read(data, decode_from_server)
