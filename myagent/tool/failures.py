"""Describes exceptions of foreign code, for results and for the log, without argument values."""

from __future__ import annotations

import logging
from pathlib import Path
from types import TracebackType

from myagent import log_context
from myagent.tool.text import text_of

CAUSES_TOLD = 5
"""Maximum number of exceptions in a group."""

DEPTH_TOLD = 5
"""Maximum nesting of groups."""

SAID_LIMIT = 500
"""Maximum length of an exception's own message in a line or a sentence."""

FRAMES_SHOWN = 6
"""Number of traceback frames in the log; the last ones are shown."""

_SDK = str(Path(__file__).parent.parent)


class EscapedError(Exception):
    """The code raised an exception that is meant for a whole program or task."""


def described(error: BaseException) -> str:
    """An exception's type and message; for a group also its causes. Never raises."""
    return _described(error, DEPTH_TOLD)


def _described(error: BaseException, depth: int) -> str:
    if isinstance(error, EscapedError):
        return text_of(error)
    said = text_of(error)
    words = f"{type(error).__name__}: {said}" if said else type(error).__name__
    if not isinstance(error, BaseExceptionGroup) or not depth:
        return words
    causes = [_described(cause, depth - 1) for cause in error.exceptions[:CAUSES_TOLD]]
    more = len(error.exceptions) - len(causes)
    return f"{words}: {'; '.join([*causes, *([f'and {more} more'] if more else [])])}"


def said(error: BaseException) -> str:
    """An exception's message, on one line and without a full stop."""
    return " ".join(described(error).split())[:SAID_LIMIT].rstrip(".")


def log_raised(logger: logging.Logger, tool: str, error: BaseException) -> None:
    """Logs one line: which code was running, what was raised and where.

    Handlers also show the traceback of the tool's own code; those that write one line per event
    check `is_complete` and leave it out.
    """
    traceback = _shortened(error.__traceback__)
    event, values = log_context.message(
        "tool_raised", tool=tool, error=said(error), at=_places(traceback)
    )
    logger.warning(
        event,
        *values,
        exc_info=(type(error), error, traceback),
        extra={"tool": tool, "is_complete": True},
    )


def _shortened(traceback: TracebackType | None) -> TracebackType | None:
    """The last frames, without those of the SDK's call of the tool."""
    frames = []
    while traceback is not None:
        frames.append(traceback)
        traceback = traceback.tb_next
    own = next((place for place, frame in enumerate(frames) if not _is_of_sdk(frame)), 0)
    shown: TracebackType | None = None
    for frame in reversed(frames[own:][-FRAMES_SHOWN:]):
        shown = TracebackType(shown, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return shown


def _is_of_sdk(traceback: TracebackType) -> bool:
    return traceback.tb_frame.f_code.co_filename.startswith(_SDK)


def _places(traceback: TracebackType | None) -> str:
    """`file.py:12 in explode, file.py:9 in inner`"""
    places = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        name = Path(code.co_filename).name
        places.append(f"{name}:{traceback.tb_lineno} in {code.co_name}")
        traceback = traceback.tb_next
    return ", ".join(places)
