"""What a server writes down: in a file for people who look for one, and to Sentry."""

from __future__ import annotations

import gzip
import json
import logging
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from agents.runtime import sentry
from tests.recording import PATIENCE_S, Recorder
from tests.runners import ROOT

from .conftest import Serve

HOOK = """
def hide(text):
    if "secret" in text:
        raise ValueError(f"can't hide {text}")
    return text
"""


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


async def test_the_log_file_has_the_servers_lines_and_its_workers(
    serve_module: Serve, tmp_path: Path, nonce: str
) -> None:
    file = tmp_path / "myagent.log"
    env = {"MYAGENT_LOG_FILE": str(file), "MYAGENT_LOG_LEVEL": "DEBUG"}
    with serve_module("tools.py", "--debug", env=env) as runner:
        async with await Recorder.open(runner.url) as client:
            session = await client.create_session()
            await client.ask(session, f"hello {nonce}")
        first = lines_of(file)
        # As logrotate does it.
        file.rename(tmp_path / "myagent.log.1")
        async with await Recorder.open(runner.url) as client:
            await client.ask(await client.create_session(), f"again {nonce}")
    events = {line["event"]: line for line in first}
    assert events["message_accepted"]["session_id"] == session
    run_id = events["message_accepted"]["run_id"]
    assert events["run_ended"]["run_id"] == run_id
    of_worker = events["model_answered"]
    assert of_worker["session_id"] == session, of_worker
    assert {"timestamp", "level", "logger"} <= of_worker.keys() & events["run_ended"].keys()
    assert "message_accepted" in {line["event"] for line in lines_of(file)}


def runagent(**environment: str) -> subprocess.CompletedProcess[str]:
    """One that can't start."""
    return subprocess.run(
        [sys.executable, "manage.py", "runagent", "examples/echo_agent.py", "--port", "0"],
        cwd=ROOT,
        env=os.environ | {"MYAGENT_ENV_FILE": os.devnull, "LANG": "C.UTF-8"} | environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def test_a_log_file_that_cannot_be_opened_is_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "missing" / "myagent.log"
    done = runagent(MYAGENT_LOG_FILE=str(file))
    assert done.returncode == 1
    assert f"The log file {file} can't be opened: No such file or directory." in done.stderr
    assert "Traceback" not in done.stderr


def test_a_request_has_the_name_that_its_proxy_gave(serve_module: Serve) -> None:
    with serve_module("parrot.py") as runner:
        for said, is_kept in (("proxy-1.a:b", True), ("a b\tc", False), ("x" * 65, False)):
            request = urllib.request.Request(
                f"{runner.url.replace('ws', 'http')}health", headers={"X-Request-ID": said}
            )
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
                name = answer.headers["X-Request-ID"]
            assert (name == said) == is_kept
            assert name


def test_a_refusal_is_in_the_log_by_its_requests_name(serve_module: Serve, tmp_path: Path) -> None:
    file = tmp_path / "myagent.log"
    env = {"MYAGENT_LOG_FILE": str(file), "MYAGENT_LOG_LEVEL": "DEBUG"}
    with serve_module("parrot.py", "--debug", env=env) as runner:
        request = urllib.request.Request(
            f"{runner.url.replace('ws', 'http')}nowhere?token=hidden",
            headers={"X-Request-ID": "the-proxys"},
        )
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(request, timeout=PATIENCE_S)
    named = {
        line["event"]: line for line in lines_of(file) if line.get("request_id") == "the-proxys"
    }
    assert "Not Found: /nowhere" in named
    assert named["request"]["status"] == 404
    assert "hidden" not in str(named)


@pytest.fixture
def receiver() -> Iterator[tuple[str, Queue[str]]]:
    """The address that stands for Sentry, and what came there."""
    came: Queue[str] = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            is_packed = self.headers.get("Content-Encoding") == "gzip"
            came.put((gzip.decompress(body) if is_packed else body).decode())
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://key@127.0.0.1:{server.server_port}/1", came
        server.shutdown()


async def test_an_error_comes_to_sentry_without_what_was_said(
    serve_module: Serve, receiver: tuple[str, Queue[str]], tmp_path: Path, nonce: str
) -> None:
    address, came = receiver
    # A hook of the operator that fails with what it was given.
    (tmp_path / "hiding.py").write_text(HOOK)
    env = {
        "SENTRY_DSN": address,
        "PYTHONPATH": str(tmp_path),
        "MYAGENT_TRACE_CONTENT": "redacted",
        "MYAGENT_TRACE_REDACT": "hiding.hide",
    }
    with serve_module("parrot.py", env=env) as runner:
        async with await Recorder.open(runner.url) as client:
            await client.ask(await client.create_session(), f"10 secret{nonce}")
        told = came.get(timeout=PATIENCE_S)
    assert nonce not in told
    event = json.loads(told.splitlines()[2])
    assert event["logentry"]["message"] == "text_not_redacted"


def test_what_an_exception_says_is_not_sent() -> None:
    event = {
        "request": {"data": "secret"},
        "logentry": {"message": "secret"},
        "exception": {"values": [{"type": "ValueError", "value": "secret", "stacktrace": {}}]},
    }
    said = {"event": "it_failed", "session_id": "s-1", "text": "secret"}
    record = logging.makeLogRecord({"name": "agents.log", "msg": said})
    sent = sentry._without_texts(event, {"log_record": record})
    assert "secret" not in json.dumps(sent)
    assert sent["logentry"]["message"] == "it_failed"
    assert sent["tags"] == {"session_id": "s-1"}
    assert sent["exception"]["values"][0]["type"] == "ValueError"


def test_an_address_that_sentry_does_not_have_is_a_sentence() -> None:
    done = runagent(SENTRY_DSN="sentry.example.org")
    assert done.returncode == 1
    assert "SENTRY_DSN is not an address as Sentry gives it." in done.stderr
    assert "Traceback" not in done.stderr
