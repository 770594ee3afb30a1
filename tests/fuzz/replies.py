"""What a model says, and what the offline one is told."""

from __future__ import annotations

from contextlib import suppress

from tests.fuzz.registry import pieces_of, target


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

    pieces, whole = pieces_of(data)
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
