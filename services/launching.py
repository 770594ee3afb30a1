"""What a service's process is started with: its command line, and a clean environment."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext_noop

from services import secrets
from services.environment import harmless
from services.launchers import LaunchFailed, LaunchSpec
from services.logfiles import path_of
from services.models import Instance, Service

PASSED = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ"),
        *("TMPDIR", "TMP", "TEMP", "VIRTUAL_ENV", "PYTHONPATH", "PYTHONUNBUFFERED"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "DJANGO_SETTINGS_MODULE"),
        *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
    }
)
"""Variables of the supervisor's own that a service's process gets, besides the site's settings."""

PASSED_PREFIXES = ("LC_", "OPENAI_", "LLM_")


def launch_spec(instance: Instance) -> LaunchSpec:
    """Raises `ServiceError` if the service's environment can't be read."""
    service = instance.service
    return LaunchSpec(
        instance_id=instance.pk,
        command=[
            sys.executable,
            str(settings.BASE_DIR / "manage.py"),
            "runagent",
            f"--service={service.name}",
        ],
        environment=_clean(os.environ) | _own(service) | _config(service),
        folder=_here(),
        log=path_of(service.pk, instance.pk),
    )


def content_hash(path: str) -> str:
    """SHA-256 of the file, in hexadecimal; empty if it can't be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _clean(environment: Mapping[str, str]) -> dict[str, str]:
    names = PASSED | set(settings.SITE_VARIABLES) | set(settings.MYAGENT_PASS_ENV)
    return {
        name: value
        for name, value in environment.items()
        if name in names or name.startswith(PASSED_PREFIXES)
    }


def _own(service: Service) -> dict[str, str]:
    """What is set for it: but what was stored under other rules may not name another site."""
    return harmless(secrets.decrypt(service.environment))


def _config(service: Service) -> dict[str, str]:
    config = {
        "MYAGENT_MAX_SESSIONS": service.max_sessions,
        "MYAGENT_SESSION_TIMEOUT_S": service.session_timeout_s,
    }
    return {name: str(value) for name, value in config.items() if value is not None}


def _here() -> Path:
    """Where the supervisor was started: relative paths in settings mean the same everywhere."""
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise LaunchFailed(
            gettext_noop("The folder in which the supervisor was started is gone.")
        ) from error
