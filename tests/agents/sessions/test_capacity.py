"""What counts for the limit of a service is known at every moment, without a walk over sessions."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from agents.sessions.conversations import Conversations
from tests.agents.logs import SERVICE
from tests.agents.recording_socket import RecordingSocket
from tests.agents.test_session_property import OPERATIONS, Story, parsed, stage

pytestmark = pytest.mark.django_db(transaction=True)

COMINGS_AND_GOINGS = st.one_of(
    st.tuples(st.sampled_from(["leave", "come", "another", "sweep"])),
    st.tuples(st.just("ask"), st.sampled_from(["e", "f"])),
)


class Watched(Story):
    """A story of which both counts are compared whenever the event loop takes its turn."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.counted = 0

    async def watch(self) -> None:
        while True:
            for each in self.all_conversations:
                self.compare(each)
            await asyncio.sleep(0)

    def compare(self, conversations: Conversations) -> None:
        sessions = conversations._sessions
        walked = sum(not session.is_idle for session in sessions.of(self.service))
        assert sessions.capacity.held(self.service) == walked
        self.counted += 1

    async def do(self, operation: tuple[Any, ...]) -> None:
        match operation:
            case ("leave",):
                self.conversations.port.detach(self.socket)
            case ("come",):
                self.sockets.append(RecordingSocket())
                await self._reattach()
            case ("another",):
                socket = RecordingSocket()
                await self.conversations.port.create(socket, parsed("user.create_session"))
            case ("sweep",):
                await self.conversations._sweep()
            case ("ask", message_id):
                await self._ask_unattached(message_id)
            case _:
                await super().do(operation)

    async def _ask_unattached(self, message_id: str) -> None:
        """A message as it comes from another server: no socket is attached for it."""
        sessions = self.conversations._sessions
        session = await sessions.opening.open_asked(self.session_id)
        metadata = {"message_id": message_id}
        said = parsed(
            "user.message", session_id=self.session_id, content=message_id, metadata=metadata
        )
        await sessions.tell(session, RecordingSocket(), said)


async def tell(story: Watched, operations: list[tuple[Any, ...]]) -> None:
    watching = asyncio.create_task(story.watch())
    await story.begin()
    try:
        for operation in operations:
            await story.do(operation)
    finally:
        await story.end()
        for each in story.all_conversations:
            story.compare(each)
        watching.cancel()
        await asyncio.wait([watching])
    assert watching.cancelled(), watching.exception()
    assert story.counted > len(operations)


def test_the_count_is_what_a_walk_would_find_after_any_sequence_of_events(settings: Any) -> None:
    settings.MYAGENT_ADOPT_S = 0.05
    settings.MYAGENT_SESSION_TIMEOUT_S = 0  # What is idle leaves memory with the next sweep.
    numbers = iter(range(1_000_000))
    with stage() as theirs:

        @hypothesis_settings(max_examples=15, deadline=None)
        @given(st.lists(st.one_of(OPERATIONS, COMINGS_AND_GOINGS), min_size=3, max_size=12))
        @example([("say", "a", "enqueue"), ("leave",), ("sweep",), ("permit", 3), ("come",)])
        @example([("say", "a", "enqueue"), ("say", "b", "enqueue"), ("leave",), ("crash",)])
        @example([("leave",), ("ask", "e"), ("rest",), ("permit", 3), ("rest",), ("sweep",)])
        @example([("another",), ("leave",), ("sweep",), ("come",), ("replace",)])
        def holds(operations: list[tuple[Any, ...]]) -> None:
            story = Watched(theirs, f"{SERVICE}-{next(numbers)}")
            asyncio.run(tell(story, operations))

        holds()
