"""What a server says, as types: one frozen dataclass for each kind of event.

Fields have the names of the wire. `read` turns a text frame into one of them;
a kind that this version does not know is a plain `ServerEvent`. The module is as long as there are
kinds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from myagent import exact_json
from myagent.steps import StopReason, ToolStatus

SessionStatus = Literal["idle", "running", "waiting"]


class UnreadableFrame(ValueError):
    """A frame that is not an event of the protocol."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerEvent:
    """What every event has. As it is, it stands for a kind that this version does not know.

    `seq` is the place in the session's log, None for what is not in it.
    `run_id` names the run that an event belongs to, '' if none or not known.
    """

    event: str
    content: Any = None
    session_id: str = ""
    seq: int | None = None
    step_id: str = ""
    run_id: str = ""
    message_id: str = ""
    timestamp: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected(ServerEvent):
    """The server has taken the socket. `protocol` is the version that it speaks."""

    connection_id: str = ""
    protocol: int = 0
    server: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCreated(ServerEvent):
    """A conversation has started. `model`: the agent's; '' if it is not known."""

    agent_name: str = ""
    model: str = ""
    service: str = ""
    connection_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionResumed(ServerEvent):
    """The socket is attached again; `replaying` events follow.

    `last_seq` is the end of the log. `resync`: the requested place is not in the log; the replay
    starts with the oldest event that was kept. `model`: the agent's; '' if it is not known.
    """

    last_seq: int = 0
    model: str = ""
    status: SessionStatus = "idle"
    replaying: int = 0
    resync: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayComplete(ServerEvent):
    """All that was missed has been sent."""

    last_seq: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageAccepted(ServerEvent):
    """A message is in the log. `position`: 0 starts now, n is the nth in the queue.

    `duplicate`: it had been accepted before, at `original_seq`.
    """

    content: str = ""
    position: int = 0
    duplicate: bool = False
    original_seq: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ThinkingStarted(ServerEvent):
    """The model is asked. Text of the same step that was shown before no longer counts."""

    content: str = ""
    step: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ThinkingCompleted(ServerEvent):
    """The model has replied. `content` is its reasoning; `text` what it says before its tools."""

    content: str = ""
    step: int = 0
    duration_ms: int = 0
    usage: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialAnswer(ServerEvent):
    """The next piece, `content`, of what the model writes in a step.

    `offset` counts code points. `text` is all of the step's text so far: a
    client fills it in.
    """

    content: str = ""
    step: int = 0
    offset: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmationAsked(ServerEvent):
    """The tool `step_id` waits for an approval, at most `timeout_s`. `content` is the question.

    `description` is the tool's, `parameters` the JSON schema of its arguments, unless it is too
    large to be sent.
    """

    content: str = ""
    tool: str = ""
    args: Mapping[str, Any] = field(default_factory=dict)
    timeout_s: float = 0.0
    description: str = ""
    parameters: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseLogged(ServerEvent):
    """A question was answered. `content` is the answer, as somebody gave it."""

    duplicate: bool = False
    original_seq: int = 0

    @property
    def is_approved(self) -> bool:
        return isinstance(self.content, Mapping) and self.content.get("approved") is True


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCalled(ServerEvent):
    """A tool starts, with these arguments."""

    content: str = ""
    tool: str = ""
    args: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolFinished(ServerEvent):
    """The outcome of a tool. `truncated` is the result's length if it had to be cut."""

    content: str = ""
    tool: str = ""
    status: ToolStatus = "unknown"
    duration_ms: int = 0
    truncated: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelLogged(ServerEvent):
    """Somebody stopped the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackLogged(ServerEvent):
    """Somebody, `principal`, said what an answer is worth; `content` is a comment, or None.

    `score` is from -1 to 1; None: taken back. `duplicate`: that had been said before, at
    `original_seq`.
    """

    score: float | None = None
    principal: str = ""
    duplicate: bool = False
    original_seq: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded(ServerEvent):
    """The one end of a message; always one of the four below.

    `text`: the text that the model had written of an unfinished answer.
    """

    content: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalAnswer(RunEnded):
    """The answer is `content`. `truncated` is its whole length where it had to be cut."""

    steps: int = 0
    usage: Mapping[str, Any] = field(default_factory=dict)
    duration_ms: int = 0
    stop_reason: StopReason = "answer"
    truncated: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFailed(RunEnded):
    """There is no answer; `content` says why. `retryable`: asking again may help."""

    code: str = ""
    retryable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupted(RunEnded):
    """The run was stopped. `effects` are the tools whose outcome is not known."""

    effects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedOut(RunEnded):
    """The run took longer than `timeout_s`."""

    timeout_s: float = 0.0
    effects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnded(ServerEvent):
    """The conversation is over."""

    content: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice(ServerEvent):
    """Something worth knowing; nothing has changed."""

    content: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat(ServerEvent):
    """The server is there, and has nothing to say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerError(ServerEvent):
    """A frame was refused, or the socket is about to be closed; `content` says why.

    `limit` names the limit that was reached, `retry_after_s` says when the frame may be granted.
    """

    content: str = ""
    code: str = ""
    retryable: bool = False
    limit: str = ""
    retry_after_s: float | None = None


