"""Terminals and pipes of any encoding are supported."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest

from agents.terminal.encoding import accept_any_text, shows
from tests.runners import ROOT


def test_what_an_encoding_has_not_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    output = io.BytesIO()
    for name, errors in (("stdout", "strict"), ("stderr", "surrogateescape")):
        stream = io.TextIOWrapper(output, "ascii", errors=errors, write_through=True)
        monkeypatch.setattr(sys, name, stream)
    typed = io.TextIOWrapper(io.BytesIO(b"h\xff\xfei"), "utf-8", errors="strict")
    monkeypatch.setattr(sys, "stdin", typed)
    accept_any_text()
    print("天气 🌍")
    print("天\udcff", file=sys.stderr)
    assert output.getvalue() == b"?? ?\n??\n"
    assert sys.stdin.read() == "h��i"


def test_streams_that_lose_nothing_and_no_streams_are_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), "ascii", errors="backslashreplace")
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(sys, "stdin", None)
    accept_any_text()
    assert stream.errors == "backslashreplace"


@pytest.mark.parametrize(
    ("text", "encoding", "is_shown"),
    [
        ("🔍", "utf-8", True),
        ("🔍", "gbk", False),
        ("天气", "gbk", True),
        ("天气", "ascii", False),
        ("x", "no such encoding", False),
        ("x", None, True),
    ],
)
def test_an_encoding_shows_what_it_has(text: str, encoding: str | None, is_shown: bool) -> None:
    assert shows(text, encoding) is is_shown


@pytest.mark.processes
@pytest.mark.parametrize("encoding", ["ascii", "gbk"])
def test_a_command_that_says_what_the_encoding_has_not_ends_as_ever(encoding: str) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "runagent", "没有🌍.py"],
        cwd=ROOT,
        env=os.environ | {"PYTHONIOENCODING": encoding, "LC_ALL": "zh_CN.UTF-8"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 78
    assert b"Traceback" not in done.stderr
    assert b".py" in done.stderr
