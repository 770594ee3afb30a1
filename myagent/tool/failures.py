"""What somebody else's code raised: in words, and in the log without what it was called with."""

from __future__ import annotations

import logging
from pathlib import Path
from types import TracebackType

from myagent import log_context
from myagent.tool.text import text_of

CAUSES_TOLD = 5
"""Of the exceptions in a group."""

DEPTH_TOLD = 5
"""Of groups in each other."""

SAID_LIMIT = 500
"""Characters of an exception's own words in a line or a sentence."""

FRAMES_SHOWN = 6
"""Of a traceback in the log: the last ones."""

_SDK = str(Path(__file__).parent.parent)


class EscapedError(Exception):
    """The work raised something that is meant for a whole program or task."""


def described(error: BaseException) -> str:
    """An error's type and what it says; a group tells its causes. Never raises."""
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
    """What an error says, on one line and without a full stop."""
    return " ".join(described(error).split())[:SAID_LIMIT].rstrip(".")


def log_raised(logger: logging.Logger, tool: str, error: BaseException) -> None:
    """One line: who was at work, what was raised and where.

    Handlers show the traceback as well, of the tool's own code; those that write
    one line for each event leave it out by `is_complete`.
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
    """The last frames, without those in which the SDK calls the tool."""
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
