"""The model over real sockets, against the fake server."""

import asyncio
import gc
import re
import socket
import warnings

import pytest

from myagent.messages import ChatMessage
from myagent.models import ModelError, OpenAIModel, ToolSpec, Usage
from tests.fake_model import FakeModel, fake_model_process

TOOLS = (ToolSpec("weather", "Tells the weather", {"type": "object", "properties": {}}),)


def unused_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


async def failure(ask, model, question) -> ModelError:
    with pytest.raises(ModelError) as caught:
        await ask(model, question)
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert not any(secret in sentence for secret in ("secret-key", "127.0.0.1", "http"))
    return caught.value


async def test_an_answer_comes_in_pieces_and_then_whole(fake, model, ask):
    pieces, completion = await ask(model, "hello [[chunks=4]]")
    assert len(pieces) == 4
    assert "".join(pieces) == completion.text == "Answer to: hello"
    assert completion.usage == Usage(1, 4)
    assert fake.requests[0]["model"] == "test-model"
    assert fake.api_keys[0] == "secret-key"


async def test_tool_calls_are_assembled_and_their_results_are_heard(fake, model, ask):
    question = ChatMessage("user", '[[tool weather {"city": "Rome"}]] [[tool weather {}]] Sun?')
    _, completion = await ask(model, [question], TOOLS)
    assert [(each.name, each.arguments) for each in completion.tool_calls] == [
        ("weather", '{"city": "Rome"}'),
        ("weather", "{}"),
    ]
    results = [
        ChatMessage("tool", text, tool_call_id=call.id)
        for text, call in zip(["sunny", "rain"], completion.tool_calls, strict=True)
    ]
    asked = ChatMessage("assistant", tool_calls=completion.tool_calls)
    _, completion = await ask(model, [question, asked, *results], TOOLS)
    assert completion.text == "Answer to: Sun? (results: sunny; rain)"
    assert fake.requests[0]["tools"] == [TOOLS[0].to_dict()]


async def test_without_tools_the_reply_has_no_calls(model, ask):
    _, completion = await ask(model, "[[tool weather {}]] Sun?")
    assert completion.tool_calls == ()
    assert completion.text == "Answer to: Sun?"


async def test_malformed_arguments_arrive_as_they_were_written(model, ask):
    _, completion = await ask(model, "[[badcall weather]]", TOOLS)
    assert completion.tool_calls[0].arguments == '{"unclosed": '


async def test_reasoning_is_kept_apart(model, ask):
    pieces, completion = await ask(model, "[[reasoning let me think]] 1+1")
    assert completion.reasoning == "let me think"
    assert "".join(pieces) == "Answer to: 1+1"


async def test_a_server_that_does_not_stream_is_understood(model, ask):
    _, completion = await ask(model, "[[json]] [[tool weather {}]] Sun?", TOOLS)
    assert completion.tool_calls[0].name == "weather"
    pieces, completion = await ask(model, "[[json]] hello")
    assert pieces == ["Answer to: hello"]


async def test_a_server_without_stream_options_is_remembered(fake, model, ask):
    for _ in range(2):
        _, completion = await ask(model, "[[no_stream_options]] hello")
        assert completion.text == "Answer to: hello"
        assert completion.usage == Usage()
    assert ["stream_options" in body for body in fake.requests] == [True, False, False]


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_busy_server_is_asked_again_when_it_says(fake, model, ask, status):
    _, completion = await ask(model, f"[[status {status} times=2 retry_after=0.01]] hello")
    assert completion.text == "Answer to: hello"
    assert len(fake.requests) == 3


@pytest.mark.parametrize(
    ("directive", "sentence", "is_retryable"),
    [
        ("[[status 401 secret-key is wrong]]", "refused the API key", False),
        ("[[status 403]]", "may not use the model 'test-model'", False),
        ("[[status 404]]", "name 'test-model' is not known", False),
        ("[[status 400 This model's maximum context length is 8]]", "too long", False),
        ("[[status 413]]", "too long", False),
        ("[[status 400]]", r"did not accept the request \(status 400\)", False),
        ("[[status 429]]", "too many requests", True),
        ("[[status 502]]", r"server failed \(status 502\)", True),
        ("[[error after=3]]", "failed while it was answering", True),
        ("[[drop after=0]]", "lost in the middle", True),
        ("[[drop after=3]]", "lost in the middle", True),
    ],
)
async def test_what_goes_wrong_is_said_in_a_sentence(model, ask, directive, sentence, is_retryable):
    error = await failure(ask, model, f"{directive} hello")
    assert error.is_retryable is is_retryable
    assert re.search(sentence, str(error))


