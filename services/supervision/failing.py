"""Why an instance failed, in sentences for the people who run it: see `telling`."""

from __future__ import annotations

import signal
from collections.abc import Sequence

import structlog
from django.utils.translation import gettext_noop

from agents.runs.worker_process import Paths
from myagent.protocol import timestamp
from myagent.sentence import Said
from myagent.worker.protocol import LinkError
from services.logs import logfiles
from services.models import Instance
from services.supervision.lifecycle import Cause
from services.telling import Part, kept, parts_of

logger = structlog.get_logger(__name__)

LINES_SHOWN = 5
"""Last lines of the log that go with the sentence."""

LAST_LINES = Said(gettext_noop("The last lines of its log:"))
"""What they begin with: they may be about something else, that the process survived."""


def why_it_failed(
    instance: Instance, cause: Cause, exit_code: int | None, last_lines: Sequence[Part]
) -> str:
    """What the instance reported, or else what was observed of its end, and its last log lines."""
    if instance.error:
        return instance.error
    shown = [line for line in last_lines if isinstance(line, Said) or line.strip()][-LINES_SHOWN:]
    if any(isinstance(line, str) for line in shown):
        shown.insert(0, LAST_LINES)
    more = [part for line in shown for part in ("\n", line)]
    return kept(_sentence(instance, cause, exit_code), *more)


def why_it_was_refused(paths: Paths) -> str:
    """The report of a worker that could not load its agent file; empty if there is none."""
    try:
        return kept(_as_sentence(paths.why_refused()))
    except FileNotFoundError:
        return ""
    except (OSError, LinkError) as error:
        logger.warning("failure_not_read", file=str(paths.failure), error=str(error))
        return ""


def why_it_is_given_up(count: int, last: str, *, restarts: bool) -> str:
    """`count`: failures in a row; `last`: why the last one was."""
    if not restarts or count <= 1:
        return last
    return kept(
        Said(
            gettext_noop(
                "It failed {count} times in a row and is not started again. The last time: "
            ),
            {"count": count},
        ),
        *parts_of(last),
    )


def _as_sentence(said: Said) -> Said:
    values = {
        name: _as_sentence(value) if isinstance(value, Said) else value
        for name, value in said.values.items()
    }
    return Said(said.template, values)


def _sentence(instance: Instance, cause: Cause, exit_code: int | None) -> Said:
    match cause:
        case Cause.START_TIMEOUT:
            return Said(gettext_noop("It did not become ready in time and was ended."))
        case Cause.MEMORY if instance.memory_mb:
            return Said(
                gettext_noop("It used {used_mb} MB, which is over its limit, and was ended."),
                {"used_mb": round(instance.memory_mb)},
            )
        case Cause.MEMORY:
            return Said(gettext_noop("It used more memory than its limit and was ended."))
        case Cause.UNHEALTHY:
            return Said(gettext_noop("It stopped answering health checks and was ended."))
        case Cause.CONFIGURATION:
            return Said(gettext_noop("Its agent file could not be loaded."))
        case _:
            return _end(exit_code)


def note_end(instance: Instance) -> None:
    """Appends to an instance's log how it ended, in English like all log lines.

    Not if its file could not be loaded: then its last line gives the reason.
    """
    if instance.cause == Cause.CONFIGURATION:
        return
    level = "error" if instance.state == Instance.State.ERROR else "info"
    how = f"{_how(instance.exit_code)} pid={instance.pid} cause={str(instance.cause)!r}"
    line = f"{timestamp(instance.ended_at)} {level:8} {how}"
    try:
        logfiles.append(logfiles.path_of(instance.service_id, instance.pk), line)
    except OSError as error:
        logger.warning("end_not_logged", instance_id=instance.pk, how=how, error=str(error))


def _how(exit_code: int | None) -> str:
    if exit_code is None:
        return "ended"
    if exit_code < 0:
        return f"ended by signal {_signal(-exit_code)}"
    return f"ended with status {exit_code}"


def _signal(number: int) -> str:
    try:
        return f"{number} ({signal.Signals(number).name})"
    except ValueError:
        return str(number)


def _end(exit_code: int | None) -> Said:
    if exit_code is None:
        return Said(gettext_noop("Its process ended by itself."))
    if exit_code >= 0:
        return Said(
            gettext_noop("Its process ended by itself with status {status}."),
            {"status": exit_code},
        )
    return Said(gettext_noop("It was killed by signal {signal}."), {"signal": _signal(-exit_code)})
