"""Judges what the site tells of itself to others: metrics, logs, errors, traces. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields

from django.utils.translation import gettext_noop

from myagent.sentence import Said
from services.doctor.finding import Finding, fine, problem, warning


@dataclass(frozen=True, slots=True)
class MetricsPort:
    """`failure`: why no server can listen there, '' if one can, or does. `is_exposed`: at an
    address that other machines may reach.
    """

    address: str
    failure: str | Said = ""
    is_served: bool = False
    is_exposed: bool = False


@dataclass(frozen=True, slots=True)
class LogFile:
    """`failure`: why nothing can be added to it, '' if it can."""

    path: str
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Receiver:
    """Of errors or traces. `failure`: why it gets none, '' if nothing is in the way."""

    host: str
    failure: str | Said = ""


def judge_metrics(found: MetricsPort | None) -> Iterator[Finding]:
    if found is None:
        yield fine("metrics", gettext_noop("Metrics have no port of their own."))
        return
    values = {"address": found.address, "reason": found.failure}
    if found.failure:
        yield problem(
            "metrics",
            gettext_noop("No server can tell its metrics at {address}: {reason}."),
            gettext_noop(
                "Set MYAGENT_METRICS_PORT to a port that nothing else uses, and "
                "MYAGENT_METRICS_HOST to an address of this machine."
            ),
            **values,
        )
    elif found.is_exposed:
        yield warning(
            "metrics",
            gettext_noop("Other machines may read metrics at {address}, without a token."),
            gettext_noop(
                "Set MYAGENT_METRICS_HOST to an address that only Prometheus reaches, or let a "
                "firewall see to it."
            ),
            **values,
        )
    elif found.is_served:
        yield fine("metrics", gettext_noop("A server tells metrics at {address}."), **values)
    else:
        yield fine("metrics", gettext_noop("The port for metrics, {address}, is free."), **values)


def judge_log_file(found: LogFile | None) -> Iterator[Finding]:
    yield from _judge(
        found,
        "log_file",
        gettext_noop("Servers add their log to {path}."),
        gettext_noop("Nothing can be added to the log file {path}: {reason}."),
        gettext_noop(
            "Let the site's user write there, or change MYAGENT_LOG_FILE: servers do not start "
            "without it."
        ),
    )


def judge_errors(found: Receiver | None) -> Iterator[Finding]:
    """What SENTRY_DSN names."""
    yield from _judge(
        found,
        "sentry",
        gettext_noop("Errors are sent to {host}."),
        gettext_noop("No error is sent to Sentry: {reason}"),
        gettext_noop(
            "Copy SENTRY_DSN from Sentry as it is, and install what sends errors: "
            "`pip install 'myagent-site[sentry]'`."
        ),
    )


def judge_traces(found: Receiver | None) -> Iterator[Finding]:
    """What OTEL_EXPORTER_OTLP_ENDPOINT names, where its settings are right."""
    yield from _judge(
        found,
        "otlp",
        gettext_noop("Traces are sent to {host}."),
        gettext_noop("The receiver of traces, {host}, can't be reached: {reason}."),
        gettext_noop(
            "See that it runs, and that OTEL_EXPORTER_OTLP_ENDPOINT names it. Traces stay at "
            "the site, and what it misses is sent later."
        ),
        failing=warning,
    )


def _judge(
    found: LogFile | Receiver | None,
    check: str,
    well: str,
    wrong: str,
    advice: str,
    *,
    failing: Callable[..., Finding] = problem,
) -> Iterator[Finding]:
    """Nothing where nothing was asked for. The texts may name its fields, and the `reason`."""
    if found is None:
        return
    values = {field.name: getattr(found, field.name) for field in fields(found)}
    reason = values.pop("failure")
    if reason:
        yield failing(check, wrong, advice, reason=reason, **values)
    else:
        yield fine(check, well, **values)


def judge_backups(program: str | None) -> Finding:
    """`program`: what `manage.py backup` calls here; None if it is not installed."""
    if program is None:
        return warning(
            "backups",
            gettext_noop("`manage.py backup` can't work here: mariadb-dump is not installed."),
            gettext_noop("Install mariadb-client, or default-mysql-client."),
        )
    return fine("backups", gettext_noop("`manage.py backup` calls {program}."), program=program)


def judge_base_path(base: str) -> Iterator[Finding]:
    if base:
        yield fine("base_path", gettext_noop("The site is at {base}/ of its host."), base=base)
