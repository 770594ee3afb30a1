"""Sends errors of the site's own processes to Sentry, where that is set up.

What is sent is where it failed: no text of people, models or tools, no variables, no addresses of
clients. Workers send nothing: their code is somebody else's.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured

LEFT_OUT = ("request", "user", "extra", "breadcrumbs", "modules")


def set_up(dsn: str, version: str) -> None:
    """Raises `ImproperlyConfigured`, also if the extra is not installed."""
    if not dsn:
        return
    try:
        import sentry_sdk
        from sentry_sdk.integrations.logging import LoggingIntegration
        from sentry_sdk.utils import BadDsn
    except ImportError as error:
        raise ImproperlyConfigured(
            "SENTRY_DSN is set, but what sends errors is not installed: "
            "pip install 'myagent-site[sentry]'."
        ) from error
    try:
        sentry_sdk.init(
            dsn,
            release=version,
            send_default_pii=False,
            include_local_variables=False,
            include_source_context=False,
            max_breadcrumbs=0,
            traces_sample_rate=None,
            # Others would watch requests and statements, which have texts in them.
            default_integrations=False,
            auto_enabling_integrations=False,
            integrations=[LoggingIntegration(level=None)],
            before_send=_without_texts,
        )
    except BadDsn as error:
        raise ImproperlyConfigured("SENTRY_DSN is not an address as Sentry gives it.") from error


def _without_texts(event: Any, hint: Any) -> Any:
    """An event of ours is named by its first word; what an exception says may quote people."""
    for name in LEFT_OUT:
        event.pop(name, None)
    entry = event.get("logentry")
    if entry is not None:
        name, fields = _event_and_fields(hint)
        event["logentry"] = {"message": name, "formatted": name}
        event["tags"] = {**event.get("tags", {}), **fields}
    for exception in event.get("exception", {}).get("values", ()):
        exception["value"] = ""
    return event


IDS = ("request_id", "session_id", "run_id", "service", "work", "recorder")
"""Fields of a log line that name things, and quote nobody."""


def _event_and_fields(hint: Any) -> tuple[str, dict[str, str]]:
    record = hint.get("log_record")
    said = getattr(record, "msg", "")
    if isinstance(said, dict):
        found = {name: str(said[name]) for name in IDS if said.get(name)}
        return str(said.get("event", "")), found
    return str(getattr(record, "name", "")), {}
