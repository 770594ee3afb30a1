"""How a service's worker is started: its command line, and a clean environment."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext_noop

from agents.runs.worker_process import command_of, environment_for, is_passed
from agents.runtime import logs
from myagent.env_file import EnvFileError
from services.catalogue import secrets
from services.catalogue.environment import harmless
from services.logs.logfiles import path_of
from services.models import Instance, Service
from services.supervision.decision import MEMORY_HARD
from services.supervision.launchers import (
    ConfigurationRefused,
    LaunchFailed,
    LaunchSpec,
    Sockets,
)
from services.supervision.launchers.sockets import UNIX_SOCKETS

UNTOUCHED_MB = 1024
"""Megabytes that a process may reserve without using them.

They count towards the system's limit, but are not used memory: the stacks of about a hundred
threads, 8 MB each, and the heaps of allocators.
"""


def launch_spec(
    instance: Instance, sockets: Sockets = UNIX_SOCKETS, parent_fd: int | None = None
) -> LaunchSpec:
    """Raises `ServiceError` if the service's environment, or the file's, can't be read.

    `sockets`: where it is to listen. `parent_fd`: the read end of a pipe; the worker ends when
    nobody holds its other end.
    """
    service = instance.service
    options = [] if parent_fd is None else [f"--parent-fd={parent_fd}"]
    if logs.is_debug():
        options.append("--debug")
    environment, folder = _environment(service), _here()
    # Last: whoever starts the process closes what it is handed.
    place = sockets.place(instance.pk)
    options += place.options
    return LaunchSpec(
        instance_id=instance.pk,
        command=command_of(
            service.agent_factory_path, instance.pk, *options, python=service.python
        ),
        environment={**environment, **place.environment},
        folder=folder,
        log=path_of(service.pk, instance.pk),
        inherited=() if parent_fd is None else (parent_fd,),
        handed=place.handed,
        address=place.address,
        most_memory_mb=most_memory_mb(service.memory_limit_mb),
        tags=tuple(service.tags),
        memory_limit_mb=service.memory_limit_mb,
    )


def most_memory_mb(limit_mb: int | None) -> int | None:
    """The limit enforced by the system: above the supervisor's hard limit, but immediate."""
    return None if limit_mb is None else round(limit_mb * MEMORY_HARD) + UNTOUCHED_MB


def content_hash(path: str) -> str:
    """SHA-256 of the file, in hexadecimal; empty if it can't be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _environment(service: Service) -> dict[str, str]:
    passed = {name: value for name, value in os.environ.items() if is_passed(name)}
    # None of it tells of the site, whatever `MYAGENT_PASS_ENV` names.
    for name in settings.SITE_VARIABLES:
        passed.pop(name, None)
    try:
        return environment_for(service.agent_factory_path, passed, _own(service))
    except EnvFileError as error:
        raise ConfigurationRefused(error.sentence.template, **error.sentence.values) from error


def _own(service: Service) -> dict[str, str]:
    """The service's own variables, without stored ones that the present rules forbid."""
    return harmless(secrets.decrypt(service.environment))


def _here() -> Path:
    """The folder in which the supervisor was started: relative paths in settings refer to it."""
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise LaunchFailed(
            gettext_noop("The folder in which the supervisor was started is gone.")
        ) from error
