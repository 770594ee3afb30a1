"""The model against servers that end, or begin, a reply in ways of their own."""

import asyncio
import contextlib
import gzip
from collections.abc import AsyncIterator

import pytest

from myagent.models import ModelError, OpenAIModel

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
TEXT = b'data: {"choices": [{"delta": {"content": "Hello"}}]}\n\n'
FINISH = b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"


def chunked(content: bytes, *, ends: bool = True) -> bytes:
    body = b"%x\r\n%b\r\n" % (len(content), content)
    return HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + body + (b"0\r\n\r\n" if ends else b"")


@contextlib.asynccontextmanager
async def serving(reply: bytes, *, closes: bool) -> AsyncIterator[OpenAIModel]:
    """A model whose server sends these bytes, and then hangs up or keeps silent."""
    over = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply)
        if not closes:
            await reader.read()  # until the client goes away
        writer.close()
        over.set()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        model = OpenAIModel("m", api_key="k", base_url=url, stall_timeout_s=0.5, max_retries=0)
        yield model
        await model.aclose()
        await over.wait()


@pytest.mark.parametrize(
    ("reply", "closes"),
    [
        pytest.param(chunked(TEXT + FINISH + DONE, ends=False), True, id="cut after [DONE]"),
        pytest.param(chunked(TEXT + FINISH + DONE, ends=False), False, id="open after [DONE]"),
        pytest.param(chunked(TEXT + FINISH), True, id="no [DONE]"),
        pytest.param(chunked(TEXT + FINISH, ends=False), True, id="cut after the last word"),
        pytest.param(chunked(TEXT + FINISH, ends=False), False, id="silent after the last word"),
        pytest.param(chunked(TEXT + DONE), True, id="no finish reason"),
        pytest.param(
            chunked(TEXT + b'data: {"type": "ping"}\n\n' + DONE), True, id="a ping at the end"
        ),
        pytest.param(
            chunked(TEXT + b'data: {"took_s": 1}\n\n' + FINISH + b'data: {"x": 1}\n\n' + DONE),
            True,
            id="unknown events around a finish reason",
        ),
        pytest.param(HEAD + b"\r\n" + TEXT + FINISH, True, id="ended by the connection"),
        pytest.param(chunked(TEXT + FINISH.strip()), True, id="no empty line at the end"),
    ],
)
async def test_a_reply_that_is_whole_counts_however_it_ends(ask, reply, closes):
    async with serving(reply, closes=closes) as model:
        pieces, completion = await ask(model, "hello")
    assert pieces == ["Hello"]
    assert completion.text == "Hello"


async def test_a_compressed_stream_is_read(ask):
    body = gzip.compress(TEXT + FINISH + DONE)
    head = HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with serving(head + body, closes=True) as model:
        assert (await ask(model, "hello"))[1].text == "Hello"


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        pytest.param(chunked(TEXT), "lost in the middle", id="no last word"),
        pytest.param(
            chunked(TEXT + b'event: error\ndata: {"reason": "overloaded"}\n\n' + DONE),
            "failed",
            id="an event named error",
        ),
        pytest.param(
            chunked(TEXT + b'data: {"reason": "overloaded"}\n\n' + DONE),
            "failed",
            id="something unknown instead of a finish reason",
        ),
        pytest.param(chunked(DONE), "no reply", id="[DONE] alone"),
        pytest.param(HEAD + b"Content-Length: 0\r\n\r\n", "no reply", id="nothing"),
        pytest.param(chunked(b"<html>\n<body>Hi\n\n</html>"), "no reply", id="a web page"),
        pytest.param(chunked(b"data: <html>\n\n"), "can't be read", id="no JSON"),
        pytest.param(chunked(b'{"detail": '), "can't be read", id="half of a JSON"),
        pytest.param(chunked(b'{"error": "overloaded"}'), "failed", id="an error, not streamed"),
        pytest.param(HEAD + b"Content-Encoding: gzip\r\n\r\nno", "lost", id="not compressed"),
        pytest.param(b"SSH-2.0-OpenSSH\r\n\r\n", "no reply", id="not HTTP"),
    ],
)
async def test_what_is_no_reply_is_a_model_error(ask, reply, sentence):
    async with serving(reply, closes=True) as model:
        with pytest.raises(ModelError, match=sentence):
            await ask(model, "hello")


async def test_a_used_up_quota_is_not_worth_another_try(ask):
    body = b'{"error": {"message": "x", "code": "insufficient_quota"}}'
    head = b"HTTP/1.1 429 No\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    async with serving(head % len(body) + body, closes=True) as model:
        with pytest.raises(ModelError, match="quota") as caught:
            await ask(model, "hello")
    assert not caught.value.is_retryable
