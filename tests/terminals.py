"""A program in a pseudo-terminal: what it shows is read, keys are pressed."""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

PATIENCE_S = 30.0

ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|[@-Z\\^_]|\[?[0-?]*[ -/]*$)")
"""Escape sequences, and what may become one at the end of what was read so far."""


class Terminal:
    """`raw` is all that was written to the terminal, `text` the same without escape sequences."""

    def __init__(
        self,
        command: Sequence[str],
        cwd: Path,
        env: Mapping[str, str],
        *,
        columns: int = 100,
        rows: int = 40,
    ) -> None:
        self.raw = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._seen = 0
        self._main, side = pty.openpty()
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            # Nobody would answer a question about the cursor's position.
            env={**env, "TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1"},
            stdin=side,
            stdout=side,
            stderr=side,
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
        os.close(side)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE_S)
        os.close(self._main)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def text(self) -> str:
        return ESCAPES.sub("", self.raw).replace("\r", "")

    def until(self, *texts: str) -> str:
        """Reads until the texts were shown, one after the other, since the last call.

        What was shown since then, up to the end of the last one.
        """
        start = self._seen
        for text in texts:
            while (at := self.text.find(text, self._seen)) < 0:
                if not self._read():
                    raise AssertionError(f"{text!r} was not shown:\n{self.text[start:]}")
            self._seen = at + len(text)
        return self.text[start : self._seen]

    def press(self, keys: str) -> None:
        os.write(self._main, keys.encode())

    def enter(self, text: str) -> None:
        self.press(f"{text}\r")

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.press("\x03")

    def wait(self) -> int:
        """Reads to the program's end; its exit status."""
        while self._read():
            pass
        return self.process.wait(PATIENCE_S)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._main], [], [], PATIENCE_S)
        data = b""
        if ready:
            # EIO: nobody holds the other end any more.
            with contextlib.suppress(OSError):
                data = os.read(self._main, 65536)
        self.raw += self._decoder.decode(data)
        return bool(data)


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
