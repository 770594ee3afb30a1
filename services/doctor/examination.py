"""Examines everything, in order, and within a bounded time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import structlog
from django.conf import settings
from django.utils.translation import gettext_noop

from agents.runtime.explaining import explain_to_reader
from services.doctor import configuration
from services.doctor.asking_database import look_at_database
from services.doctor.bounded import within
from services.doctor.configuration import Configuration
from services.doctor.deployment import look_at_checks
from services.doctor.finding import Finding, Level, problem, warning
from services.doctor.looking_at_names import look_at_names
from services.doctor.looking_at_one_site import look_at_one_site
from services.doctor.looking_at_processes import look_at_processes
from services.doctor.looking_at_registering import look_at_registering
from services.doctor.looking_at_reporting import look_at_reporting
from services.doctor.looking_at_services import look_at_services
from services.doctor.looking_at_settings_file import look_at_settings_file
from services.doctor.measuring import look_at_disks
from services.doctor.redis_server import look_at_redis

logger = structlog.get_logger(__name__)

LOOK_S = 20.0
"""Seconds for a look that waits for others, such as the database."""

WORK_S = 120.0
"""Seconds for a look that mostly computes: the site's checks, the services' interpreters."""

Look = Callable[[], Iterable[Finding]]


def examine() -> Iterator[Finding]:
    """Each finding as soon as it is there. What needs the database is left out without it."""
    for judge in configuration.JUDGES:
        yield from _guarded("settings", partial(_judged, judge))
    yield from _guarded("settings", look_at_settings_file)
    yield from _guarded("settings", look_at_names)
    yield from _guarded("settings", look_at_registering)
    yield from _guarded("check", look_at_checks, within_s=WORK_S)
    yield from _guarded("reporting", look_at_reporting)
    yield from _guarded("disk", look_at_disks)
    yield from _guarded("redis", lambda: look_at_redis(settings.REDIS_URL))
    asked = _guarded("database", look_at_database)
    yield from asked
    if any(_keeps_from_reading(finding) for finding in asked):
        return
    yield from _guarded("processes", look_at_processes)
    yield from _guarded("one_site", look_at_one_site)
    yield from _guarded("services", look_at_services, within_s=WORK_S)


def configuration_in_force() -> Configuration:
    file = Path(settings.VAR_DIR) / "secret_key"
    is_in_file = not settings.OPTION_VALUES["SECRET_KEY"] and file.exists()
    return Configuration(
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


def _judged(judge: Callable[[Configuration], Iterator[Finding]]) -> Iterator[Finding]:
    return judge(configuration_in_force())


def _guarded(check: str, look: Look, *, within_s: float = LOOK_S) -> list[Finding]:
    """What hangs or fails is a finding too, and does not keep others from being found."""
    found: list[Finding] = []

    def collect() -> None:
        for each in look():
            found.append(each)

    try:
        within(within_s, collect)
    except TimeoutError:
        return [*found, _overdue(check, within_s)]
    except Exception as error:
        logger.warning("examination_failed", check=check, exc_info=True)
        name, said = type(error).__name__, explain_to_reader(error)
        return [
            *found,
            problem(
                check,
                gettext_noop("It could not be looked at: {reason}"),
                gettext_noop("See to the other problems first, then examine again."),
                reason=said if said == name else f"{name}: {said}",
            ),
        ]
    return found


def _overdue(check: str, within_s: float) -> Finding:
    if within_s == WORK_S:
        return warning(
            check,
            gettext_noop("Not looked at to the end within {seconds} s."),
            gettext_noop("This machine may be busy: examine again when it is not."),
            seconds=round(within_s),
        )
    return problem(
        check,
        gettext_noop("No answer within {seconds} s."),
        gettext_noop("See whether what it is about hangs, and the network to it."),
        seconds=round(within_s),
    )


def _keeps_from_reading(finding: Finding) -> bool:
    return finding.level == Level.PROBLEM and finding.check in ("database", "migrations")