async def test_a_lost_connection_can_be_asked_again(model, ask):
    question = "[[drop after=3 times=1]] hello"
    assert (await failure(ask, model, question)).is_retryable
    assert (await ask(model, question))[1].text == "Answer to: hello"


async def test_a_server_that_is_not_there_is_a_sentence(ask):
    model = OpenAIModel(
        "m", api_key="k", base_url=f"http://127.0.0.1:{unused_port()}/v1", max_retries=0
    )
    error = await failure(ask, model, "hello")
    await model.aclose()
    assert error.is_retryable
    assert "can't be reached" in str(error)
    assert error.__cause__ is not None


@pytest.mark.parametrize(
    "settings",
    [
        {"api_key": "ключ", "base_url": "http://127.0.0.1:9/v1"},
        {"api_key": "a\nb", "base_url": "http://127.0.0.1:9/v1"},
        {"api_key": "k", "base_url": "http://127.0.0.1:port/v1"},
        {"api_key": "k", "base_url": "127.0.0.1/v1"},
        {"api_key": "k", "base_url": "ftp://127.0.0.1/v1"},
    ],
)
async def test_settings_that_cannot_work_are_a_sentence(ask, settings):
    model = OpenAIModel("m", max_retries=0, **settings)
    await failure(ask, model, "hello")
    await model.aclose()


async def test_a_missing_key_is_a_sentence(ask, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    error = await failure(ask, OpenAIModel("m"), "hello")
    assert "API key is missing" in str(error)


async def test_a_model_that_falls_silent_is_given_up(fake, ask):
    model = OpenAIModel("m", api_key="k", base_url=fake.base_url, stall_timeout_s=0.2)
    error = await failure(ask, model, "[[stall after=2]] hello")
    await fake.wait_until(lambda: fake.disconnects == 1)
    await model.aclose()
    assert error.is_retryable
    assert "stopped in the middle" in str(error)


async def test_a_reply_that_never_begins_is_given_up(ask):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        model = OpenAIModel("m", api_key="k", base_url=url, timeout_s=0.2, max_retries=0)
        error = await failure(ask, model, "hello")
        await model.aclose()
    assert error.is_retryable
    assert "did not answer in time" in str(error)


async def test_cancelling_ends_the_request_at_once(fake, model, ask):
    task = asyncio.create_task(ask(model, "[[hold here]] hello"))
    await fake.wait_held("here")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await fake.wait_until(lambda: fake.disconnects == 1 and fake.active == 0)


async def test_closing_the_stream_ends_the_request_at_once(fake, model):
    stream = model.stream([ChatMessage("user", "[[hold here]] hello")], ())
    assert await anext(stream)
    await stream.aclose()
    await fake.wait_until(lambda: fake.disconnects == 1 and fake.active == 0)


async def test_a_text_piece_is_given_before_the_next_one_comes(fake, model):
    stream = model.stream([ChatMessage("user", "[[hold here after=1]] hello")], ())
    first = await anext(stream)
    await fake.wait_held("here")
    fake.release("here")
    rest = [each async for each in stream]
    assert rest[-1].text.startswith(first)


async def test_one_connection_serves_call_after_call(fake, model, ask):
    await ask(model, "one")
    (connection,) = fake._connections
    await ask(model, "two")
    assert fake._connections == {connection}


async def test_many_calls_at_once_do_not_mix(model, ask):
    answers = await asyncio.gather(*(ask(model, f"question {i}") for i in range(50)))
    texts = [completion.text for _, completion in answers]
    assert texts == [f"Answer to: question {i}" for i in range(50)]


def test_each_loop_has_its_own_connections_and_none_is_left_open(ask):
    with fake_model_process() as base_url, warnings.catch_warnings():
        warnings.simplefilter("error")
        model = OpenAIModel("m", api_key="k", base_url=base_url)
        for _ in range(3):
            _, completion = asyncio.run(ask(model, "hello"))
            assert completion.text == "Answer to: hello"
        gc.collect()
        assert not model._clients._open


async def test_a_closed_model_can_be_asked_again(model, ask):
    await ask(model, "hello")
    await model.aclose()
    await model.aclose()
    _, completion = await ask(model, "hello")
    assert completion.text == "Answer to: hello"


async def test_a_request_of_strange_text_arrives(fake: FakeModel, model, ask):
    await ask(model, "a\udcff 字 😀 \x00")
    assert fake.requests[0]["messages"][0]["content"] == "a\ufffd 字 😀 \x00"
