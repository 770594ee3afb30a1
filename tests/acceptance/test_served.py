"""A part of the promises of the protocol, once more, at servers of a site.

All of them are tried with `--long`; these are the ones that a server of another kind breaks first.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fake_model_control import FakeModelControl
from tests.recording import Recorder
from tests.runners import OF_SITES

from .conftest import Serve
from .served import Served
from .test_chat_dialect import test_a_query_is_answered_by_a_turn
from .test_conversation import (
    test_a_message_is_acknowledged_then_thought_about_then_answered,
    test_a_message_sent_many_times_at_once_runs_once,
    test_a_tool_is_wanted_then_called_then_has_a_result,
    test_messages_to_a_busy_agent_wait_in_line,
)
from .test_sessions import (
    test_a_cancel_stops_the_current_run_and_the_next_one_starts,
    test_a_question_on_one_socket_can_be_answered_on_another,
    test_two_sockets_on_one_session_see_the_same_log,
)
from .test_sessions import (
    test_closing_ends_every_run_and_then_the_session as closing,
)
from .test_sessions import (
    test_reconnecting_from_anywhere_gives_exactly_the_rest as reconnecting,
)

__all__ = [
    "test_a_cancel_stops_the_current_run_and_the_next_one_starts",
    "test_a_message_is_acknowledged_then_thought_about_then_answered",
    "test_a_message_sent_many_times_at_once_runs_once",
    "test_a_query_is_answered_by_a_turn",
    "test_a_question_on_one_socket_can_be_answered_on_another",
    "test_a_tool_is_wanted_then_called_then_has_a_result",
    "test_messages_to_a_busy_agent_wait_in_line",
    "test_two_sockets_on_one_session_see_the_same_log",
]


@pytest.fixture(scope="module", params=OF_SITES)
def runner(request: pytest.FixtureRequest, serve_module: Serve) -> Iterator[Served]:
    with serve_module("tools.py", server=request.param) as runner:
        yield runner


# Not once more on another database, as the marks of these two would have it.


async def test_reconnecting_gives_exactly_the_rest(
    client: Recorder, session: str, other: Recorder
) -> None:
    await reconnecting(client, session, other)


async def test_closing_ends_every_run(
    runner: Served, client: Recorder, session: str, model: FakeModelControl, nonce: str
) -> None:
    await closing(runner, client, session, model, nonce)
