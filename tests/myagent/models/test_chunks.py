import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from myagent.messages import Reasoning
from myagent.models import chunks
from myagent.models.base import Completion, ModelError, TakenBack, Usage
from myagent.models.chunks import Reply, parse_chunk


def delta(finish_reason=None, **fields):
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish_reason}]}


def whole(*parts, with_calls=True) -> tuple[list[str], Completion]:
    reply = Reply("here")
    pieces = [piece for part in parts for piece in reply.add(part)]
    return [*pieces, *reply.close()], reply.completion(with_calls=with_calls)


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


def usage_of(**usage):
    return whole(delta(content="Hi"), {"choices": [], "usage": usage})[1].usage


@pytest.mark.parametrize(
    "more",
    [
        {"prompt_tokens_details": {"cached_tokens": 5, "audio_tokens": None}},
        {"prompt_cache_hit_tokens": 5, "prompt_cache_miss_tokens": 3},
        {"cached_tokens": 5},
        {"cache_read_input_tokens": 5},
        {"input_tokens_details": {"cached_tokens": 5}},
        {"prompt_tokens_details": None, "prompt_cache_hit_tokens": 5.0},
        {"prompt_tokens_details": {"cached_tokens": 5}, "prompt_cache_hit_tokens": 5},
        {"prompt_tokens_details": {"cached_tokens": 0}, "cached_tokens": 5},
    ],
)
def test_tokens_from_the_providers_cache_are_counted_however_they_are_called(more):
    assert usage_of(prompt_tokens=8, completion_tokens=2, **more) == Usage(8, 2, cached_tokens=5)


@pytest.mark.parametrize(
    "more",
    [
        {"completion_tokens_details": {"reasoning_tokens": 4, "audio_tokens": 0}},
        {"output_tokens_details": {"reasoning_tokens": 4}},
        {"reasoning_tokens": 4},
    ],
)
def test_tokens_of_reasoning_are_counted_however_they_are_called(more):
    assert usage_of(prompt_tokens=8, completion_tokens=6, **more) == Usage(8, 6, reasoning_tokens=4)


def test_reasoning_that_a_provider_counts_apart_is_part_of_the_completion_here():
    details = {"completion_tokens_details": {"reasoning_tokens": 40}}
    apart = usage_of(prompt_tokens=8, completion_tokens=6, total_tokens=54, **details)
    assert apart == Usage(8, 46, reasoning_tokens=40)
    within = usage_of(prompt_tokens=8, completion_tokens=46, total_tokens=54, **details)
    assert within == Usage(8, 46, reasoning_tokens=40)


@pytest.mark.parametrize(
    "garbage", [None, "x", "5", -5, True, [], [5], {}, float("nan"), float("inf"), 0.5, 10**30]
)
def test_a_strange_count_of_parts_costs_no_answer(garbage):
    for more in (
        {"prompt_tokens_details": garbage, "completion_tokens_details": garbage},
        {
            "prompt_tokens_details": {"cached_tokens": garbage},
            "completion_tokens_details": {"reasoning_tokens": garbage},
        },
        {"cached_tokens": garbage, "reasoning_tokens": garbage},
    ):
        usage = usage_of(prompt_tokens=8, completion_tokens=2, **more)
        assert (usage.prompt_tokens, usage.completion_tokens) == (8, 2)
        assert (usage.cached_tokens, usage.reasoning_tokens) in ((0, 0), (8, 2))


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
    assert "secret" in caught.value.cause


@pytest.mark.parametrize(
    "last",
    [
        {"error": "exploded"},
        {"object": "error", "message": "EngineDeadError", "code": 500},
        {"detail": "upstream closed"},
        {"choices": [{"delta": {"content": ""}, "finish_reason": "error"}]},
        {"choices": [{"delta": {}, "finish_reason": "stop", "error": {"message": "gone"}}]},
        {"choices": [{"delta": {}, "finish_reason": "abort"}]},
        {"choices": [{"delta": {}, "finish_reason": "failed"}]},
        {"choices": [{"delta": {}, "finish_reason": "MALFORMED_FUNCTION_CALL"}]},
        {"title": "Internal Server Error", "status": 500},
        {"fault": {"faultstring": "timed out", "detail": {"errorcode": "x"}}},
        {"choices": [{"delta": {}, "finish_reason": "insufficient_system_resource"}]},
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
        {"choices": None, "base_resp": {"status_code": 1027, "status_msg": "sensitive"}},
        {"choices": [], "x_groq": {"error": "over capacity"}},
        {"code": "Throttling", "message": "too fast", "request_id": "r"},
    ],
)
def test_a_reply_that_ends_in_an_error_is_none(last):
    reply = Reply()
    reply.add(delta(content="The capital is"))
    with pytest.raises(ModelError, match="failed while it was answering") as caught:
        reply.add(last)
    assert caught.value.cause
    assert caught.value.may_ask_again


