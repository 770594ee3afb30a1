"""How a run ends: its status, and the terminal entry. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, replace

from django.conf import settings

from agents.log import kinds
from agents.log.entry import Entry, RunRef
from agents.log.fold import RunState
from agents.models import Run
from agents.sentences import say, tell
from myagent.protocol import ErrorCode
from myagent.tool.text import cut
from myagent.worker.protocol import Stopped
from myagent.worker.text import MAX_ANSWER_BYTES


@dataclass(frozen=True, slots=True)
class Ending:
    status: Run.Status
    entry: Entry

    def keeping(self, text: str) -> Ending:
        """The same end, with the partial text that the model had written."""
        if not text or self.status == Run.Status.ANSWERED:
            return self
        metadata = {**self.entry.metadata, "text": cut(text, MAX_ANSWER_BYTES)[0]}
        return replace(self, entry=replace(self.entry, metadata=metadata))


def failed(
    ref: RunRef, lang: str, code: ErrorCode, sentence: str = "", *, is_retryable: bool = False
) -> Ending:
    """`sentence` names an entry of `SENTENCES` that fits better than the code's own."""
    text = say(lang, sentence or code)
    return Ending(Run.Status.FAILED, kinds.error(ref, code, text, is_retryable=is_retryable))


def failed_in_worker(
    ref: RunRef, lang: str, stopped: Stopped, *, with_cause: bool = False
) -> Ending:
    """The end of a run that the worker stopped without being asked to."""
    if stopped.kind == "cut_off":
        return failed(ref, lang, "agent_error", "agent_gone", is_retryable=True)
    if stopped.kind != "model_error":
        return failed(ref, lang, "agent_error")
    text = tell(lang, stopped.said) if stopped.said else say(lang, "agent_error")
    cause = stopped.cause if with_cause else ""
    entry = kinds.error(ref, "model_error", text, is_retryable=stopped.is_retryable, cause=cause)
    return Ending(Run.Status.FAILED, entry)


def stopped_by(
    status: Run.Status, ref: RunRef, lang: str, state: RunState, text: str = ""
) -> Ending:
    """The end of a run that was interrupted or timed out; `text` is what the model had written."""
    effects = [call.call.name for call in state.open_calls if call.has_started]
    if status == Run.Status.TIMED_OUT:
        entry = kinds.timed_out(ref, lang, settings.MYAGENT_RUN_TIMEOUT_S, effects)
    else:
        entry = kinds.interrupted(ref, lang, effects, text)
    return Ending(status, entry)
