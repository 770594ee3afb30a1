"""When a request is sent again, and what may go meanwhile."""

from __future__ import annotations

from myagent.client.errors import Refused
from myagent.client.outbox import CancelRequest, MessageRequest, Outbox, Outcome, Request
from myagent.protocol.server_events import ServerError


def refuse(outbox: Outbox, message_id: str, retry_after_s: float | None, now: float) -> None:
    metadata = {"code": "rate_limited", "retryable": True, "limit": "messages_per_minute"}
    error = ServerError(
        event="system.error", message_id=message_id, retry_after_s=retry_after_s, **metadata
    )
    outbox.take(error, now)


def send_due(outbox: Outbox, now: float) -> list[str]:
    sent: list[Request] = list(outbox.due(now))
    for request in sent:
        request.is_sent = True
    return [request.frame for request in sent]


def test_a_message_above_a_limit_waits_as_long_as_the_server_says_and_nothing_else_does() -> None:
    outbox = Outbox(give_up_after_s=60)
    for name in "ab":
        outbox.add(MessageRequest(frame=name, message_id=name, settle=lambda outcome: None))
    assert send_due(outbox, 0) == ["a", "b"]
    refuse(outbox, "a", 20, now=1)
    assert send_due(outbox, 10) == []
    outbox.add(MessageRequest(frame="c", message_id="c", settle=lambda outcome: None))
    outbox.add(CancelRequest(frame="stop", settle=lambda outcome: None))
    assert send_due(outbox, 11) == ["stop"]
    assert outbox.wait_s(11) == 10
    assert send_due(outbox, 21) == ["a", "c"]


def test_whoever_gives_up_learns_the_limit_and_when_to_come_again() -> None:
    outcomes: list[Outcome] = []
    outbox = Outbox(give_up_after_s=30)
    outbox.add(MessageRequest(frame="a", message_id="a", settle=outcomes.append))
    for now in (0, 40):
        send_due(outbox, now)
        refuse(outbox, "a", 20, now)
    (refused,) = outcomes
    assert isinstance(refused, Refused)
    assert (refused.limit, refused.retry_after_s) == ("messages_per_minute", 20)


def test_cancels_go_at_once_however_often_messages_were_above_a_limit() -> None:
    outbox = Outbox(give_up_after_s=600)
    outbox.add(MessageRequest(frame="a", message_id="a", settle=lambda outcome: None))
    for now in (0, 20, 40, 60, 80, 100):
        assert send_due(outbox, now) == ["a"]
        refuse(outbox, "a", 20, now)
    outbox.add(CancelRequest(frame="stop", settle=lambda outcome: None))
    assert send_due(outbox, 100) == ["stop"]
    assert outbox.wait_s(100) == 20
