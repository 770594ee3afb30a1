"""Examines everything, in order, and within a bounded time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import structlog
from django.conf import settings
from django.utils.translation import gettext_noop

from services.doctor import configuration
from services.doctor.asking_database import look_at_database
from services.doctor.bounded import within
from services.doctor.configuration import Configuration
from services.doctor.deployment import look_at_checks
from services.doctor.finding import Finding, Level, problem
from services.doctor.looking_at_one_site import look_at_one_site
from services.doctor.looking_at_processes import look_at_processes
from services.doctor.looking_at_reporting import look_at_reporting
from services.doctor.looking_at_services import look_at_services
from services.doctor.measuring import look_at_disks
from services.doctor.redis_server import look_at_redis

logger = structlog.get_logger(__name__)

LOOK_S = 20.0
"""Seconds for each look but that at the services, which starts their interpreters."""

SERVICES_S = 120.0

Look = Callable[[], Iterable[Finding]]


def examine() -> Iterator[Finding]:
    """Each finding as soon as it is there. What needs the database is left out without it."""
    yield from _guarded("settings", look_at_settings)
    yield from _guarded("check", look_at_checks)
    yield from _guarded("reporting", look_at_reporting)
    yield from _guarded("disk", look_at_disks)
    yield from _guarded("redis", lambda: look_at_redis(settings.REDIS_URL))
    asked = _guarded("database", look_at_database)
    yield from asked
    if any(_keeps_from_reading(finding) for finding in asked):
        return
    yield from _guarded("processes", look_at_processes)
    yield from _guarded("one_site", look_at_one_site)
    yield from _guarded("services", look_at_services, within_s=SERVICES_S)


def look_at_settings() -> Iterator[Finding]:
    file = Path(settings.VAR_DIR) / "secret_key"
    is_in_file = not settings.OPTION_VALUES["SECRET_KEY"] and file.exists()
    return configuration.judge(
        Configuration(
            secret_key=settings.SECRET_KEY,
            fallback_keys=[str(key) for key in settings.SECRET_KEY_FALLBACKS],
            key_file=str(file),
            key_file_mode=file.stat().st_mode if is_in_file else None,
            is_debug=settings.DEBUG,
            hosts=settings.SITE_HOSTS,
            origins=settings.MYAGENT_ALLOWED_ORIGINS,
            trusted_proxies=settings.MYAGENT_TRUSTED_PROXIES,
            is_open=settings.MYAGENT_AUTH == "open",
        )
    )


def _guarded(check: str, look: Look, *, within_s: float = LOOK_S) -> list[Finding]:
    """What hangs or fails is a finding too, and does not keep others from being found."""
    try:
        return within(within_s, lambda: list(look()))
    except TimeoutError:
        return [
            problem(
                check,
                gettext_noop("No answer within {seconds} s."),
                gettext_noop("See whether what it is about hangs, and the network to it."),
                seconds=round(within_s),
            )
        ]
    except Exception as error:
        logger.debug("examination_failed", check=check, exc_info=True)
        return [
            problem(
                check,
                gettext_noop("It could not be looked at: {reason}"),
                gettext_noop("See to the other problems first, then examine again."),
                reason=f"{type(error).__name__}: {error}",
            )
        ]


def _keeps_from_reading(finding: Finding) -> bool:
    return finding.level == Level.PROBLEM and finding.check in ("database", "migrations")
