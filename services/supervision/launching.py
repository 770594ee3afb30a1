"""How a service's worker is started: its command line, and a clean environment."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext_noop

from agents.runs.worker_process import command_of, with_sdk
from agents.runtime import logs
from services.catalogue import secrets
from services.catalogue.environment import harmless
from services.logs.logfiles import path_of
from services.models import Instance, Service
from services.supervision.launchers import LaunchFailed, LaunchSpec

PASSED = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ"),
        *("TMPDIR", "TMP", "TEMP", "VIRTUAL_ENV", "PYTHONUNBUFFERED"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
        *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
    }
)
"""The supervisor's variables that a worker gets."""

PASSED_PREFIXES = ("LC_", "OPENAI_", "LLM_")


def launch_spec(instance: Instance, parent_fd: int | None = None) -> LaunchSpec:
    """Raises `ServiceError` if the service's environment can't be read.

    `parent_fd`: the read end of a pipe; the worker ends when nobody holds its other end.
    """
    service = instance.service
    options = [] if parent_fd is None else [f"--parent-fd={parent_fd}"]
    if logs.is_debug():
        options.append("--debug")
    return LaunchSpec(
        instance_id=instance.pk,
        command=command_of(
            service.agent_factory_path, instance.pk, *options, python=service.python
        ),
        environment=with_sdk(_clean(os.environ) | _own(service)),
        folder=_here(),
        log=path_of(service.pk, instance.pk),
        inherited=() if parent_fd is None else (parent_fd,),
    )


def content_hash(path: str) -> str:
    """SHA-256 of the file, in hexadecimal; empty if it can't be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _clean(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables passed on: none of the site's own, whatever `MYAGENT_PASS_ENV` names."""
    names = (PASSED | set(settings.MYAGENT_PASS_ENV)) - set(settings.SITE_VARIABLES)
    return {
        name: value
        for name, value in environment.items()
        if name in names or name.startswith(PASSED_PREFIXES)
    }


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
