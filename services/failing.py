"""Why an instance failed, in sentences for the people who run it. No I/O."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from services.lifecycle import Cause
from services.models import Instance

LINES_SHOWN = 5
"""Last lines of the log that go with the sentence."""


def why_it_failed(
    instance: Instance, cause: Cause, exit_code: int | None, last_lines: Sequence[str]
) -> str:
    """What the instance said of itself, else what was seen of its end, and its last words."""
    if instance.error:
        return instance.error
    shown = [line for line in last_lines if line.strip()][-LINES_SHOWN:]
    return "\n".join([_sentence(instance, cause, exit_code), *shown])


def why_it_is_given_up(count: int, last: str, *, restarts: bool) -> str:
    """`count`: failures in a row; `last`: why the last one was."""
    if not restarts or count <= 1:
        return last
    return f"It failed {count} times in a row and is not started again. The last time: {last}"


def _sentence(instance: Instance, cause: Cause, exit_code: int | None) -> str:
    match cause:
        case Cause.START_TIMEOUT:
            return "It did not become ready in time and was ended."
        case Cause.MEMORY:
            used = f"{instance.memory_mb:.0f} MB" if instance.memory_mb else "more memory"
            return f"It used {used}, which is over its limit, and was ended."
        case Cause.UNHEALTHY:
            return "It stopped answering health checks and was ended."
        case Cause.CONFIGURATION:
            return "Its agent file could not be loaded."
        case _:
            return f"Its process ended by itself{_how(exit_code)}."


def _how(exit_code: int | None) -> str:
    if exit_code is None:
        return ""
    if exit_code >= 0:
        return f" with status {exit_code}"
    try:
        return f", by {signal.Signals(-exit_code).name}"
    except ValueError:
        return f", by signal {-exit_code}"
