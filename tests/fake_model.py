"""A local server that speaks the OpenAI chat API and does what the conversation tells it.

`python tests/fake_model.py --port 0` prints its port as its first line;
`async with FakeModel() as fake` runs it in the process, at `fake.base_url`;
`with fake_model_process() as base_url` starts it as a child.

It is scripted by the conversation itself. The script is the last user message
that contains `[[`, of those after the last final answer (an assistant message
without tool calls); with none, the last user message, which is answered with
"Answer to: …" in 8 chunks. Directives, several in one message:

    [[chunks=8 delay_ms=20]]      the answer's chunks and the wait before each
    [[tool NAME {"json": 1}]]     call this tool first; all of a step's in one reply,
                                  then answer, quoting the results
    [[badcall NAME]]              call it with malformed arguments
    [[say TEXT]]                  text before the tool calls
    [[reasoning TEXT]]            reasoning before anything else
    [[echo_history]]              answer with the messages received, as JSON:
                                  {"count": n, "roles": […], "contents": […]}
    [[status 429 retry_after=0.1]]  refuse; retry_after=none leaves the header out
    [[stall after=3]]             after 3 events nothing more, until the client goes
    [[drop after=3]]              after 3 events the connection is cut
    [[error after=3]]             after 3 events an error object in the stream
    [[hold NAME after=3]]         after 3 events wait until NAME is released
    [[finish length]]             the finish reason of an answer
    [[usage cached=3 reasoning=2]]  parts of the prompt's and the completion's tokens
    [[json]]                      a plain JSON reply, though a stream was asked for
    [[no_stream_options]]         400 to a request that has stream_options

Options of all but the first and the last four: `step=2` (only in the second
model call since the script; `step=*`: in each; tools default to step=1, the
others to each), `times=2` (only the first two times that this server meets it
in this very message: put a nonce into the text).

Events are the reply's reasoning, text pieces and tool calls (two each).
`after` is 1 if left out; a reply with fewer events is interrupted at its end.

It is as strict as the strictest server: a history that any of them refuses gets a
400, see `fault_in`. With `--lax` it takes what programs of others send, too.

Control, on the same port:

    GET  /__requests              bodies received, oldest first, the last 1,000
    GET  /__held?wait=NAME&count=1  names that hold now; waits for NAME if told
    POST /__release/NAME          lets NAME's streams go on, now and later
    POST /__hold/NAME             takes a release back
    GET  /__stats?disconnects=1   counters; waits until so many clients have left
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import subprocess
import sys
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import orjson

MAX_WAIT_S = 60
_OPTION = re.compile(r"\b(\w+)=(\S+)")


@dataclass(frozen=True)
class Directive:
    name: str
    text: str = ""
    options: dict[str, str] = field(default_factory=dict)

    def is_due(self, step: int, *, default: str) -> bool:
        wanted = self.options.get("step", default)
        return wanted == "*" or wanted == str(step)


@dataclass(frozen=True)
class Script:
    """What a conversation asks for; `step` counts the model calls since, from 1."""

    source: str
    text: str
    directives: list[Directive]
    step: int
    results: list[str]

    def due(self, name: str, *, default: str = "*") -> list[Directive]:
        return [
            each
            for each in self.directives
            if each.name == name and each.is_due(self.step, default=default)
        ]

    def option(self, key: str, default: int) -> int:
        return next(
            (
                int(each.options[key])
                for each in self.directives
                if each.name == "" and key in each.options
            ),
            default,
        )


def read_script(messages: list[dict[str, Any]]) -> Script:
    """The script of a conversation, see the module's docstring."""
    finals = [
        i for i, m in enumerate(messages) if m["role"] == "assistant" and not m.get("tool_calls")
    ]
    turn = messages[finals[-1] + 1 if finals else 0 :]
    said = [i for i, message in enumerate(turn) if message["role"] == "user"]
    scripted = [i for i in said if "[[" in turn[i]["content"]]
    at = (scripted or said or [-1])[-1]
    source = turn[at]["content"] if at >= 0 else ""
    since = turn[at + 1 :]
    directives, text = split_directives(source)
    return Script(
        source=source,
        text=text,
        directives=directives,
        step=1 + sum(message["role"] == "assistant" for message in since),
        results=[message["content"] for message in since if message["role"] == "tool"],
    )


def split_directives(source: str) -> tuple[list[Directive], str]:
    """The directives in a text, and the text without them."""
    directives, plain, at = [], [], 0
    while (start := source.find("[[", at)) >= 0:
        plain.append(source[at:start])
        directive, at = _read_directive(source, start + 2)
        directives.append(directive)
    return directives, " ".join("".join([*plain, source[at:]]).split())


