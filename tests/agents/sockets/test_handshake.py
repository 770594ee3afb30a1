"""What is read of a handshake."""

from __future__ import annotations

from agents.sockets.handshake import facts_of
from tests.agents.hosting import scope_at


def test_what_a_client_proves_itself_by_is_nothing_to_decide_by() -> None:
    scope = scope_at(query=b"token=secret&plan=gold") | {
        "headers": [
            (b"Authorization", b"Bearer secret"),
            (b"cookie", b"myagent_session=secret"),
            (b"sec-websocket-protocol", b"myagent.v1, token.secret"),
            (b"x-plan", b"gold"),
        ]
    }
    facts = facts_of(scope, None, {})
    assert facts.headers == {"x-plan": "gold"}
    assert facts.query == {"plan": ["gold"]}
