"""The model over real sockets, against the fake server."""

import asyncio
import gc
import json
import re
import socket
import warnings

import pytest

from myagent.messages import ChatMessage, ToolCall
from myagent.models import ModelError, OpenAIModel, ToolSpec, Usage
from myagent.models.base import NoMoreTools, TakenBack
from myagent.worker.endings import detail_of
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
    assert sentence[-1] in ".?"
    told = sentence.replace("http:// or https://", "")
    assert not any(secret in told for secret in ("secret-key", "http:", "Error"))
    assert "secret-key" not in caught.value.cause
    return caught.value


async def test_an_answer_comes_in_pieces_and_then_whole(fake, model, ask):
    pieces, completion = await ask(model, "hello [[chunks=4]]")
    assert len(pieces) == 4
    assert "".join(pieces) == completion.text == "Answer to: hello"
    assert completion.usage == Usage(1, 4)
    assert fake.requests[0]["model"] == "test-model"
    assert fake.api_keys[0] == "secret-key"


@pytest.mark.parametrize("way", ["", "[[json]]"])
async def test_what_was_cached_and_what_was_reasoning_is_told(model, ask, way):
    _, completion = await ask(model, f"{way} hello [[chunks=4]] [[usage cached=1 reasoning=3]]")
    assert completion.usage == Usage(1, 4, cached_tokens=1, reasoning_tokens=3)


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


async def test_calls_at_once_get_their_own_answers_though_some_are_asked_again(fake, model, ask):
    questions = [
        f"{number} {'[[status 503 times=1 retry_after=0.01]]' if number % 2 else ''}"
        for number in range(12)
    ]
    answers = await asyncio.gather(*(ask(model, question) for question in questions))
    assert [completion.text for _, completion in answers] == [
        f"Answer to: {number}" for number in range(12)
    ]
    assert len(fake.requests) == 18


async def test_every_call_has_the_headers_of_the_first(ask):
    heads = []

    async def answer(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(re.search(r"content-length: (\d+)", head, re.IGNORECASE)[1])
        body = json.loads(await reader.readexactly(length))
        heads.append(re.sub(r"(?i)(content-length): \d+", r"\1: n", head))
        text = json.dumps({"choices": [{"delta": {"content": body["messages"][0]["content"]}}]})
        writer.write(
            f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n"
            f"Set-Cookie: replica={len(heads)}\r\n\r\n"
            f"data: {text}\n\ndata: [DONE]\n\n".encode()
        )
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1?api-version=7"
        model = OpenAIModel("m", api_key="k", base_url=url)
        asked = ["one", "a second question"]
        assert [(await ask(model, question))[1].text for question in asked] == asked
        await model.aclose()
    # A balancer before several replicas may set one.
    cookie = re.compile(r"(?i)cookie: (.*)\r\n")
    assert [cookie.findall(head) for head in heads] == [[], ["replica=1"]]
    assert heads[0] == cookie.sub("", heads[1])
    assert "authorization: bearer k" in heads[0].lower()


@pytest.mark.parametrize(
    ("directive", "sentence", "is_retryable"),
    [
        ("[[status 401 secret-key is wrong]]", "refused the API key", False),
        ("[[status 403]]", "may not use the model 'test-model'", False),
        ("[[status 404]]", "name 'test-model' is not known", False),
        ("[[status 404 Invalid URL (POST /v1/x)]]", "no such address: check", False),
        ("[[status 400 Our content management policy]]", "did not take the question", False),
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
    host = model.address.split("/")[2]
    await model.aclose()
    assert error.is_retryable
    assert str(error) == f"The model's server {host} can't be reached."
    assert error.cause.startswith(f"http://{host}/v1: ConnectionRefusedError: ")


async def test_the_providers_own_words_are_the_cause(fake, model, ask):
    error = await failure(ask, model, "[[status 400 'default' is not permitted by secret-key]] x")
    assert error.cause == (
        f"{fake.base_url}/chat/completions: status 400: 'default' is not permitted by … (fake)"
    )


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("", "should OPENAI_BASE_URL end in /v1?"),
        ("/api", "should OPENAI_BASE_URL end in /v1?"),
        ("/v1/chat/completions", "leave '/chat/completions' out of OPENAI_BASE_URL."),
        ("/openai/v1", "check OPENAI_BASE_URL."),
    ],
)
async def test_an_address_that_leads_nowhere_is_told_from_a_model_that_is_not_known(
    ask, path, hint
):
    async def refuse(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 No\r\nContent-Length: 18\r\n\r\n404 page not found")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        model = OpenAIModel("m", api_key="k", base_url=f"http://{host}{path}")
        error = await failure(ask, model, "hello")
        await model.aclose()
    assert str(error) == f"The model's server {host} has no such address: {hint}"
    assert "404 page not found" in error.cause
    assert f"http://{host}{path}" in error.cause


async def test_a_key_of_the_environment_is_in_no_cause_and_no_detail(fake, ask, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret-key")
    model = OpenAIModel("m", base_url=fake.base_url)
    error = await failure(ask, model, "[[status 401 secret-key is wrong]] x")
    await model.aclose()
    assert fake.api_keys[0] == "secret-key"
    assert error.cause.endswith("status 401: … is wrong (fake)")
    detail = detail_of(error)
    assert "AuthenticationError" in detail
    assert "secret-key" not in detail


NOT_WEB = (
    "The model can't be asked: its address (OPENAI_BASE_URL) must begin with http:// or https://."
)
NOT_VALID = "The model can't be asked: its address or API key is not a valid one."


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"api_key": "ключ"}, NOT_VALID),
        ({"base_url": "http://127.0.0.1:port/v1"}, NOT_VALID),
        ({"base_url": "http:///v1"}, NOT_VALID),
        ({"base_url": "http://[broken/v1"}, NOT_VALID),
        ({"base_url": "127.0.0.1/v1"}, NOT_WEB),
        ({"base_url": "localhost:11434/v1"}, NOT_WEB),
        ({"base_url": "localhost:9/v1?key=sekretpw"}, NOT_WEB),
        ({"base_url": "user:sekretpw@localhost/v1"}, NOT_WEB),
        ({"base_url": "ftp://127.0.0.1/v1"}, NOT_WEB),
        ({"base_url": "ftp://user:sekretpw@localhost/v1"}, NOT_WEB),
        ({"base_url": "http://user:sekretpw/x@localhost/v1"}, NOT_VALID),
        ({"base_url": "http://user:x#sekretpw@localhost/v1"}, NOT_VALID),
        ({"base_url": "http://user:x?sekretpw@localhost/v1"}, NOT_VALID),
    ],
)
async def test_settings_that_cannot_work_are_a_sentence(ask, settings, sentence):
    model = OpenAIModel(
        "m", max_retries=0, **{"api_key": "k", "base_url": "http://127.0.0.1:9/v1", **settings}
    )
    error = await failure(ask, model, "hello")
    await model.aclose()
    assert str(error) == sentence
    for told in (error.cause, detail_of(error)):
        assert told
        assert "sekretpw" not in told


