"""Conversations in the database, as a server leaves them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from agents.log import kinds
from agents.log.commit import Batch
from agents.log.entry import RunRef
from agents.log.writes import NewRun, Write
from agents.models import Session
from agents.ownership import servers
from myagent.steps import ConfirmationAsked
from tests.agents.logs import SERVICE, created, ended, new_ref, new_server


def commit(*writes: Write) -> None:
    results = Batch(writes).commit()
    assert all(isinstance(each, list) for each in results), results


def stored(
    *messages: str,
    service: str = SERVICE,
    principal: str = "",
    server_id: str | None = None,
    ends: bool = True,
) -> str:
    """A conversation with these messages, all of them answered, unless the last is not to end.

    `server_id`: of its owner; left out: one that has stopped.
    """
    owner = server_id or new_server()
    write = created(owner)
    assert write.new_session is not None
    new = replace(write.new_session, service=service, principal=principal)
    commit(replace(write, new_session=new))
    for number, text in enumerate(messages, start=1):
        ref = say(write.session_id, text, number)
        if ends or number < len(messages):
            commit(ended(write.session_id, 1, ref))
    if server_id is None:
        servers.retire(owner)
    return write.session_id


def say(session_id: str, text: str, ordinal: int) -> RunRef:
    ref = new_ref()
    entry = kinds.user_message(text, ref, 0)
    run = NewRun(ref.run_id, ref.message_id, ordinal)
    commit(Write(session_id, 1, [entry], new_run=run))
    return ref


def ask(session_id: str, ref: RunRef, step_id: str = "step") -> None:
    """The run asks somebody."""
    question = ConfirmationAsked(step_id, "delete", {}, 60, "", None)
    commit(Write(session_id, 1, [kinds.user_confirm(question, ref, "en", 60)]))


def respond(session_id: str, ref: RunRef, step_id: str = "step") -> None:
    commit(Write(session_id, 1, [kinds.user_response({"approved": True}, step_id, ref)]))


def close(session_id: str) -> None:
    entry = kinds.session_end("en", "closed")
    commit(Write(session_id, 1, [entry], close_reason="closed"))


def ids(sessions: Sequence[Session]) -> set[str]:
    return {each.pk for each in sessions}
