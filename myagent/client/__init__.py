"""Talk to a service from Python: reconnects by itself, resumes, never repeats.

async with connect("ws://localhost:8080/") as client:
    async for event in client.ask("What is the weather in Beijing?"):
        match event:
            case PartialAnswer(text=text): ...
            case FinalAnswer(content=answer): ...
"""

from __future__ import annotations

from myagent.client.answer import Answer
from myagent.client.client import Client
from myagent.client.connecting import connect
from myagent.client.errors import (
    AnswerLost,
    ClientClosed,
    ClientError,
    ConnectionFailed,
    GaveUp,
    InvalidRequest,
    NoSuchService,
    NotAllowed,
    Refused,
    UnknownSession,
)
from myagent.client.streams import ConnectionChanged, ConnectionState, Event, EventStream
from myagent.protocol.server_events import (
    CancelLogged,
    ConfirmationAsked,
    Connected,
    FeedbackLogged,
    FinalAnswer,
    Heartbeat,
    Interrupted,
    MessageAccepted,
    Notice,
    PartialAnswer,
    ReplayComplete,
    ResponseLogged,
    RunEnded,
    RunFailed,
    ServerError,
    ServerEvent,
    SessionCreated,
    SessionEnded,
    SessionResumed,
    ThinkingCompleted,
    ThinkingStarted,
    TimedOut,
    ToolCalled,
    ToolFinished,
)

__all__ = [
    "Answer",
    "AnswerLost",
    "CancelLogged",
    "Client",
    "ClientClosed",
    "ClientError",
    "ConfirmationAsked",
    "Connected",
    "ConnectionChanged",
    "ConnectionFailed",
    "ConnectionState",
    "Event",
    "EventStream",
    "FeedbackLogged",
    "FinalAnswer",
    "GaveUp",
    "Heartbeat",
    "Interrupted",
    "InvalidRequest",
    "MessageAccepted",
    "NoSuchService",
    "NotAllowed",
    "Notice",
    "PartialAnswer",
    "Refused",
    "ReplayComplete",
    "ResponseLogged",
    "RunEnded",
    "RunFailed",
    "ServerError",
    "ServerEvent",
    "SessionCreated",
    "SessionEnded",
    "SessionResumed",
    "ThinkingCompleted",
    "ThinkingStarted",
    "TimedOut",
    "ToolCalled",
    "ToolFinished",
    "UnknownSession",
    "connect",
]
