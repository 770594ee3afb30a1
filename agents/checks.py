"""Checks of the settings, reported before anything starts."""

from __future__ import annotations

import ipaddress
import logging
from typing import Any

from channels.exceptions import InvalidChannelLayerError
from channels.layers import get_channel_layer
from django.conf import settings
from django.core.checks import Error, register
from django.utils.translation import gettext

TAG = "myagent"

POSITIVE = (
    "MYAGENT_MESSAGE_BURST",
    "MYAGENT_QUEUE_LENGTH",
    "MYAGENT_RUN_TIMEOUT_S",
    "MYAGENT_CONFIRM_TIMEOUT_S",
    "MYAGENT_CANCEL_GRACE_S",
    "MYAGENT_SESSION_TIMEOUT_S",
    "MYAGENT_LIVE_SESSIONS",
    "MYAGENT_LIVE_TOKENS",
    "MYAGENT_CONTEXT_TOKENS",
    "MYAGENT_WORKER_WAIT_S",
    "MYAGENT_WORKER_STUCK_S",
    "MYAGENT_LEASE_S",
    "MYAGENT_RENEW_S",
    "MYAGENT_ADOPT_S",
    "MYAGENT_OWNER_IDLE_S",
    "MYAGENT_INBOX_DEADLINE_S",
    "MYAGENT_HEARTBEAT_S",
    "MYAGENT_OUTBOX_CHARACTERS",
    "MYAGENT_SLOW_CLIENT_S",
    "MYAGENT_HEADERS_TIMEOUT_S",
    "MYAGENT_BODY_TIMEOUT_S",
)
NOT_NEGATIVE = (
    "MYAGENT_MESSAGES_PER_SECOND",
    "MYAGENT_MESSAGES_PER_MINUTE",
    "MYAGENT_SERVICE_MESSAGES_PER_MINUTE",
    "MYAGENT_RUNS_AT_ONCE",
    "MYAGENT_SEARCHES_PER_MINUTE",
    "MYAGENT_CONNECTIONS_PER_ADDRESS",
    "MYAGENT_SESSIONS_PER_CONNECTION",
    "MYAGENT_SHUTDOWN_GRACE_S",
)


@register(TAG)
def check_numbers(**_: Any) -> list[Error]:
    errors = [
        Error(gettext("{name} must be greater than 0.").format(name=name), id="myagent.E001")
        for name in POSITIVE
        if not getattr(settings, name) > 0
    ]
    errors += [
        Error(gettext("{name} must not be negative.").format(name=name), id="myagent.E001")
        for name in NOT_NEGATIVE
        if not getattr(settings, name) >= 0
    ]
    if round(settings.MYAGENT_RENEW_S * 3 - settings.MYAGENT_LEASE_S, 6) > 0:
        hint = gettext(
            "A server must have three chances to renew its lease, and learn that it has missed one "
            "before the lease of another is over."
        )
        errors.append(
            Error(
                gettext("MYAGENT_RENEW_S must be at most a third of MYAGENT_LEASE_S."),
                hint=hint,
                id="myagent.E002",
            )
        )
    return errors


@register(TAG)
def check_channel_layer(**_: Any) -> list[Error]:
    try:
        get_channel_layer()
    except (ImportError, InvalidChannelLayerError) as error:
        hint = gettext("scripts/bootstrap --production installs what it needs.")
        message = gettext("REDIS_URL can't be used: {error}").format(error=error)
        return [Error(message, hint=hint, id="myagent.E005")]
    return []


@register(TAG)
def check_names(**_: Any) -> list[Error]:
    errors = []
    for network in settings.MYAGENT_TRUSTED_PROXIES:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError:
            message = gettext(
                "MYAGENT_TRUSTED_PROXIES: '{network}' is no address or network."
            ).format(network=network)
            errors.append(Error(message, id="myagent.E003"))
    if settings.MYAGENT_LOG_LEVEL.upper() not in logging.getLevelNamesMapping():
        message = gettext("MYAGENT_LOG_LEVEL: there is no level '{level}'.").format(
            level=settings.MYAGENT_LOG_LEVEL
        )
        errors.append(Error(message, id="myagent.E004"))
    return errors
