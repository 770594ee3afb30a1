"""Checks of the settings for services, reported before anything starts."""

from __future__ import annotations

import importlib.util
import json
from typing import Any

from django.conf import settings
from django.core.checks import Error, register
from django.utils.translation import gettext

from agents.checks import TAG
from agents.runtime.listening import MAX_PORT

POSITIVE = (
    "MYAGENT_START_TIMEOUT_S",
    "MYAGENT_HEALTH_INTERVAL_S",
    "MYAGENT_HEALTH_TIMEOUT_S",
    "MYAGENT_HEALTH_HISTORY_S",
    "MYAGENT_LOG_BYTES",
)


@register(TAG)
def check_numbers(**_: Any) -> list[Error]:
    return [
        Error(gettext("{name} must be greater than 0.").format(name=name), id="myagent.E011")
        for name in POSITIVE
        if not getattr(settings, name) > 0
    ] + [
        Error(gettext("{name} must not be negative.").format(name=name), id="myagent.E011")
        for name in ("MYAGENT_LOG_FILES", "MYAGENT_MAX_SESSIONS")
        if getattr(settings, name) < 0
    ]


@register(TAG)
def check_ports(**_: Any) -> list[Error]:
    port = settings.MYAGENT_METRICS_PORT
    if port <= MAX_PORT:
        return []
    sentence = gettext("MYAGENT_METRICS_PORT must be at most {most}, not {port}.")
    return [Error(sentence.format(most=MAX_PORT, port=port), id="myagent.E013")]


@register(TAG)
def check_ray(**_: Any) -> list[Error]:
    if settings.MYAGENT_LAUNCHER != "ray":
        return []
    sentences = []
    if importlib.util.find_spec("ray") is None:
        sentences.append(
            gettext("MYAGENT_LAUNCHER is ray, which is not installed: pip install 'ray[default]'.")
        )
    if not settings.RAY_ADDRESS.startswith(("http://", "https://")):
        sentences.append(
            gettext(
                "RAY_ADDRESS must be the address of the cluster's job server: http://HOST:8265."
            )
        )
    if not _is_runtime_env(settings.MYAGENT_RAY_ENV):
        sentences.append(gettext("MYAGENT_RAY_ENV must be a JSON object, Ray's runtime_env."))
    return [Error(sentence, id="myagent.E012") for sentence in sentences]


def _is_runtime_env(text: str) -> bool:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return False
    return isinstance(found, dict) and isinstance(found.get("env_vars", {}), dict)
