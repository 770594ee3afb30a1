"""Limits how long a single message waits for a service that does not run."""

from __future__ import annotations

import asyncio

from myagent.client import (
    ConnectionChanged,
    Event,
    GaveUp,
    MessageAccepted,
    Notice,
    SessionCreated,
    SessionResumed,
)
from myagent.protocol import CloseCode
from myagent.sentence import Sentence

LONGEST_S = 10.0
"""Seconds: nobody who asks a single question is there to start the service."""


class Patience:
    """`end` raises `GaveUp` once the service has been stopped for `limit_s`, and never returns.

    `follow` gets every event. A service that has accepted `message_id` is waited for as usual.
    """

    def __init__(self, limit_s: float = LONGEST_S) -> None:
        self._limit_s = limit_s
        self._reason = ""
        self._is_taken = False
        self._is_away = False
        self._changed = asyncio.Event()

    def follow(self, event: Event, message_id: str = "") -> None:
        match event:
            case Notice(code="service_stopped") if not (self._reason or self._is_taken):
                self._reason = event.content
            case ConnectionChanged(
                code="service_unavailable", close_code=CloseCode.NO_SERVICE_AVAILABLE
            ) if not (self._reason or self._is_taken):
                # It runs elsewhere, and is stopped or can't be reached.
                self._reason, self._is_away = event.reason, True
            case Notice(code="service_started") | SessionCreated():
                self._reason = ""
            case SessionResumed() if self._is_away:
                self._reason, self._is_away = "", False
            case MessageAccepted() if event.message_id == message_id:
                self._reason, self._is_taken = "", True
            case _:
                return
        self._changed.set()

    async def end(self) -> None:
        while True:
            self._changed.clear()
            try:
                async with asyncio.timeout(self._limit_s if self._reason else None):
                    await self._changed.wait()
            except TimeoutError as error:
                raise GaveUp(
                    Sentence(
                        "Gave up after {seconds} seconds. {reason}",
                        seconds=f"{self._limit_s:g}",
                        reason=self._reason,
                    )
                ) from error
