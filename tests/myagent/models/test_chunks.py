import json

import pytest

from myagent.models import chunks
from myagent.models.base import Completion, ModelError, Usage
from myagent.models.chunks import Reply, parse_chunk


def delta(finish_reason=None, **fields):
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish_reason}]}


def whole(*parts, with_calls=True) -> tuple[list[str], Completion]:
    reply = Reply()
    pieces = [text for part in parts if (text := reply.add(part))]
    return pieces, reply.completion(with_calls=with_calls)


def test_text_is_given_piece_by_piece_and_whole():
    pieces, completion = whole(
        delta(role="assistant", content=""),
        delta(content="Hel"),
        delta(content="lo"),
        delta("stop"),
        {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 2}},
    )
    assert pieces == ["Hel", "lo"]
    assert completion == Completion("Hello", usage=Usage(7, 2))


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_is_no_text(field):
    pieces, completion = whole(
        delta(**{field: "Hm, "}), delta(**{field: "yes"}), delta(content="!")
    )
    assert pieces == ["!"]
    assert completion.reasoning == "Hm, yes"


def test_a_reply_that_was_not_streamed_is_read():
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"role": "assistant", "content": "Hi", "tool_calls": [call]}
    reply = {"choices": [{"message": message, "finish_reason": "tool_calls"}]}
    pieces, completion = whole(reply)
    assert pieces == ["Hi"]
    assert [each.name for each in completion.tool_calls] == ["f"]


def test_content_in_parts_is_text():
    parts = [{"type": "thinking", "thinking": []}, {"type": "text", "text": "Hi"}]
    assert whole(delta(content=parts))[0] == ["Hi"]


def test_a_refusal_is_text():
    assert whole(delta(content=None, refusal="No."))[0] == ["No."]


def test_calls_are_dropped_when_no_tools_were_offered():
    call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}
    assert whole(delta(tool_calls=[call]), with_calls=False)[1].tool_calls == ()


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        (r'"a\ud800b"', "a\ufffdb"),
        (r'"a\udc00"', "a\ufffd"),
        (r'"\ud83d\ude00"', "😀"),
        (r'"\ud83d\ud83d\ude00"', "\ufffd😀"),
        (r'"\\ud800\ud800"', "\\ud800\ufffd"),
    ],
)
def test_a_lone_surrogate_is_replaced(sent, meant):
    assert parse_chunk(b'{"text": %b}' % sent.encode()) == {"text": meant}


def test_broken_utf8_is_replaced():
    assert parse_chunk(b'{"text": "\xff"}') == {"text": "\ufffd"}


@pytest.mark.parametrize("data", [b"<html>", b"[1]", b'{"a":', b"null"])
def test_what_is_no_json_object_is_a_model_error(data):
    with pytest.raises(ModelError, match="can't be read"):
        parse_chunk(data)


@pytest.mark.parametrize(
    "chunk",
    [
        {"choices": ["x"]},
        {"choices": {"a": 1}},
        {"choices": [{"delta": "x"}]},
        {"choices": [{"delta": {"tool_calls": "x"}}]},
        {"choices": [{"delta": {"tool_calls": [None]}}]},
        {"usage": "x"},
    ],
)
def test_a_chunk_of_another_shape_is_a_model_error(chunk):
    with pytest.raises(ModelError, match="can't be read"):
        Reply().add(chunk)


@pytest.mark.parametrize(
    ("error", "is_retryable"),
    [
        ({"message": "secret", "code": 500}, True),
        ({"message": "secret", "code": 429}, True),
        ({"message": "secret", "code": 400}, False),
        ({"message": "secret", "code": "server_error"}, True),
        ("secret", True),
    ],
)
def test_an_error_object_is_a_model_error_in_plain_words(error, is_retryable):
    with pytest.raises(ModelError) as caught:
        Reply().add({"error": error})
    assert caught.value.is_retryable is is_retryable
    assert "secret" not in str(caught.value)


def test_an_answer_held_back_by_a_filter_is_a_model_error():
    reply = Reply()
    reply.add(delta("content_filter"))
    with pytest.raises(ModelError, match="content filter"):
        reply.completion(with_calls=True)


def test_a_reply_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(chunks, "MAX_REPLY_CHARS", 100)
    reply = Reply()
    piece = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "x" * 30}}
    reply.add(delta(content="x" * 30, reasoning="x" * 30, tool_calls=[piece]))
    with pytest.raises(ModelError, match="too long") as caught:
        reply.add(delta(content="x" * 30))
    assert not caught.value.is_retryable


def test_a_chunk_that_python_writes_is_read():
    text = "a\ud800 字 😀"
    data = json.dumps(delta(content=text)).encode()
    assert Reply().add(parse_chunk(data)) == "a\ufffd 字 😀"