@pytest.mark.parametrize(
    "chunk",
    [
        {"choices": [], "usage": None},
        {"choices": [], "prompt_filter_results": []},
        {"type": "ping"},
        {"status": "processing"},
        {"status": 200},
        {"error": None, "choices": []},
        {"choices": None, "base_resp": {"status_code": 0, "status_msg": "success"}},
    ],
)
def test_what_is_no_error_is_passed_over(chunk):
    assert whole(chunk, delta(content="Hi"), delta("stop"))[1].text == "Hi"


@pytest.mark.parametrize(
    ("reason", "cut"),
    [("stop", ""), ("length", "length"), ("MAX_TOKENS", "length"), ("model_length", "length"),
     ("content_filter", "content_filter"), ("sensitive", "content_filter")],
)  # fmt: skip
def test_what_cut_an_answer_off_is_said(reason, cut):
    assert whole(delta(content="The capital is"), delta(reason))[1].cut == cut


@pytest.mark.parametrize(
    ("before", "sentence"),
    [
        ([delta(reasoning_content="Hm")], "used up its tokens for reasoning"),
        ([delta(content="<think>Hm")], "used up its tokens for reasoning"),
        ([], "limit of tokens before it said anything"),
    ],
)
def test_tokens_that_ran_out_before_an_answer_are_an_error_that_says_so(before, sentence):
    with pytest.raises(ModelError, match=sentence) as caught:
        whole(*before, delta("length"))
    assert not caught.value.is_retryable


def message(finish_reason="stop", **fields):
    return {"choices": [{"message": fields, "finish_reason": finish_reason}]}


LONG = "The capital of France is Paris, as ever."

CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}


@pytest.mark.parametrize(
    "last",
    [
        message(content="Hello world", tool_calls=[CALL], reasoning="Hm", role="assistant"),
        delta("stop", content="Hello world", tool_calls=[CALL]),
        message(content="Hello world", tool_calls=[CALL, CALL]),
    ],
)
def test_a_last_frame_that_repeats_all_says_it_once(last):
    pieces, completion = whole(
        delta(reasoning="Hm"), delta(content="Hello "), delta(content="world"),
        delta(tool_calls=[{"index": 0, **CALL}]), last,
    )  # fmt: skip
    assert "".join(pieces) == completion.text == "Hello world"
    assert completion.reasoning == "Hm"
    assert [call.arguments for call in completion.tool_calls] == ['{"a":1}']


@pytest.mark.parametrize("repeated", [[delta(content=LONG), delta("stop")], [message(content=LONG)],
    [{"choices": [{"delta": {"content": ""}, "message": {"content": LONG}}]}]])  # fmt: skip
def test_a_long_text_that_is_told_whole_once_more_is_said_once(repeated):
    assert whole(delta(content=LONG[:9]), delta(content=LONG[9:]), *repeated)[1].text == LONG
    assert whole(*repeated)[1].text == LONG


@pytest.mark.parametrize(
    "before", [[LONG], ["Yes", " sir"], ["A short one."]], ids=["long", "pieces", "short"]
)
@pytest.mark.parametrize("has_reason", [True, False])
def test_a_last_frame_that_repeats_what_came_in_few_pieces_says_it_once(before, has_reason):
    said = "".join(before)
    last = [delta("stop", content=said)] if has_reason else [delta(content=said), delta("stop")]
    pieces, completion = whole(*(delta(content=each) for each in before), *last)
    assert pieces == before
    assert completion.text == said


def test_a_text_that_is_said_again_and_goes_on_is_said_twice():
    said = [delta(content=LONG), delta(content=LONG), delta(content=" So."), delta("stop")]
    pieces, completion = whole(*said)
    assert "".join(pieces) == completion.text == f"{LONG}{LONG} So."