def _read_directive(source: str, at: int) -> tuple[Directive, int]:
    if call := re.compile(r"\s*tool\s+(\S+?)\s*(?=[{\]\s])").match(source, at):
        arguments, at = "{}", call.end()
        if source.startswith("{", at):
            _, end = json.JSONDecoder().raw_decode(source, at)
            arguments, at = source[at:end], end
        end = source.index("]]", at)
        options = dict(_OPTION.findall(source[at:end]))
        return Directive("tool", f"{call[1]} {arguments}", options), end + 2
    end = source.index("]]", at)
    body = source[at:end].strip()
    options = dict(_OPTION.findall(body))
    words = _OPTION.sub("", body).strip().split(maxsplit=1)
    return Directive(*[*words, "", ""][:2], options), end + 2


def answer_text(script: Script, messages: list[dict[str, Any]]) -> str:
    if script.due("echo_history"):
        return json.dumps(
            {
                "count": len(messages),
                "roles": [message["role"] for message in messages],
                "contents": [message.get("content") for message in messages],
            }
        )
    quoted = f" (results: {'; '.join(script.results)})" if script.results else ""
    return f"Answer to: {script.text}{quoted}"


def reply_deltas(script: Script, body: dict[str, Any]) -> tuple[list[dict[str, Any]], str]:
    """The deltas of a reply and its finish reason."""
    deltas: list[dict[str, Any]] = [
        {"reasoning_content": each.text} for each in script.due("reasoning")
    ]
    calls = [each.text.split(" ", 1) for each in script.due("tool", default="1")]
    calls += [[each.text, '{"unclosed": '] for each in script.due("badcall", default="1")]
    if not calls or not body.get("tools") or body.get("tool_choice") == "none":
        text = answer_text(script, body["messages"])
        pieces = _cut(text, script.option("chunks", 8))
        finish = [each.text for each in script.due("finish")]
        return deltas + [{"content": piece} for piece in pieces], (finish or ["stop"])[0]
    deltas += [{"content": each.text} for each in script.due("say", default="1")]
    for index, (name, arguments) in enumerate(calls):
        head = {"index": index, "id": f"call_{script.step}_{index}", "type": "function"}
        deltas.append({"tool_calls": [{**head, "function": {"name": name, "arguments": ""}}]})
        deltas.append({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]})
    return deltas, "tool_calls"


def fault_in(body: dict[str, Any]) -> str:
    """Why a strict server would refuse the request; '' if none would."""
    messages = body["messages"]
    roles = [message["role"] for message in messages]
    calls = [call for message in messages for call in message.get("tool_calls", ())]
    for call in calls:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", call["function"]["name"]):
            return f"tool_calls: {call['function']['name']!r} does not match the pattern"
        if not re.fullmatch(r"[A-Za-z0-9]{9}", call["id"]):
            return f"tool_calls: {call['id']!r} must be nine letters and digits"
        try:
            assert isinstance(json.loads(call["function"]["arguments"]), dict)
        except (ValueError, AssertionError):
            return "tool_calls: the arguments are not a JSON object"
    for before, role in pairwise(roles):
        if (before, role) in (("user", "user"), ("tool", "user"), ("assistant", "assistant")):
            return f"Unexpected role '{role}' after role '{before}'"
    if "system" in roles[1:]:
        return "the system's message must be the first"
    if any(message["content"] == "" and message.get("tool_calls") for message in messages):
        return "content: an empty text"
    return "tools: missing, though there are calls" if calls and not body.get("tools") else ""


