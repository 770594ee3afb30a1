"""Logs the steps of a run in the worker's log, for debugging.

Text of people and models appears only in `fields`, with limited length, and never in a message.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from myagent.steps import (
    Answer,
    ConfirmationAsked,
    Step,
    StepStarted,
    Thought,
    ToolFinished,
    ToolStarted,
)
from myagent.tool.text import excerpt

LONGEST = 200
"""Maximum number of characters of a quoted text."""

logger = logging.getLogger(__name__)


def is_on() -> bool:
    return logger.isEnabledFor(logging.DEBUG)


def log_step(session_id: str, step: Step) -> None:
    match step:
        case StepStarted():
            logger.debug("model_asked session_id=%s step=%d", session_id, step.step)
        case Thought():
            logger.debug(
                "model_answered session_id=%s step=%d duration_ms=%d first_token_ms=%s "
                "prompt_tokens=%d completion_tokens=%d tool_calls=%d",
                *(session_id, step.step, step.duration_ms, step.first_token_ms),
                *(step.usage.prompt_tokens, step.usage.completion_tokens),
                len(step.message.tool_calls),
            )
        case ConfirmationAsked():
            _log_call("tool_waits_for_a_yes", session_id, step.tool, step.step_id, step.args)
        case ToolStarted():
            _log_call("tool_called", session_id, step.tool, step.step_id, step.args)
        case ToolFinished():
            logger.debug(
                "tool_finished session_id=%s tool=%r step_id=%s status=%s duration_ms=%d",
                *(session_id, step.tool, step.step_id, step.status, step.duration_ms),
                extra={"fields": {"result": excerpt(step.text, LONGEST)}},
            )
        case Answer():
            logger.debug(
                "answered session_id=%s steps=%s prompt_tokens=%d completion_tokens=%d "
                "stop_reason=%s",
                *(session_id, step.steps, step.usage.prompt_tokens, step.usage.completion_tokens),
                step.stop_reason,
                extra={"fields": {"text": excerpt(step.text, LONGEST)}},
            )


def _log_call(
    event: str, session_id: str, tool: str, step_id: str, args: Mapping[str, Any]
) -> None:
    logger.debug(
        f"{event} session_id=%s tool=%r step_id=%s",
        *(session_id, tool, step_id),
        extra={"fields": {"args": excerpt(repr(args), LONGEST)}},
    )