def test_a_last_frame_with_more_than_was_streamed_says_the_rest():
    assert whole(delta(content="Hello "), message(content="Hello world"))[1].text == "Hello world"


def test_a_short_text_may_be_said_twice():
    assert whole(delta(content="ha"), delta("stop", content="ha"))[1].text == "haha"


def test_a_legacy_function_call_is_a_call():
    pieces = [{"name": "f", "arguments": ""}, {"arguments": '{"a"'}, {"arguments": ": 1}"}]
    (call,) = whole(*(delta(function_call=piece) for piece in pieces))[1].tool_calls
    assert (call.name, call.arguments) == ("f", '{"a": 1}')


def test_thinking_between_tags_is_reasoning():
    pieces, completion = whole(delta(content="<thi"), delta(content="nk>Hm</think>\n\nHi"))
    assert (pieces, completion.text, completion.reasoning) == (["Hi"], "Hi", "Hm")
    assert completion.kept is None


def test_thinking_without_its_first_tag_is_taken_back():
    pieces, completion = whole(
        delta(content="Hm, hm."), delta(content="</think>"), delta(content="Hi")
    )
    assert pieces == ["Hm, hm.", TakenBack(), "Hi"]
    assert (completion.text, completion.reasoning) == ("Hi", "Hm, hm.")


def test_reasoning_goes_back_with_calls_in_the_servers_own_form():
    detail = {"type": "reasoning.text", "index": 0}
    completion = whole(
        delta(reasoning="Let ", reasoning_details=[{**detail, "text": "Let "}]),
        delta(reasoning="me.", reasoning_details=[{**detail, "text": "me."}]),
        delta(reasoning_details=[{**detail, "signature": "s=="}]),
        delta(reasoning_details=[{"type": "reasoning.encrypted", "data": "x", "index": 1}]),
        delta(tool_calls=[{"index": 0, **CALL, "extra_content": {"google": {"t": "sig"}}}]),
    )[1]
    assert completion.reasoning == "Let me."
    assert completion.kept == Reasoning(
        "here",
        {
            "reasoning": "Let me.",
            "reasoning_details": [
                {**detail, "text": "Let me.", "signature": "s=="},
                {"type": "reasoning.encrypted", "data": "x", "index": 1},
            ],
        },
        [{"extra_content": {"google": {"t": "sig"}}}],
    )


def test_reasoning_that_a_server_tells_in_two_ways_is_shown_once():
    said = [{"reasoning_content": text, "reasoning": text} for text in ("Hm, ", "yes")]
    assert whole(*(delta(**each) for each in said))[1].reasoning == "Hm, yes"


def test_reasoning_told_in_details_alone_is_shown():
    details = [{"type": "reasoning.summary", "summary": text} for text in ("Hm, ", "yes")]
    assert whole(*(delta(reasoning_details=[each]) for each in details))[1].reasoning == "Hm, yes"


def test_thinking_in_parts_of_the_content_is_reasoning():
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}
    pieces, completion = whole(delta(content=[thought]), delta(content="Hi"))
    assert (pieces, completion.reasoning) == (["Hi"], "Hm")


def test_reasoning_without_calls_does_not_go_back():
    assert whole(delta(reasoning_content="Hm"), delta(content="Hi"))[1].kept is None


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["choices", "delta", "message", "content", "tool_calls", "function",
            "name", "arguments", "index", "id", "error", "code", "usage", "finish_reason",
            "reasoning", "reasoning_details", "type", "text", "function_call", "base_resp"]),
        inner, max_size=4), max_leaves=30))  # fmt: skip
def test_whatever_a_server_sends_is_text_or_a_model_error(chunk):
    with contextlib.suppress(ModelError):
        whole({"choices": [{"delta": chunk}]})
    if isinstance(chunk, dict):
        with contextlib.suppress(ModelError):
            whole(chunk)


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
        reply.add(delta(content="y" * 30))
    assert not caught.value.is_retryable


def test_a_chunk_that_python_writes_is_read():
    text = "a\ud800 字 😀"
    data = json.dumps(delta(content=text)).encode()
    assert Reply().add(parse_chunk(data)) == ("a\ufffd 字 😀",)
