"""What is said of a run that came to its end without an answer."""

from __future__ import annotations

import asyncio
import logging
import traceback

from myagent.loading import AgentFileError
from myagent.models.base import ModelError
from myagent.models.masking import masked, secrets_of
from myagent.runnable import NoAnswerError
from myagent.sentence import Said
from myagent.tool.failures import described
from myagent.tool.text import clean
from myagent.worker.framing import FrameTooLarge
from myagent.worker.protocol import RunKey, StopKind, Stopped, said_of

MAX_DETAIL = 16 * 1024
"""Characters of a traceback: its beginning and its end say the most."""

MAX_SENTENCE = 4096
"""Characters of a sentence, filled in; a longer one is cut, and told as plain text."""

logger = logging.getLogger(__name__)


class StepsRefused(Exception):
    """The run's steps will never be in the log: it has ended without its code."""


class CutOff(Exception):
    """The run was interrupted earlier, and this agent can neither go on nor start again."""


def stopped_by(error: BaseException, key: RunKey, asked: StopKind | None) -> Stopped:
    """Why a run stopped. `asked`: the kind of stop that it was asked for, if it was."""
    match error:
        case asyncio.CancelledError() if asked is not None:
            # Agent code can raise this by itself: only ours means that it was cancelled.
            return Stopped(key, asked)
        case StepsRefused():
            return Stopped(key, "refused")
        case CutOff():
            return Stopped(key, "cut_off")
        case FrameTooLarge():
            return Stopped(key, "too_large", detail=str(error))
        case ModelError():
            said = _said_by_model(error)
            detail, cause = detail_of(error), _cause_of(error)
            return Stopped(key, "model_error", said, bool(error.is_retryable), detail, cause)
        case NoAnswerError():
            return Stopped(key, "failed", Said(str(error)), detail=detail_of(error))
        case AgentFileError():
            return Stopped(key, "failed", sentence_of(error), detail=detail_of(error))
    return Stopped(key, "failed", detail=detail_of(error))


def log_failure(stopped: Stopped, run_id: str) -> None:
    """Logs the traceback: people are told to look for it in the worker's log.

    If the cause is known it says more than the traceback, which is then logged for debugging.
    """
    session_id = stopped.key.session_id
    about = f"run_failed session={session_id!r} run={run_id!r} kind={stopped.kind}"
    if stopped.cause:
        logger.error("%s cause=%r", about, stopped.cause)
        logger.debug("%s\n%s", about, stopped.detail)
    elif stopped.detail:
        logger.error("%s\n%s", about, stopped.detail)


def sentence_of(error: AgentFileError) -> Said:
    """The sentence that the error is, as data."""
    return _bounded(said_of(error.args[0] if error.args else str(error)), str(error))


def detail_of(error: BaseException) -> str:
    """What was raised, with its traceback, without secrets, and cut to a bounded length.

    Never raises.
    """
    try:
        text = "".join(traceback.format_exception(error))
        if isinstance(error, BaseExceptionGroup):
            # Other logs quote the last line, which for a group would be the edge of a frame.
            text += described(error)
        text = masked(text, secrets_of(error))
    except Exception:
        # The error is somebody else's object: even looking at it may raise.
        logger.debug("an error can't be shown", exc_info=True)
        text = described(error)
    if len(text) <= MAX_DETAIL:
        return text
    half = MAX_DETAIL // 2
    return f"{text[:half]}\n… {len(text) - MAX_DETAIL} characters …\n{text[-half:]}"


def _said_by_model(error: ModelError) -> Said:
    try:
        return _bounded(said_of(error.template, error.values), str(error))
    except Exception:
        # A subclass of somebody's own, that never said what its sentence is made of.
        logger.debug("a model's error has no template", exc_info=True)
        return Said(described(error)[:MAX_SENTENCE])


def _cause_of(error: ModelError) -> str:
    # A user's subclass may lack the attribute, or use the name for something else.
    cause = getattr(error, "cause", "")
    return clean(cause)[:MAX_SENTENCE] if isinstance(cause, str) else ""


def _bounded(said: Said, text: str) -> Said:
    return said if _length(said) <= MAX_SENTENCE else Said(text[:MAX_SENTENCE])


def _length(said: Said) -> int:
    values = said.values.values()
    return len(said.template) + sum(
        _length(value) if isinstance(value, Said) else len(str(value)) for value in values
    )
