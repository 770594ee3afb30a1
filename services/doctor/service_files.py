"""Judges the services: their files, interpreters, variables, and what was observed of them.

No I/O.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext_noop

from myagent.sentence import Said
from services.doctor.finding import Finding, fine, problem, warning


@dataclass(frozen=True, slots=True)
class AgentFile:
    """`failure`: why it can't be read or parsed, None if it can.

    `is_exposed`: others than the site's user and root may change it; `is_open_to_all`: all users of
    the machine. `is_outside`: it is below none
    of the folders of MYAGENT_AGENT_DIRS, if that names any.
    """

    path: str
    failure: Said | None = None
    is_exposed: bool = False
    is_open_to_all: bool = False
    is_outside: bool = False


@dataclass(frozen=True, slots=True)
class Interpreter:
    """`failure`: why it can't run agent files; what is in its own words is plain; '' if it can."""

    path: str
    failure: str | Said = ""


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """`file`, `interpreter`: None for what is elsewhere. `nodes`: other machines that run it.

    `frozen`: the pids of its processes here that are stopped. `answering`: how many passed their
    last check, of the `replicas` that should.
    """

    name: str
    file: AgentFile | None
    interpreter: Interpreter | None
    nodes: str = ""
    has_readable_variables: bool = True
    status: str = ""
    error: str = ""
    is_wanted: bool = False
    has_supervisor: bool = True
    frozen: Sequence[int] = ()
    is_degraded: bool = False
    answering: int = 1
    replicas: int = 1


def judge(found: ServiceFacts) -> Iterator[Finding]:
    """At least one finding."""
    wrong = [
        *_judge_file(found.name, found.file),
        *_judge_interpreter(found.name, found.interpreter),
        *_judge_state(found),
        *_judge_health(found),
    ]
    yield from wrong
    if wrong:
        return
    if found.nodes:
        fact = gettext_noop("{name} runs on {nodes}: its file is to be looked at there.")
    elif found.file is None:
        fact = gettext_noop("{name} runs elsewhere.")
    else:
        fact = gettext_noop("{name} is ready to run: {path}.")
    path = found.file.path if found.file else ""
    yield fine("service", fact, name=found.name, nodes=found.nodes, path=path)


def _judge_file(name: str, found: AgentFile | None) -> Iterator[Finding]:
    if found is None:
        return
    values = {"name": name, "path": found.path}
    if found.failure is not None:
        yield problem(
            "service_file",
            gettext_noop("{name}: {reason} ({path})."),
            gettext_noop("Mend the file, then `manage.py services restart {name}`."),
            reason=found.failure,
            **values,
        )
    if found.is_open_to_all:
        yield problem(
            "service_file",
            gettext_noop("{name}: every user of this machine may change {path}, and so run code."),
            gettext_noop("chmod o-w {path}; and see that nobody has changed it."),
            **values,
        )
    elif found.is_exposed:
        yield warning(
            "service_file",
            gettext_noop("{name}: not only the site's user may change {path}."),
            gettext_noop("Give it to that user or root, and let others not write to it: it runs."),
            **values,
        )
    if found.is_outside:
        yield warning(
            "service_file",
            gettext_noop("{name}: {path} is below none of the folders of MYAGENT_AGENT_DIRS."),
            gettext_noop("Move it, or add its folder: REST and the admin can't register it again."),
            **values,
        )


def _judge_interpreter(name: str, found: Interpreter | None) -> Iterator[Finding]:
    if found is None or not found.failure:
        return
    yield problem(
        "service_python",
        gettext_noop("{name}: {python} can't run agent files: {reason}"),
        gettext_noop(
            "Install what it lacks, or name another: `services unregister`, then `services "
            "register … --python PATH`. Python 3.11 or later is needed."
        ),
        name=name,
        python=found.path,
        reason=found.failure,
    )


def _judge_state(found: ServiceFacts) -> Iterator[Finding]:
    values = {"name": found.name, "error": found.error}
    if not found.has_readable_variables:
        yield problem(
            "service_variables",
            gettext_noop("{name}: its variables were encrypted under another SECRET_KEY."),
            gettext_noop(
                "Add the former key to SECRET_KEY_FALLBACKS and run `manage.py services "
                "reencrypt`, or set them anew in the admin."
            ),
            **values,
        )
    if found.is_wanted and not found.has_supervisor:
        yield problem(
            "supervisor",
            gettext_noop("{name} should run, and nothing supervises it."),
            gettext_noop("Start `manage.py supervise`, or `manage.py serve`."),
            **values,
        )
    elif found.is_wanted and found.status == "error":
        yield problem(
            "service",
            gettext_noop("{name} was given up: {error}"),
            gettext_noop("See `manage.py services logs {name}`, then `services start {name}`."),
            **values,
        )


def _judge_health(found: ServiceFacts) -> Iterator[Finding]:
    values = {"name": found.name, "error": found.error}
    for pid in found.frozen:
        yield warning(
            "service",
            gettext_noop("{name}: its process {pid} is frozen (SIGSTOP), and does not answer."),
            gettext_noop(
                "Let it go on (kill -CONT {pid}) or end it (kill -KILL {pid}): then it is started "
                "again."
            ),
            pid=pid,
            **values,
        )
    if found.frozen or not (found.is_wanted and found.has_supervisor):
        return
    if found.status == "unhealthy":
        yield warning(
            "service",
            gettext_noop("{name} is unhealthy: {error}"),
            gettext_noop("See `manage.py services health {name}`."),
            **values,
        )
    elif found.is_degraded:
        yield warning(
            "service",
            gettext_noop(
                "{name} is degraded: {answering} of its {replicas} processes passed the last check."
            ),
            gettext_noop("See `manage.py services health {name}`."),
            answering=found.answering,
            replicas=found.replicas,
            **values,
        )
