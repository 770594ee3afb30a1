"""What a service requires of an agent, ours or another framework's."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol, runtime_checkable

from myagent.messages import ChatMessage
from myagent.steps import Confirm, Resume, Step

NOTHING_DONE = Resume()


class AgentError(Exception):
    """The agent did what no agent may do; the message is a plain sentence."""


class NoAnswerError(AgentError):
    """The agent ended without an answer; the sentence is shown to the person who asked."""


@runtime_checkable
class Runnable(Protocol):
    """Anything that can answer a conversation in steps.

    `max_steps` is None where nobody knows. `is_continuable`: an interrupted
    run can go on from its log, with a `Resume`. `is_idempotent`: an
    interrupted run may simply start again.
    """

    @property
    def name(self) -> str: ...

    @property
    def max_steps(self) -> int | None: ...

    @property
    def is_continuable(self) -> bool: ...

    @property
    def is_idempotent(self) -> bool: ...

    def run(
        self,
        history: Sequence[ChatMessage],
        *,
        confirm: Confirm,
        resume: Resume = NOTHING_DONE,
    ) -> AsyncGenerator[Step, None]:
        """The steps of the answer to the last message; close the generator to stop."""
        ...
