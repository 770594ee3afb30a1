"""Looks at the services' files and interpreters, for `service_files` to judge."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext_noop

from agents.runtime.process import is_stopped, pid_of
from myagent.sdk import sdk_folder
from myagent.sentence import Said
from services.catalogue import secrets
from services.catalogue.agent_files import is_exposed
from services.doctor import configuration, service_files
from services.doctor.finding import Finding
from services.doctor.looking_at_processes import living_supervisors
from services.doctor.service_files import AgentFile, Interpreter, ServiceFacts
from services.errors import ServiceError
from services.models import Instance, Service
from services.nodes import this_node
from services.supervision.supervisor_lease import is_anybody_in_charge, is_supervised_apart
from services.telling import told
from services.views import describing
from services.views.observers import Observers

MOST_BYTES = 16 * 1024 * 1024
"""Larger files are not parsed here."""

INTERPRETER_S = 45.0
"""Seconds in which an interpreter imports the SDK, on a busy machine too."""

PROBE = (
    "import myagent, myagent.worker.server, sys; assert sys.version_info >= (3, 11), sys.version; "
    "print(*sys.version_info[:2])"
)

VERSION = re.compile(rb"(?:^|\n)3 \d+\s*$")
"""What the probe prints last; a program that is no Python ends without."""


def look_at_services() -> Iterator[Finding]:
    # One that is frozen, or can't renew its lease, was named already.
    alive = {row.service_id for row in living_supervisors()}
    is_supervised = is_anybody_in_charge() or None in alive
    services = Service.objects.filter(unregistered_at__isnull=True).order_by("name")
    observers = Observers.read()
    for service in services:
        is_its = is_supervised or service.pk in alive or is_supervised_apart(service)
        yield from service_files.judge(_facts_of(service, observers, is_supervised=is_its))
    if settings.SECRET_KEY_FALLBACKS:
        yield configuration.judge_former_keys(
            [
                service.name
                for service in services
                if not secrets.is_under_present_key(service.environment)
                and _has_readable_variables(service)
            ]
        )


def _facts_of(service: Service, observers: Observers, *, is_supervised: bool) -> ServiceFacts:
    live = describing.live_instances(service)
    nodes = {instance.node for instance in live}
    is_here = not service.is_external and not (nodes and this_node() not in nodes)
    # Ray's nodes have interpreters of their own.
    has_own_python = is_here and settings.MYAGENT_LAUNCHER == "local"
    return ServiceFacts(
        name=service.name,
        file=file_of(service.agent_factory_path) if is_here else None,
        interpreter=interpreter_of(service.python or sys.executable) if has_own_python else None,
        nodes="" if is_here else ", ".join(sorted(nodes)),
        has_readable_variables=_has_readable_variables(service),
        status=service.status,
        error=told(service.error_message),
        is_wanted=service.desired == Service.Desired.RUNNING,
        has_supervisor=is_supervised,
        frozen=[pid_of(one.process) or 0 for one in live if is_stopped(one.process)],
        is_degraded=_is_degraded(service, live, observers),
        answering=sum(observers.health_of(one) == "healthy" for one in live),
        replicas=service.replicas,
    )


def _is_degraded(service: Service, live: Sequence[Instance], observers: Observers) -> bool:
    """Whether it runs and some of it misses checks, which `/health` tells too."""
    if service.status != Service.Status.RUNNING:
        return False
    return describing.health_of(service, live, observers) in ("degraded", "unhealthy")


def file_of(path: str) -> AgentFile:
    try:
        found = os.stat(path)
        if not os.path.isfile(path):
            return AgentFile(path, Said(gettext_noop("its agent file is not a file")))
        with open(path, "rb") as file:
            source = file.read(MOST_BYTES)
    except FileNotFoundError:
        return AgentFile(path, Said(gettext_noop("its agent file is gone")))
    except OSError as error:
        reason = {"reason": error.strerror or str(error)}
        return AgentFile(path, Said(gettext_noop("its agent file can't be read: {reason}"), reason))
    folders = [Path(folder).resolve() for folder in settings.MYAGENT_AGENT_DIRS]
    return AgentFile(
        path,
        None if len(source) == MOST_BYTES else _why_not_parsed(path, source),
        is_open_to_all=bool(found.st_mode & stat.S_IWOTH),
        is_exposed=is_exposed(found, user=os.geteuid(), group=os.getegid()),
        is_outside=bool(folders)
        and not any(Path(path).resolve().is_relative_to(folder) for folder in folders),
    )


def _why_not_parsed(path: str, source: bytes) -> Said | None:
    try:
        # Nothing of it is executed.
        compile(source, path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        values = {
            "line": getattr(error, "lineno", None) or 1,
            "reason": getattr(error, "msg", None) or str(error),
        }
        return Said(gettext_noop("line {line} of its agent file is wrong: {reason}"), values)
    return None


@cache
def interpreter_of(python: str) -> Interpreter:
    """Starts it, as a worker would be, to import the SDK."""
    try:
        # Not the site's own: nothing is made in its folder here.
        with tempfile.TemporaryDirectory(prefix="myagent-") as folder:
            done = subprocess.run(
                [python, "-P", "-c", PROBE],
                env={
                    "PATH": os.environ.get("PATH", os.defpath),
                    "PYTHONPATH": str(sdk_folder(Path(folder))),
                },
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=INTERPRETER_S,
                check=False,
            )
    except subprocess.TimeoutExpired:
        seconds = {"seconds": round(INTERPRETER_S)}
        return Interpreter(python, Said(gettext_noop("no answer within {seconds} s"), seconds))
    except OSError as error:
        return Interpreter(python, error.strerror or str(error))
    if not done.returncode:
        is_python = VERSION.search(done.stdout)
        return Interpreter(python, "" if is_python else Said(gettext_noop("it is no Python")))
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    return Interpreter(python, lines[-1][:300] if lines else f"exit status {done.returncode}")


def _has_readable_variables(service: Service) -> bool:
    try:
        secrets.decrypt(service.environment)
    except ServiceError:
        return False
    return True