async def test_a_key_with_a_line_break_is_a_sentence_that_does_not_repeat_it(fake, ask):
    model = OpenAIModel("m", api_key="secret\nkey", base_url=fake.base_url, max_retries=0)
    error = await failure(ask, model, "hello")
    await model.aclose()
    assert not fake.requests
    assert str(error) == NOT_VALID
    for told in (error.cause, detail_of(error)):
        assert told
        assert "secret\nkey" not in told
        assert r"secret\nkey" not in told


# The transport hands a proxy's password to aiohttp in the older of two ways.
@pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")
@pytest.mark.parametrize(
    "userinfo",
    ["user:sekretpw", "user:sekret%2Fpw", "sekretpw", "user:x/sekretpw", "user:sekretpw#"],
)
async def test_a_password_of_a_proxy_is_in_no_cause_and_no_detail(ask, monkeypatch, userinfo):
    for name in ("no_proxy", "NO_PROXY", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", f"http://{userinfo}@127.0.0.1:{unused_port()}")
    model = OpenAIModel("m", api_key="k", base_url="http://llm.example.test/v1?key=sekretpw")
    error = await failure(ask, model, "hello")
    await model.aclose()
    assert "through the proxy http://127.0.0.1:" in error.cause
    for told in (error.cause, detail_of(error)):
        assert "sekret" not in told


@pytest.mark.parametrize(
    ("failed", "said", "is_retryable"),
    [
        (
            ImportError("cannot import name 'x' from partially initialized module 'y'"),
            "is being imported",
            True,
        ),
        (
            AttributeError("partially initialized module 'y' has no attribute 'x'"),
            "is being imported",
            True,
        ),
        (ImportError("cannot import name 'x' from 'y' (y.py)"), "can't be imported", False),
        (ImportError("libssl.so.3: cannot open shared object file"), "can't be imported", False),
    ],
)
async def test_a_package_that_is_half_imported_is_told_from_one_that_can_not_be(
    model, ask, monkeypatch, failed, said, is_retryable
):
    def prepare() -> None:
        raise failed

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(model, "prepare", prepare)
        error = await failure(ask, model, "Hello?")
    assert error.is_retryable is is_retryable
    assert said in str(error)
    assert str(failed) in error.cause
    await ask(model, "Hello?")


async def test_a_missing_key_is_a_sentence(ask, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    error = await failure(ask, OpenAIModel("m"), "hello")
    assert "API key is missing" in str(error)


async def test_a_server_without_tool_choice_is_remembered(fake, model, ask):
    history = [
        ChatMessage("user", "hello [[status 400 Unknown parameter: tool_choice times=1]]"),
        ChatMessage("assistant", tool_calls=(ToolCall("c", "weather", "{}"),)),
        ChatMessage("tool", "sunny", tool_call_id="c"),
    ]
    for _ in range(2):
        await ask(model, history, NoMoreTools.of(TOOLS))
    assert ["tool_choice" in body for body in fake.requests] == [True, False, False]
    assert all(body["tools"] for body in fake.requests)


async def test_reasoning_goes_back_to_the_server_and_model_that_it_came_from(fake, model, ask):
    question = ChatMessage("user", "[[reasoning hm]] [[tool weather {}]] Sun?")
    _, completion = await ask(model, [question], TOOLS)
    asked = ChatMessage("assistant", tool_calls=completion.tool_calls, reasoning=completion.kept)
    result = ChatMessage("tool", "sunny", tool_call_id=completion.tool_calls[0].id)
    other = OpenAIModel("other", api_key="k", base_url=fake.base_url)
    for each in (model, other):
        await ask(each, [question, asked, result], TOOLS)
    await other.aclose()
    sent = [body["messages"][1].get("reasoning_content") for body in list(fake.requests)[1:]]
    assert sent == ["hm", None]


async def test_a_model_whose_first_tag_is_left_out_is_shown_in_order_from_the_second_answer_on(ask):
    reply = "".join(
        f"data: {json.dumps({'choices': [{'delta': {'content': text}}]})}\n\n"
        for text in ("Hm.", "</think>", "Hi")
    )
    finish = 'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n'

    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
        writer.write((head + reply + finish).encode())
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        model = OpenAIModel("m", api_key="k", base_url=url)
        asked = [
            [each async for each in model.stream([ChatMessage("user", "x")], ())] for _ in "12"
        ]
        await model.aclose()
    assert [pieces[:-1] for pieces in asked] == [["Hm.", TakenBack(), "Hi"], ["Hi"]]
    assert [pieces[-1].reasoning for pieces in asked] == ["Hm.", "Hm."]


@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "socks"])
async def test_a_socks_proxy_leads_to_the_server(fake, ask, monkeypatch, scheme):
    met = []

    async def pump(reader, writer):
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def proxy(reader, writer):
        await reader.readexactly(3)
        writer.write(b"\x05\x00")
        *_, length = await reader.readexactly(5)
        met.append((await reader.readexactly(length)).decode())
        await reader.readexactly(2)
        writer.write(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50")
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", fake.port)
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

    for name in ("no_proxy", "NO_PROXY", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    async with await asyncio.start_server(proxy, "127.0.0.1", 0) as server:
        address = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        monkeypatch.setenv("ALL_PROXY", address)
        monkeypatch.setenv("all_proxy", address)
        model = OpenAIModel("m", api_key="k", base_url="http://llm.example.test/v1")
        _, completion = await ask(model, "hello")
        await model.aclose()
    assert completion.text == "Answer to: hello"
    assert met == ["llm.example.test"]


async def test_a_proxy_that_is_not_needed_does_no_harm(fake, model, ask, monkeypatch):
    monkeypatch.setenv("all_proxy", "gopher://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert (await ask(model, "hello"))[1].text == "Answer to: hello"


async def test_a_proxy_of_another_kind_is_named_without_its_password(ask, monkeypatch):
    for name in ("no_proxy", "NO_PROXY", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("all_proxy", "gopher://me:secret@127.0.0.1:9")
    model = OpenAIModel("m", api_key="k", base_url="http://llm.example.test/v1")
    error = await failure(ask, model, "hello")
    await model.aclose()
    assert "the proxy gopher://127.0.0.1:9: proxies of this kind" in str(error)


async def test_a_model_that_falls_silent_is_given_up(fake, ask):
    model = OpenAIModel("m", api_key="k", base_url=fake.base_url, stall_timeout_s=0.2)
    error = await failure(ask, model, "[[stall after=2]] hello")
    await fake.wait_until(lambda: fake.disconnects == 1)
    await model.aclose()
    assert error.is_retryable
    assert error.may_ask_again
    assert "stopped in the middle" in str(error)
    assert "0.2 s (MYAGENT_MODEL_TIMEOUT_S)" in error.cause


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