def _cut(text: str, pieces: int) -> list[str]:
    size = -(-len(text) // max(1, pieces))
    return [text[i : i + size] for i in range(0, len(text), size)] if text else [""]


def _event(**fields: Any) -> bytes:
    event = {"id": "fake", "object": "chat.completion.chunk", "created": 0, "model": "fake"}
    return b"data: %b\n\n" % orjson.dumps({**event, **fields})


def _choice(delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
    return _event(choices=[{"index": 0, "delta": delta, "finish_reason": finish_reason}])


def _usage(
    script: Script, body: dict[str, Any], deltas: list[dict[str, Any]]
) -> dict[str, int | dict[str, int]]:
    prompt, completion = len(body["messages"]), len(deltas)
    usage: dict[str, int | dict[str, int]] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    for each in script.due("usage"):
        parts = {name: int(count) for name, count in each.options.items()}
        usage["prompt_tokens_details"] = {"cached_tokens": parts.get("cached", 0)}
        usage["completion_tokens_details"] = {"reasoning_tokens": parts.get("reasoning", 0)}
    return usage


def _message(deltas: list[dict[str, Any]]) -> dict[str, Any]:
    calls = [delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta]
    for head, tail in zip(calls[::2], calls[1::2], strict=True):
        head["function"]["arguments"] = tail["function"]["arguments"]
    text = "".join(delta.get("content", "") for delta in deltas)
    return {"role": "assistant", "content": text, **({"tool_calls": calls[::2]} if calls else {})}


class FakeModel:
    """The server. Its attributes may be read by tests in the same process."""

    def __init__(self, port: int = 0, *, is_lax: bool = False) -> None:
        self.port = port
        self.is_lax = is_lax
        self.requests: deque[dict[str, Any]] = deque(maxlen=1000)
        self.api_keys: deque[str] = deque(maxlen=1000)
        self.active = 0
        self.disconnects = 0
        self.held: Counter[str] = Counter()
        self._released: set[str] = set()
        self._met: Counter[tuple[str, str, str]] = Counter()
        self._changed = asyncio.Event()
        self._connections: set[_Connection] = set()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Connection(self), "127.0.0.1", self.port, backlog=1024
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.close()
        for connection in list(self._connections):
            connection.transport.close()
        await self.wait_until(lambda: not self._connections)
        await self._server.wait_closed()

    async def wait_until(self, is_true: Callable[[], bool]) -> None:
        """Returns when the state is so; TimeoutError after a minute."""
        async with asyncio.timeout(MAX_WAIT_S):
            while not is_true():
                await self._changed.wait()

    async def wait_held(self, name: str, count: int = 1) -> None:
        await self.wait_until(lambda: self.held[name] >= count)

    def release(self, name: str) -> None:
        self._released.add(name)
        self.changed()

    def hold(self, name: str) -> None:
        self._released.discard(name)

    def changed(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def met(self, script: Script, *names: str) -> list[Directive]:
        """The directives of these names whose turn it is; counts the meetings."""
        due = [directive for name in names for directive in script.due(name)]
        for directive in due:
            self._met[script.source, directive.name, directive.text] += 1
        return [
            each
            for each in due
            if self._met[script.source, each.name, each.text] <= int(each.options.get("times", 1e9))
        ]

    @contextlib.contextmanager
    def streaming(self) -> Iterator[None]:
        self.active += 1
        try:
            yield
        except asyncio.CancelledError:
            self.disconnects += 1
            raise
        finally:
            self.active -= 1
            self.changed()

    async def stay_held(self, name: str) -> None:
        self.held[name] += 1
        self.changed()
        try:
            while name not in self._released:
                await self._changed.wait()
        finally:
            self.held[name] -= 1
            self.changed()

    async def events(self, script: Script, body: dict[str, Any]) -> AsyncIterator[bytes]:
        """The stream's events; ends early, or never, where the script says so."""
        deltas, finish_reason = reply_deltas(script, body)
        delay_s = script.option("delay_ms", 0) / 1000
        interruptions = self.met(script, "hold", "stall", "drop", "error")
        for sent, delta in enumerate([*deltas, None]):
            for each in interruptions:
                if sent == min(int(each.options.get("after", 1)), len(deltas)):
                    if each.name == "hold":
                        await self.stay_held(each.text)
                    elif each.name == "stall":
                        await asyncio.get_running_loop().create_future()
                    elif each.name == "drop":
                        raise ConnectionAbortedError
                    else:
                        yield b'data: {"error": {"message": "the fake failed", "code": 500}}\n\n'
                        return
            if delta is not None:
                if delay_s:
                    await asyncio.sleep(delay_s)
                yield _choice(delta if sent else {"role": "assistant", **delta})
        yield _choice({}, finish_reason)
        if (body.get("stream_options") or {}).get("include_usage"):
            yield _event(choices=[], usage=_usage(script, body, deltas))
        yield b"data: [DONE]\n\n"

    async def control(self, target: str) -> tuple[int, Any]:
        """The answer to a control request: status and body."""
        url = urlsplit(target)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        match url.path.split("/")[1:]:
            case ["__requests"]:
                return 200, list(self.requests)
            case ["__held"]:
                if name := query.get("wait"):
                    await self.wait_held(name, int(query.get("count", 1)))
                return 200, sorted(+self.held)
            case ["__release", name]:
                self.release(name)
                return 200, {}
            case ["__hold", name]:
                self.hold(name)
                return 200, {}
            case ["__stats"]:
                wanted = int(query.get("disconnects", 0))
                await self.wait_until(lambda: self.disconnects >= wanted)
                return 200, {"active": self.active, "disconnects": self.disconnects}
        return 404, {"error": {"message": f"nothing at {url.path}"}}


class _Connection(asyncio.Protocol):
    """One client's connection: a request at a time, kept alive."""

    def __init__(self, fake: FakeModel) -> None:
        self._fake = fake
        self._received = bytearray()
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._fake._connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        if self._task is not None:
            self._task.cancel()
        self._fake._connections.discard(self)
        self._fake.changed()

    def data_received(self, data: bytes) -> None:
        self._received += data
        self._next_request()

    def _next_request(self) -> None:
        head_end = self._received.find(b"\r\n\r\n")
        if self._task is not None or head_end < 0:
            return
        first, *lines = self._received[:head_end].decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (x.partition(": ") for x in lines)}
        end = head_end + 4 + int(headers.get("content-length", 0))
        if len(self._received) < end:
            return
        body = bytes(self._received[head_end + 4 : end])
        del self._received[:end]
        self._task = asyncio.ensure_future(self._answer(first.split(" ")[1], headers, body))
        self._task.add_done_callback(self._answered)

    def _answered(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if not task.cancelled() and (error := task.exception()) is not None:
            self.transport.close()
            if not isinstance(error, ConnectionAbortedError):
                raise error
        if not self.transport.is_closing():
            self._next_request()

    async def _answer(self, target: str, headers: dict[str, str], content: bytes) -> None:
        if not target.endswith("/chat/completions"):
            try:
                self._send_json(*await self._fake.control(target))
            except TimeoutError:
                self._send_json(504, {"error": {"message": "waited in vain"}})
            return
        body = orjson.loads(content)
        self._fake.requests.append(body)
        self._fake.api_keys.append(headers.get("authorization", "").removeprefix("Bearer "))
        script = read_script(body["messages"])
        if not self._fake.is_lax and (fault := fault_in(body)):
            self._send_json(400, {"error": {"message": fault, "code": "invalid_value"}})
        elif script.due("no_stream_options") and "stream_options" in body:
            self._send_json(400, {"error": {"message": "Unknown parameter: stream_options"}})
        elif refusals := self._fake.met(script, "status"):
            self._refuse(refusals[0])
        elif script.due("json") or not body.get("stream"):
            self._send_completion(script, body)
        else:
            with self._fake.streaming():
                await self._stream(script, body)

    async def _stream(self, script: Script, body: dict[str, Any]) -> None:
        write = self.transport.write
        write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        async for event in self._fake.events(script, body):
            if self.transport.is_closing():
                # Who asked was killed while the answer was held.
                return
            write(b"%x\r\n%b\r\n" % (len(event), event))
        write(b"0\r\n\r\n")

    def _send_completion(self, script: Script, body: dict[str, Any]) -> None:
        deltas, finish_reason = reply_deltas(script, body)
        choice = {"index": 0, "message": _message(deltas), "finish_reason": finish_reason}
        self._send_json(
            200, {"id": "fake", "choices": [choice], "usage": _usage(script, body, deltas)}
        )

    def _refuse(self, refusal: Directive) -> None:
        status, _, message = refusal.text.partition(" ")
        wait_s = refusal.options.get("retry_after", "0.01")
        headers = "" if wait_s == "none" else f"Retry-After: {wait_s}\r\n"
        error = {"message": message or f"refused with {status}", "type": "fake", "code": None}
        self._send_json(int(status), {"error": error}, headers)

    def _send_json(self, status: int, value: Any, headers: str = "") -> None:
        content = orjson.dumps(value)
        head = (
            f"HTTP/1.1 {status} Fake\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(content)}\r\n{headers}\r\n"
        )
        self.transport.write(head.encode() + content)


@contextlib.contextmanager
def fake_model_process(*options: str) -> Iterator[str]:
    """Runs the fake as a child process; the value is its base URL."""
    command = [sys.executable, str(Path(__file__)), "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()


async def _serve(port: int, *, is_lax: bool) -> None:
    async with FakeModel(port, is_lax=is_lax) as fake:
        print(fake.port, flush=True)
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A local stand-in for a chat model.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--lax", action="store_true")
    given = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(given.port, is_lax=given.lax))