KINDS: Final[Mapping[str, type[ServerEvent]]] = {
    "system.connected": Connected,
    "agent.session_created": SessionCreated,
    "agent.session_resumed": SessionResumed,
    "agent.replay_complete": ReplayComplete,
    "user.message": MessageAccepted,
    "agent.thinking": ThinkingCompleted,
    "agent.partial_answer": PartialAnswer,
    "agent.user_confirm": ConfirmationAsked,
    "user.response": ResponseLogged,
    "agent.tool_call": ToolCalled,
    "agent.tool_result": ToolFinished,
    "user.cancel": CancelLogged,
    "user.feedback": FeedbackLogged,
    "agent.final_answer": FinalAnswer,
    "agent.error": RunFailed,
    "agent.interrupted": Interrupted,
    "agent.timeout": TimedOut,
    "agent.session_end": SessionEnded,
    "system.notice": Notice,
    "system.heartbeat": Heartbeat,
    "system.error": ServerError,
}
"""Every kind that a server sends; `agent.thinking` is `ThinkingStarted` as well."""

_ENVELOPE = frozenset(each.name for each in dataclasses.fields(ServerEvent))
_FROM_METADATA = {
    kind: tuple(each.name for each in dataclasses.fields(kind) if each.name not in _ENVELOPE)
    for kind in (*KINDS.values(), ThinkingStarted, ServerEvent)
}
_HAS_TEXT = frozenset(
    kind
    for kind in _FROM_METADATA
    if next(each for each in dataclasses.fields(kind) if each.name == "content").default == ""
)


def read(text: str | bytes) -> ServerEvent:
    """The event in a frame. Raises `UnreadableFrame`.

    What a frame leaves out has its default; what is new in it is in `metadata`.
    """
    try:
        frame = exact_json.loads(text)
    except ValueError as error:
        raise UnreadableFrame("The server sent a frame that is not JSON.") from error
    if not isinstance(frame, dict) or not isinstance(frame.get("event"), str):
        raise UnreadableFrame("The server sent a frame that is not an event.")
    metadata = frame.get("metadata") or {}
    seq = frame.get("seq")
    if not isinstance(metadata, dict) or not (seq is None or type(seq) is int):
        raise UnreadableFrame(f"The server sent an odd {frame['event']!r}.")
    return _build(_kind_of(frame["event"], metadata), frame, metadata)


def _kind_of(event: str, metadata: dict[str, Any]) -> type[ServerEvent]:
    if event == "agent.thinking" and metadata.get("status") == "started":
        return ThinkingStarted
    return KINDS.get(event, ServerEvent)


def _build(kind: type[ServerEvent], frame: dict[str, Any], metadata: dict[str, Any]) -> ServerEvent:
    fields = {name: metadata[name] for name in _FROM_METADATA[kind] if name in metadata}
    if isinstance(fields.get("effects"), list):
        fields["effects"] = tuple(fields["effects"])
    content = frame.get("content")
    if kind in _HAS_TEXT and not isinstance(content, str):
        content = "" if content is None else str(content)
    return kind(
        event=frame["event"],
        content=content,
        session_id=frame.get("session_id") or metadata.get("session_id") or "",
        seq=frame.get("seq"),
        step_id=frame.get("step_id") or metadata.get("step_id") or "",
        run_id=metadata.get("run_id") or "",
        message_id=metadata.get("message_id") or "",
        timestamp=frame.get("timestamp") or "",
        metadata=metadata,
        **fields,
    )
