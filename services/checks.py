"""Checks of the settings for services, reported before anything starts."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import Error, register

from agents.checks import TAG

POSITIVE = (
    "MYAGENT_START_TIMEOUT_S",
    "MYAGENT_HEALTH_INTERVAL_S",
    "MYAGENT_HEALTH_TIMEOUT_S",
    "MYAGENT_HEALTH_HISTORY_S",
    "MYAGENT_LOG_BYTES",
)
CHOICES = {"MYAGENT_AUTH": ("open", "token"), "MYAGENT_SUPERVISOR": ("auto", "external")}


@register(TAG)
def check_numbers(**_: Any) -> list[Error]:
    return [
        Error(f"{name} must be greater than 0.", id="myagent.E011")
        for name in POSITIVE
        if not getattr(settings, name) > 0
    ] + [
        Error(f"{name} must not be negative.", id="myagent.E011")
        for name in ("MYAGENT_LOG_FILES", "MYAGENT_MAX_SESSIONS")
        if getattr(settings, name) < 0
    ]


@register(TAG)
def check_choices(**_: Any) -> list[Error]:
    return [
        Error(f"{name} must be one of: {', '.join(choices)}.", id="myagent.E012")
        for name, choices in CHOICES.items()
        if getattr(settings, name) not in choices
    ]
