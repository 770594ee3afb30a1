"""Suppresses repeated complaints: the same one is printed once."""

from __future__ import annotations

from agents.terminal.command import told
from myagent.client import ConnectionChanged, ConnectionState, Event, Notice, ServerError
from myagent.protocol.server_events import Connected, Heartbeat


class Repeats:
    """A sentence counts as repeated until something other than complaints and attempts happens."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def is_repeat(self, event: Event) -> bool:
        """Whether the event's sentence was printed already. From now on it counts as printed."""
        match event:
            case Connected() | Heartbeat():
                return False
            case Notice() | ServerError():
                sentence = event.content
            case ConnectionChanged(state=ConnectionState.RECONNECTING):
                sentence = told(event.reason)
            case _:
                self.forget()
                return False
        is_said = sentence in self._said
        self._said.add(sentence)
        return is_said

    def forget(self) -> None:
        """Starts anew, as when a message is typed."""
        self._said.clear()
