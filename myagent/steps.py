"""The typed steps that a run yields, in the order in which they happen."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from myagent.inner_spans import InnerSpan
from myagent.messages import ChatMessage, ToolCall
from myagent.models.base import Usage

ToolStatus = Literal["success", "error", "cancelled", "declined", "unknown"]
StopReason = Literal["answer", "max_steps", "length", "content_filter"]

MOST_DESCRIPTION = 2000
"""Maximum number of characters of a tool's description in a question."""

MOST_SCHEMA_BYTES = 32 * 1024
"""Maximum size of the schema in a question, as JSON: it is logged with each question."""

MOST_SCHEMA_DEPTH = 32
"""Maximum nesting of that schema."""


@dataclass(frozen=True, slots=True)
class StepStarted:
    """The model is asked; text of the same step seen before no longer counts."""

    step: int


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of the text that the model is writing."""

    step: int
    text: str


@dataclass(frozen=True, slots=True)
class Thought:
    """The model's whole reply to one question; `message.tool_calls` are what it wants next.

    The id of each call is the `step_id` of the steps that follow from it,
    unique within the session. `first_token_ms`: until the first text of the
    reply; None if it has none.
    """

    step: int
    reasoning: str
    message: ChatMessage
    usage: Usage
    duration_ms: int
    first_token_ms: int | None = None


@dataclass(frozen=True, slots=True)
class ConfirmationAsked:
    """A tool waits for an approval.

    `description` and `parameters`, the JSON schema of its arguments, are for showing the question;
    None: the schema is too large.
    """

    step_id: str
    tool: str
    args: dict[str, Any]
    timeout_s: float
    description: str = ""
    parameters: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ToolStarted:
    """A tool is about to run: it starts when the next step is asked for."""

    step_id: str
    tool: str
    args: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ToolFinished:
    """The outcome of a tool call. `message` is what the model is told.

    `full_length` is the text's length in characters if it had to be cut. `spans`: what the tool's
    code recorded of its own work, `spans_left_out` of which were too many.
    """

    step_id: str
    tool: str
    status: ToolStatus
    text: str
    duration_ms: int
    message: ChatMessage
    full_length: int | None = None
    spans: tuple[InnerSpan, ...] = ()
    spans_left_out: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """The end of a run.

    `full_length` is the text's length in characters when it had to be cut.
    """

    text: str
    steps: int
    usage: Usage
    stop_reason: StopReason = "answer"
    full_length: int | None = None

    @property
    def message(self) -> ChatMessage:
        return ChatMessage("assistant", self.text)


Step = StepStarted | TextDelta | Thought | ConfirmationAsked | ToolStarted | ToolFinished | Answer


@dataclass(frozen=True, slots=True)
class Decision:
    """Somebody's answer to a `ConfirmationAsked`. `args` replace the model's when given."""

    approved: bool
    args: dict[str, Any] | None = None
    feedback: str = ""


Confirm = Callable[[ConfirmationAsked], Awaitable[Decision]]
"""Waits for the decision; the caller applies no time-out of its own."""


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A tool call of an unfinished step, as the log left it.

    `has_asked`: the confirmation was asked already; ask `confirm` for the
    decision again without yielding `ConfirmationAsked`. `decision`: it was
    answered. `has_started`: the tool may have had its effect.
    `started_args` are the arguments it started with.
    """

    call: ToolCall
    has_asked: bool = False
    decision: Decision | None = None
    has_started: bool = False
    started_args: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Resume:
    """Where an interrupted run goes on.

    `step` is the last step that was completed by the model (0: none);
    `open_calls` its calls without a result, in their order; `usage` what the
    completed steps took.
    """

    step: int = 0
    open_calls: tuple[OpenCall, ...] = ()
    usage: Usage = field(default_factory=Usage)
