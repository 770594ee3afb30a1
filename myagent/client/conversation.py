"""A session as a client sees it, without I/O: takes events, returns the new ones in order."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import orjson

from myagent.client.errors import refused_by
from myagent.client.runs import Runs
from myagent.protocol.server_events import (
    Connected,
    PartialAnswer,
    ReplayComplete,
    RunEnded,
    ServerError,
    ServerEvent,
    SessionCreated,
    SessionEnded,
    SessionResumed,
    ThinkingStarted,
)
from myagent.sentence import Sentence

PASSING = frozenset(
    {"rate_limited", "storage_unavailable", "service_unavailable", "moved", "internal_error"}
)
"""Codes of temporary refusals to open a session."""


KEPT_ENDS = 100
"""Number of ends of messages that are kept for repeated questions."""


class Lost(Exception):
    """This socket can't be used any more; another one may continue. The text is for people.

    `code` and `close_code`: as in `ConnectionChanged`.
    """

    def __init__(self, sentence: str, *, code: str = "", close_code: int | None = None) -> None:
        super().__init__(sentence)
        self.code = code
        self.close_code = close_code


class Conversation:
    """One session over any number of sockets, one after the other.

    For each socket: `restart`, send `opening`, give `take` all that comes.
    `is_attached`: the server has answered `opening`. `is_caught_up`: nothing is
    left to replay. `was_resynced`: the last replay began with the oldest event
    kept, not where this client was. `ends` are the last ones seen, by message id.
    """

    def __init__(
        self, session_id: str | None, last_seq: int, new_session: Mapping[str, Any]
    ) -> None:
        self.session_id = session_id
        self.last_seq = last_seq
        self.first_seq = last_seq
        self.runs = Runs()
        self.is_attached = False
        self.is_caught_up = False
        self.is_ended = False
        self.was_resynced = False
        self.was_idle = True
        self.ends: OrderedDict[str, RunEnded] = OrderedDict()
        self._new_session = new_session
        self._text = _StepText()

    def restart(self) -> None:
        """To be called for each new socket."""
        self.is_attached = self.is_caught_up = False

    def opening(self) -> str:
        """The frame that attaches a new socket."""
        if self.session_id is None:
            frame = {"event": "user.create_session", "metadata": dict(self._new_session)}
        else:
            metadata = {"last_seq": self.last_seq}
            frame = {
                "event": "user.reconnect",
                "session_id": self.session_id,
                "metadata": metadata,
            }
        return orjson.dumps(frame).decode()

    def take(self, event: ServerEvent) -> ServerEvent | None:
        """The event as clients get it, None if they have had it.

        Raises `Lost` when an event is missing and when the session can't be
        opened just now, `Refused` when it can't be opened at all.
        """
        if isinstance(event, ServerError):
            self._check_opened(event)
        if self._is_foreign(event):
            return None
        if event.seq is not None and not self._advance(event.seq):
            return None
        self._follow(event)
        run_id = self.runs.take(event)
        if isinstance(event, PartialAnswer):
            return dataclasses.replace(event, text=self._text.add(event))
        if isinstance(event, ThinkingStarted):
            self._text.clear()
        return event if event.run_id == run_id else dataclasses.replace(event, run_id=run_id)

    def _is_foreign(self, event: ServerEvent) -> bool:
        if isinstance(event, (Connected, SessionCreated)) or self.session_id is None:
            return False
        return event.session_id not in ("", self.session_id)

    def _advance(self, seq: int) -> bool:
        """Whether the event is the log's next; raises `Lost` if one is missing before it."""
        if self.is_attached and self.was_resynced and not self.is_caught_up and not self.last_seq:
            self.last_seq = seq - 1
        if seq <= self.last_seq:
            return False
        if seq > self.last_seq + 1:
            raise Lost(Sentence("Event {seq} is missing.", seq=self.last_seq + 1))
        self.last_seq = seq
        return True

    def _follow(self, event: ServerEvent) -> None:
        match event:
            case SessionCreated():
                self.session_id = event.session_id
                self.is_attached = self.is_caught_up = True
            case SessionResumed():
                self.is_attached = True
                self.was_idle = event.status == "idle"
                self.was_resynced = event.resync
                if event.resync:
                    self.last_seq = 0
                    self.runs.forget()
            case ReplayComplete():
                self.is_caught_up = True
            case RunEnded():
                self.ends[event.message_id] = event
                if len(self.ends) > KEPT_ENDS:
                    self.ends.popitem(last=False)
            case SessionEnded():
                self.is_ended = True

    def _check_opened(self, event: ServerError) -> None:
        """Raises `Lost` and `Refused` if the session is not open at this socket."""
        if self.is_attached and event.code != "moved":
            return
        if event.code in PASSING:
            raise Lost(event.content)
        raise refused_by(event)


class _StepText:
    """The text of the step that is being written."""

    def __init__(self) -> None:
        self._step = ("", 0)
        self._text = ""

    def clear(self) -> None:
        self._text = ""

    def add(self, partial: PartialAnswer) -> str:
        step = (partial.run_id, partial.step)
        if step != self._step:
            self._step, self._text = step, ""
        self._text = self._text[: partial.offset] + partial.content
        return self._text
