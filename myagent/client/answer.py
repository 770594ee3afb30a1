"""The events of one message, from its acknowledgement to its one end."""

from __future__ import annotations

from myagent.client.conversation import Conversation
from myagent.client.errors import AnswerLost, ClientError
from myagent.client.streams import ConnectionChanged, Event, EventStream, Streams
from myagent.protocol.server_events import (
    MessageAccepted,
    ReplayComplete,
    RunEnded,
    ServerEvent,
)


class Answer(EventStream):
    """The result of `ask`: an async iterator that stops after the end of the message.

    `message_id` names the message, `run_id` its run ('' until it is accepted). Raises `Refused` if
    the message is not accepted, `AnswerLost` if its end can't be found, and other `ClientError`s if
    the connection fails for good.
    """

    def __init__(self, streams: Streams, conversation: Conversation, message_id: str) -> None:
        super().__init__(streams)
        self.message_id = message_id
        self.run_id = ""
        self._conversation = conversation

    async def end(self) -> RunEnded:
        """Reads on to the message's end and returns it."""
        async for event in self:
            if isinstance(event, RunEnded):
                return event
        raise ClientError("The end of this answer has been read already.")

    def fail(self, error: ClientError) -> None:
        """The message was not accepted."""
        self._end(error)

    def _offer(self, event: Event) -> None:
        if isinstance(event, ConnectionChanged):
            super()._offer(event)
        elif self._is_mine(event):
            super()._offer(event)
            self._follow(event)
        elif isinstance(event, ReplayComplete):
            self._look_for_end()

    def _is_mine(self, event: ServerEvent) -> bool:
        if isinstance(event, (MessageAccepted, RunEnded)) and event.message_id == self.message_id:
            return True
        return bool(self.run_id) and event.run_id == self.run_id

    def _follow(self, event: ServerEvent) -> None:
        if isinstance(event, RunEnded):
            self._end(None)
        elif isinstance(event, MessageAccepted):
            self.run_id = event.run_id
            if event.duplicate:
                self._look_before_start(event.original_seq)

    def _look_before_start(self, seq: int) -> None:
        """The message was accepted before: its end may be known, or lie too far back."""
        seen = self._conversation
        if (end := seen.ends.get(self.message_id)) is not None:
            super()._offer(end)
            self._end(None)
            return
        is_past = seen.was_idle if seq <= seen.first_seq else seq <= seen.last_seq
        if is_past and not seen.runs.is_open(self.run_id):
            self._end(AnswerLost(f"This message was answered before, after event {seq}."))

    def _look_for_end(self) -> None:
        """After a replay from the oldest event that was kept: whether the end is still to come."""
        seen = self._conversation
        if seen.was_resynced and self.run_id and not seen.runs.is_open(self.run_id):
            self._end(AnswerLost("The log does not hold this answer any more."))
