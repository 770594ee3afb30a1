"""What servers and a worker say to each other on a link, as types. No I/O.

A server, or the supervisor, dials and says `Hello`; the worker answers `Ready`,
or `Unfit` if it does not speak that version, and hangs up. Everything about a
run carries its `RunKey`. Of two runs of one session the one with the higher key
is the newer: the worker refuses what comes of an older one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from myagent.messages import ChatMessage
from myagent.sentence import Said, Sentence
from myagent.steps import Decision, Resume, Step

VERSION = 1


class LinkError(Exception):
    """The other end sent what no peer of this version sends."""


@dataclass(frozen=True, slots=True)
class RunKey:
    """One attempt at one run: `attempt` counts within the owner's `epoch` of the session."""

    session_id: str
    epoch: int
    attempt: int

    @property
    def age(self) -> tuple[int, int]:
        """Higher is newer, within a session."""
        return self.epoch, self.attempt


class BadRunFrame(LinkError):
    """The same of one run, the one with `key`: it has to end, the others go on."""

    def __init__(self, sentence: str, key: RunKey) -> None:
        super().__init__(sentence)
        self.key = key


# What a server says.


@dataclass(frozen=True, slots=True)
class Hello:
    """The first frame. `peer` names who dials, for the worker's log."""

    version: int
    peer: str
    role: Literal["server", "supervisor"] = "server"


@dataclass(frozen=True, slots=True)
class Start:
    """Carry out a run.

    The session's history consists of the messages that the worker has, numbered from `first` to
    `at` - 1, and of `messages` after them. If the worker is to have any, they must be of
    `generation`; otherwise it answers `NeedHistory`. The last message is the question, or belongs
    to the run that `resume` continues. `run_id` is the run's id in the server's log,
    `run_attempt` counts how often it was begun or continued, and `traceparent` is the span of the
    client under which it runs, as W3C Trace Context writes it; '' if there is none.
    """

    key: RunKey
    generation: int
    first: int
    at: int
    messages: Sequence[ChatMessage]
    resume: Resume
    is_continued: bool
    run_id: str = ""
    run_attempt: int = 1
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class Accept:
    """The last steps are in the log: the run may go on."""

    key: RunKey


@dataclass(frozen=True, slots=True)
class Refuse:
    """The last steps never will be in the log: the run ends."""

    key: RunKey


@dataclass(frozen=True, slots=True)
class Decide:
    """Somebody answered a confirmation."""

    key: RunKey
    step_id: str
    decision: Decision


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop the run; `Stopped` answers it."""

    key: RunKey


@dataclass(frozen=True, slots=True)
class Forget:
    """The session has left the server's memory: its agent and history may go."""

    session_id: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Drain:
    """Take no new runs, finish what runs, then end. The supervisor says so."""


@dataclass(frozen=True, slots=True)
class Ping:
    number: int


# What a worker says.


@dataclass(frozen=True, slots=True)
class ToolInfo:
    """A tool as people are shown it."""

    name: str
    description: str
    idempotent: bool
    requires_confirmation: bool
    timeout_s: float | None


@dataclass(frozen=True, slots=True)
class AgentInfo:
    """The description of the agent once its file is loaded. `model`: '' if it is not known.

    `examples`: sample questions. `enable_tracing`: whether it may be recorded what happens inside
    its runs. `is_continuable`: whether an interrupted run can be continued or started again.
    """

    name: str
    description: str = ""
    tools: Sequence[ToolInfo] = ()
    model: str = ""
    max_steps: int | None = None
    enable_tracing: bool = True
    is_continuable: bool = True
    examples: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Ready:
    """The answer to `Hello`: the file is loaded, runs may be started."""

    version: int
    instance_id: str
    pid: int
    agent: AgentInfo


@dataclass(frozen=True, slots=True)
class Unfit:
    """The worker does not speak the version of `Hello`; it speaks `version`."""

    version: int


@dataclass(frozen=True, slots=True)
class Stepping:
    """The model is asked for a step; text of the same step said before no longer counts."""

    key: RunKey
    step: int


@dataclass(frozen=True, slots=True)
class Text:
    """The next piece of a step's text."""

    key: RunKey
    step: int
    text: str


@dataclass(frozen=True, slots=True)
class Steps:
    """Durable steps; the run waits for `Accept` or `Refuse`, unless the last is an `Answer`.

    None but the last may be one. Steps sent before the last were answered end the run.
    """

    key: RunKey
    steps: Sequence[Step]


StopKind = Literal[
    "cancelled",  # as it was asked to
    "refused",  # its steps were
    "superseded",  # by a newer run of its session
    "model_error",  # the model could not be asked; `said` is for people
    "cut_off",  # it was interrupted earlier, and this agent can neither go on nor start again
    "too_large",  # what it has to say fits into no frame
    "failed",  # its code raised, or ended without an answer
    "draining",  # the worker takes no new runs: another has to
]


@dataclass(frozen=True, slots=True)
class Stopped:
    """The run's code has ended without an answer.

    `detail` is what was raised, with its traceback, as in the worker's log; `cause`, for the
    operator, is the reason in one line, if it is known.
    """

    key: RunKey
    kind: StopKind
    said: Said | None = None
    is_retryable: bool = False
    detail: str = ""
    cause: str = ""

    @property
    def gist(self) -> str:
        """The end of it, for other logs: what was raised."""
        return self.detail.rstrip().rpartition("\n")[2]


@dataclass(frozen=True, slots=True)
class NeedHistory:
    """The worker does not have the history that `Start` builds on: send it whole.

    In answer to a `Start` that held it whole it ends the run.
    """

    key: RunKey


@dataclass(frozen=True, slots=True)
class Report:
    """What the worker says of itself. `lag_ms`: its loop's worst since the last report.

    `abandoned`: tools that run on although nobody waits for them any more.
    """

    running: int = 0
    sessions: int = 0
    lag_ms: float = 0.0
    abandoned: int = 0


@dataclass(frozen=True, slots=True)
class Pong:
    number: int
    report: Report


@dataclass(frozen=True, slots=True)
class Draining:
    """The worker takes no new runs; it ends when those that run are done."""


@dataclass(frozen=True, slots=True)
class Debugging:
    """Somebody sits at a debugger's prompt, or has left it: silence is no sign of death."""

    is_on: bool


OfARun = Stepping | Text | Steps | Stopped | NeedHistory
OF_A_RUN = (Stepping, Text, Steps, Stopped, NeedHistory)
"""The types in `OfARun`, for the fastest `isinstance`."""

FromServer = Hello | Start | Accept | Refuse | Decide | Cancel | Forget | Drain | Ping
FromWorker = Ready | Unfit | OfARun | Pong | Draining | Debugging


def said_of(sentence: str, values: Mapping[str, object] | None = None) -> Said:
    """A sentence as data; of a `Sentence`, with what it was made of."""
    template = str(sentence)
    if isinstance(sentence, Sentence) and values is None:
        template, values = sentence.template, sentence.values
    return Said(template, {name: _said_value(value) for name, value in (values or {}).items()})


def _said_value(value: object) -> str | int | float | Said:
    if isinstance(value, Sentence):
        return said_of(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    return str(value)
