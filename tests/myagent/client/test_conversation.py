"""A session seen through any number of broken sockets: each event once, in order, in its run."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from myagent.client.conversation import Conversation, Lost
from myagent.client.runs import Runs
from myagent.protocol.server_events import (
    KINDS,
    ConfirmationAsked,
    MessageAccepted,
    RunEnded,
    ServerEvent,
    read,
)

SESSION = "s"


def event(kind: str, seq: int | None = None, **metadata: Any) -> ServerEvent:
    frame: dict[str, Any] = {"event": kind, "session_id": SESSION, "metadata": metadata}
    if seq is not None:
        frame["seq"] = seq
    return read(json.dumps(frame))


def log_of(choices: list[int]) -> list[tuple[ServerEvent, str]]:
    """A log that follows the protocol, and the run that each event belongs to.

    Choices: 0 a message at the end of the queue, 1 one ahead of it, 2 the
    current run's end, 3 a queued run's end, others a step of the current run.
    """
    log: list[tuple[ServerEvent, str]] = []
    runs: list[str] = []
    count = 0
    for choice in choices:
        seq = len(log) + 1
        if choice in (0, 1) or not runs:
            count += 1
            run = f"r{count}"
            position = 0 if not runs else (1 if choice == 1 else len(runs))
            runs.insert(position, run)
            entry = event("user.message", seq, run_id=run, message_id=run, position=position)
        elif choice == 2 or (choice == 3 and len(runs) > 1):
            run = runs.pop(0 if choice == 2 else -1)
            entry = event("agent.interrupted", seq, run_id=run, message_id=run, effects=[])
        else:
            run = runs[0]
            entry = event("agent.tool_call", seq, tool="t", args={})
        log.append((entry, run))
    return log


logs = st.lists(st.integers(0, 5), max_size=40).map(log_of)


@given(logs)
def test_every_event_finds_its_run(log: list[tuple[ServerEvent, str]]) -> None:
    runs = Runs()
    assert [runs.take(entry) for entry, _ in log] == [run for _, run in log]


@given(logs, st.data())
def test_through_any_disconnects_and_repeats_each_event_comes_once_in_order(
    log: list[tuple[ServerEvent, str]], data: st.DataObject
) -> None:
    conversation = Conversation(SESSION, 0, {})
    seen: list[ServerEvent] = []
    while len(seen) < len(log):
        conversation.restart()
        opening = json.loads(conversation.opening())
        assert opening["metadata"]["last_seq"] == conversation.last_seq == len(seen)
        conversation.take(event("agent.session_resumed", status="idle"))
        # A bad network may repeat and skip; a skip is noticed, and costs the socket.
        sent = data.draw(st.integers(1, 10))
        for _ in range(sent):
            at = data.draw(st.integers(0, min(len(seen) + 1, len(log) - 1)))
            try:
                taken = conversation.take(log[at][0])
            except Lost:
                assert at > len(seen)
                break
            if taken is not None:
                assert at == len(seen)
                seen.append(taken)
            if len(seen) == len(log):
                break
        else:
            if len(seen) < len(log):
                taken = conversation.take(log[len(seen)][0])
                assert taken is not None
                seen.append(taken)
    assert [each.seq for each in seen] == list(range(1, len(log) + 1))
    assert [each.run_id for each in seen] == [run for _, run in log]


@given(
    st.sampled_from(sorted(KINDS)),
    st.dictionaries(
        st.sampled_from(["step", "status", "effects", "args", "run_id", "tool", "x"]),
        st.one_of(st.none(), st.text(), st.integers(), st.lists(st.text())),
    ),
    st.one_of(st.none(), st.text(), st.dictionaries(st.text(), st.integers())),
)
def test_any_frame_that_has_a_kind_can_be_read(
    kind: str, metadata: dict[str, Any], content: object
) -> None:
    frame = json.dumps({"event": kind, "metadata": metadata, "content": content, "new": 1})
    read_event = read(frame)
    assert isinstance(read_event, ServerEvent)
    assert read_event.event == kind
    if isinstance(read_event, (MessageAccepted, RunEnded)):
        assert isinstance(read_event.content, str)


def test_whole_numbers_of_a_frame_keep_their_digits() -> None:
    args = {"n": 2**70, "in": [-(2**70), 1.5]}
    frame = json.dumps({"event": "agent.user_confirm", "metadata": {"args": args}})
    asked = read(frame)
    assert isinstance(asked, ConfirmationAsked)
    assert asked.args == args
