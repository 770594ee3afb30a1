"""Runs a run again, from one of its steps on: a new conversation that is forked from its log.

Synchronous; may be called again after a failure.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext

from agents.log.forking import Fork, Forked, UnknownStep
from agents.models import Run
from agents.principals import Principal, key_of, may_act
from traces.content import excerpt
from traces.models import Trace


class NotRerun(Exception):
    """The run can't run again. `code` is for programs; the sentence, for people."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True, slots=True)
class Rerun:
    """A run of `trace` again: from its `step` on, with another `question` or ('') its own.

    Check it before anything is written: both raise `NotRerun`.
    """

    trace: Trace
    step: int
    principal: Principal | None
    question: str = ""

    def check(self, *, can_continue: bool = True) -> None:
        """`can_continue`: whether the agent can go on in the middle of a run."""
        if not settings.MYAGENT_TRACING:
            said = gettext("Runs have no traces now, see MYAGENT_TRACING: nobody could follow it.")
            raise NotRerun("not_traced", said)
        if not may_act(self.principal, self.trace.principal):
            said = gettext("Only who may take part in this conversation can run it again.")
            raise NotRerun("forbidden", said)
        if self.question and self.step > 1:
            said = gettext("Another question can be asked before the first step only.")
            raise NotRerun("invalid", said)
        if self.step > 1 and not can_continue:
            said = gettext("This agent can't go on in the middle of a run: only from step 1.")
            raise NotRerun("unknown_step", said)

    def write(self) -> Trace:
        """The trace of the new run, which begins once a server takes its conversation over."""
        self.check()
        fork = Fork(self.trace.pk, self.step, key_of(self.principal), self.question)
        try:
            with transaction.atomic():
                return self._trace_of(fork.write())
        except Run.DoesNotExist:
            said = gettext("The conversation of this trace has been removed: it can't run again.")
            raise NotRerun("unknown_session", said) from None
        except UnknownStep as error:
            raise NotRerun("unknown_step", self._no_such_step(error.last)) from None

    def _no_such_step(self, last: int) -> str:
        if not last:
            return gettext("The log has no step of this run that it could run again from.")
        said = gettext("There is no step {step}: this run can run again from steps 1 to {last}.")
        return said.format(step=self.step, last=last)

    def _trace_of(self, forked: Forked) -> Trace:
        origin, content = self.trace, self.trace.content
        if content == Trace.Content.ON:
            content = settings.MYAGENT_TRACE_CONTENT
        return Trace.objects.create(
            id=forked.run_id,
            session_id=forked.session_id,
            service=origin.service,
            agent=origin.agent,
            model=origin.model,
            principal=key_of(self.principal),
            status=Trace.Status.RUNNING,
            content=content,
            request=excerpt(forked.question, content),
            max_steps=origin.max_steps,
            started_at=forked.at,
            rerun_of=origin.pk,
            rerun_step=self.step,
        )
