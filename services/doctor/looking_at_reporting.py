"""Looks at what the site tells of itself to others, for `reporting` to judge."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext_noop

from agents.runtime.listening import MAX_PORT
from myagent.sentence import Said
from myagent.worker.tcp import joined
from services.backups.mysql import DUMPERS
from services.doctor import reporting
from services.doctor.finding import Finding
from services.doctor.reporting import LogFile, MetricsPort, Receiver
from traces.exporting import destination

ANSWER_S = 3.0

OF_OURS = b"# HELP myagent_"
"""What our metrics have, and others have not."""

MOST_BYTES = 1024 * 1024
"""Of an answer that are read: it may be anybody's."""

DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""This machine's own ports are asked, whatever proxy its environment names."""


def look_at_reporting() -> Iterator[Finding]:
    yield from reporting.judge_base_path(settings.MYAGENT_BASE_PATH)
    yield from reporting.judge_metrics(metrics_port())
    yield from reporting.judge_log_file(log_file(settings.MYAGENT_LOG_FILE))
    yield from reporting.judge_errors(receiver_of_errors(settings.SENTRY_DSN))
    yield from reporting.judge_traces(receiver_of_traces())
    if not settings.IS_EMBEDDED:
        found = [name for name in DUMPERS if shutil.which(name)]
        yield reporting.judge_backups(found[0] if found else None)


def metrics_port() -> MetricsPort | None:
    """None if there is to be none."""
    host, port = settings.MYAGENT_METRICS_HOST, settings.MYAGENT_METRICS_PORT
    if not port:
        return None
    address = joined(host, port)
    is_exposed = False
    try:
        if not 0 < port <= MAX_PORT:
            # The system would truncate it to 16 bits.
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        [(family, kind, _, _, place), *_] = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        is_exposed = not ip_address(place[0]).is_loopback
        with socket.socket(family, kind) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(place)
    except OSError as error:
        if _tells_metrics(port):
            return MetricsPort(address, is_served=True, is_exposed=is_exposed)
        return MetricsPort(address, failure=_why_not(error))
    return MetricsPort(address, is_exposed=is_exposed)


def _why_not(error: OSError) -> str | Said:
    if error.errno == errno.EADDRINUSE:
        return Said(gettext_noop("something else has the port"))
    return error.strerror or str(error)


def _tells_metrics(port: int) -> bool:
    """Whether a server of ours has the port, of this site or of another on this machine."""
    hosts = {settings.MYAGENT_METRICS_HOST, "127.0.0.1"} - {"", "0.0.0.0", "::"}
    for host in hosts:
        try:
            with DIRECTLY.open(f"http://{joined(host, port)}/metrics", timeout=ANSWER_S) as answer:
                if OF_OURS in answer.read(MOST_BYTES):
                    return True
        except (OSError, ValueError, HTTPException):
            continue
    return False


def log_file(path: str) -> LogFile | None:
    """None if there is to be none."""
    if not path:
        return None
    file = Path(path).absolute()
    failure = ""
    if file.is_dir():
        failure = os.strerror(errno.EISDIR)
    elif not file.parent.is_dir():
        failure = os.strerror(errno.ENOENT)
    elif not os.access(file if file.exists() else file.parent, os.W_OK):
        failure = os.strerror(errno.EACCES)
    return LogFile(str(file), failure)


def receiver_of_errors(dsn: str) -> Receiver | None:
    """None if there is to be none. Nothing is sent."""
    if not dsn:
        return None
    # The extra is not everywhere.
    if find_spec("sentry_sdk") is None:
        return Receiver("", Said(gettext_noop("the package sentry-sdk is not installed."), {}))
    from sentry_sdk.utils import BadDsn, Dsn

    try:
        return Receiver(Dsn(dsn).host)
    except BadDsn as error:
        # It quotes nothing of what may be a secret.
        reason = {"reason": str(error)}
        return Receiver("", Said(gettext_noop("SENTRY_DSN can't be read: {reason}."), reason))


def receiver_of_traces() -> Receiver | None:
    """None if there is to be none, or if a setting is wrong, which the site's own checks say."""
    if not settings.MYAGENT_TRACE_EXPORT:
        return None
    try:
        to = destination.configured()
    except destination.DestinationError:
        return None
    parts = urlsplit(to.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), ANSWER_S).close()
    except OSError as error:
        return Receiver(to.host, error.strerror or str(error))
    return Receiver(to.host)
