"""Sessions, servers and writes for tests of the log, past the server."""

from __future__ import annotations

from uuid import uuid4

from django.db.models.functions import Now

from agents.log import kinds
from agents.log.entry import Entry, RunRef
from agents.log.writes import NewRun, NewSession, Write
from agents.models import Event, Server
from agents.ownership import servers
from agents.runtime.process import own_identity
from myagent.messages import ChatMessage
from myagent.models.base import Usage
from myagent.steps import Answer, Thought
from myagent.worker.protocol import AgentInfo

SERVICE = "tested"
LEASE_S = 60.0


def new_server(process: str | None = None, lease_s: float = LEASE_S) -> str:
    server = Server(
        id=str(uuid4()), service=SERVICE, host="here", process=process or own_identity()
    )
    servers.register(server, lease_s)
    let_judge(server.pk)
    return str(server.pk)


def let_judge(server_id: str) -> None:
    """As if a lease period had passed since it began, or missed a renewal."""
    assert Server.objects.filter(pk=server_id).update(judges_from=Now())


def created(server_id: str, session_id: str | None = None) -> Write:
    """The first write of a new session."""
    new = NewSession(SERVICE, "en", server_id, tags="[]", client="{}")
    entry = kinds.session_created("en", AgentInfo("agent"), SERVICE, "connection")
    return Write(session_id or str(uuid4()), 1, [entry], new_session=new)


def accepted(session_id: str, epoch: int, ref: RunRef, ordinal: int | None = 1) -> Write:
    entry = kinds.user_message(f"text of {ref.message_id}", ref, 0)
    run = NewRun(ref.run_id, ref.message_id, ordinal)
    return Write(session_id, epoch, [entry], new_run=run)


def thought(ref: RunRef, step: int = 1) -> Entry:
    message = ChatMessage("assistant", f"thought {step}")
    return kinds.thinking(Thought(step, "because", message, Usage(1, 1), 5), ref)


def ended(session_id: str, epoch: int, ref: RunRef) -> Write:
    entry = kinds.final_answer(Answer("yes", 1, Usage(1, 1)), ref, 1)
    return Write(session_id, epoch, [entry], ends={ref.run_id: "answered"})


def cancelled(session_id: str, epoch: int, ref: RunRef) -> Write:
    written = [kinds.user_cancel(ref.run_id), kinds.interrupted(ref, "en", [])]
    return Write(session_id, epoch, written, ends={ref.run_id: "interrupted"})


def new_ref(message_id: str | None = None) -> RunRef:
    run_id = str(uuid4())
    return RunRef(run_id, message_id or run_id)


def logged(session_id: str) -> list[tuple[int, int, str, str | None]]:
    """`(seq, epoch, event, run_id)` of each entry."""
    rows = Event.objects.filter(session_id=session_id).order_by("seq")
    return list(rows.values_list("seq", "epoch", "event", "run_id"))
