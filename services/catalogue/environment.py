"""The environment variables of a service's workers: who may set which.

What is refused raises `services.errors.ServiceError`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from django.conf import settings
from django.utils.translation import gettext_noop

from myagent.agent_env import is_of_models
from services.fields import invalid, is_storable

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

OWN_PREFIX = "MYAGENT_"

PATH_OF_IMPORTS = "PYTHONPATH"
"""Tells a worker where the SDK is; its interpreter finds everything else."""

OWN = frozenset({"DJANGO_SETTINGS_MODULE", PATH_OF_IMPORTS})


def checked(environment: Mapping[str, str], *, is_confined: bool) -> dict[str, str]:
    """`is_confined`: only what `MYAGENT_ENV_ALLOWED` names may be set."""
    for name, value in environment.items():
        if not NAME.fullmatch(name) or not is_storable(value):
            raise invalid(
                "environment",
                gettext_noop("'{name}' can't be an environment variable with that value."),
                name=name[:100],
            )
        if name == PATH_OF_IMPORTS:
            raise invalid(
                "environment",
                gettext_noop(
                    "'{name}' is set by the site, so that its workers find the SDK. What the agent "
                    "imports is found beside its file, or installed for its interpreter (--python)."
                ),
                name=name,
            )
        if is_of_the_site(name):
            raise invalid(
                "environment",
                gettext_noop("'{name}' is a setting of the whole site: no service has its own."),
                name=name[:100],
            )
        if is_confined and not _is_allowed(name):
            raise invalid(
                "environment",
                gettext_noop(
                    "'{name}' can't be set from here: MYAGENT_ENV_ALLOWED doesn't name it."
                ),
                name=name[:100],
            )
    return dict(environment)


def harmless(environment: Mapping[str, str]) -> dict[str, str]:
    """The stored variables without those that would detach the processes from the site."""
    return {name: value for name, value in environment.items() if not is_of_the_site(name)}


def is_of_the_site(name: str) -> bool:
    """Whether the variable is meant only for the site's own processes."""
    if is_of_models(name):
        return False
    return name.startswith(OWN_PREFIX) or name in settings.SITE_VARIABLES or name in OWN


def _is_allowed(name: str) -> bool:
    """Whether the setting lists the name, or a prefix of it that ends in `*`."""
    return any(
        name.startswith(allowed[:-1]) if allowed.endswith("*") else name == allowed
        for allowed in settings.MYAGENT_ENV_ALLOWED
    )
