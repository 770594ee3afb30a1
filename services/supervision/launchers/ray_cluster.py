"""The job server of a Ray cluster, through Ray's own client: HTTP alone, nothing joins the cluster.

Synchronous, except `follow`; `submit` may be called by other threads than the rest.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from services.supervision.launchers.ray_job import MARK

TIMEOUT_S = 8.0
"""Seconds that the job server may be silent: passes of the supervisor wait, and its lease runs."""

SUBMIT_S = 60.0
"""The same while files are uploaded, for which nothing else waits."""

REASON_LENGTH = 800
"""Characters of the job server's message that are kept."""


STATUS = re.compile(r"status code (\d{3})\b")


class ClusterAway(Exception):
    """The job server did not answer, or lets nobody in at the moment: not a service's failure."""


class JobRefused(Exception):
    """The job server answered that it can't do what it was asked."""


@dataclass(frozen=True, slots=True)
class Job:
    """What Ray tells of a job. `host`: the address of its node, empty until it has one."""

    has_ended: bool
    is_waiting: bool
    host: str = ""
    exit_code: int | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Listed:
    """One of all jobs of a cluster. `mark`: of the site that submitted it, see `RayOptions`."""

    id: str
    mark: str
    has_ended: bool


class Cluster:
    """`address`: that of the job server, `http://HOST:8265`.

    Each call raises `ClusterAway` or `JobRefused`.
    """

    def __init__(self, address: str) -> None:
        # Takes seconds on a busy machine: later, a supervisor's lease would run meanwhile.
        importlib.import_module("ray.job_submission")
        self._address = address
        self._client: Any = None

    def greet(self) -> None:
        """Makes sure that the job server answers."""
        with _in_our_words():
            self._connected().get_version()

    def submit(self, arguments: Mapping[str, Any]) -> None:
        """Uploads what the job needs, which may take long, and queues it."""
        with _in_our_words():
            _patient_client(self._address, SUBMIT_S).submit_job(**arguments)

    def look(self, job_id: str) -> Job | None:
        """None if the cluster has no such job."""
        try:
            with _in_our_words():
                details = self._connected().get_job_info(job_id)
        except JobRefused as error:
            if is_unknown(job_id, error):
                return None
            raise
        return Job(
            has_ended=details.status.is_terminal(),
            is_waiting=details.status == "PENDING",
            host=urlsplit(details.driver_agent_http_address or "").hostname or "",
            exit_code=details.driver_exit_code,
            message=details.message or "",
        )

    def list_all(self) -> list[Listed]:
        """All that were ever submitted and are not forgotten, by whomever."""
        with _in_our_words():
            found = self._connected().list_jobs()
        return [
            Listed(
                each.submission_id, (each.metadata or {}).get(MARK, ""), each.status.is_terminal()
            )
            for each in found
            if each.submission_id
        ]

    def stop(self, job_id: str) -> None:
        """Sends SIGTERM to the job's processes, and SIGKILL soon after."""
        with _in_our_words():
            self._connected().stop_job(job_id)

    def forget(self, job_id: str) -> None:
        """Removes the job server's record of a job that has ended; its nodes' logs stay."""
        with _in_our_words():
            self._connected().delete_job(job_id)

    async def follow(self, job_id: str) -> AsyncIterator[str]:
        """All that the job has printed, in pieces, and what it prints until it has ended."""
        with _in_our_words():
            async for text in self._connected().tail_job_logs(job_id):
                yield text

    def _connected(self) -> Any:
        if self._client is None:
            self._client = _patient_client(self._address, TIMEOUT_S)
        return self._client


def is_unknown(job_id: str, error: JobRefused) -> bool:
    """Whether it says that there is no such job; a proxy's 404 says only that it has no page."""
    return f"{job_id} does not exist" in str(error)


def _patient_client(address: str, patience_s: float) -> Any:
    from ray.job_submission import JobSubmissionClient

    class Client(JobSubmissionClient):  # type: ignore[misc]
        """Ray's client waits forever for a server that accepts connections and does not answer."""

        def _do_request(self, method: str, endpoint: str, **options: Any) -> Any:
            return super()._do_request(method, endpoint, **{"timeout": patience_s} | options)

    return Client(address)


@contextmanager
def _in_our_words() -> Iterator[None]:
    try:
        yield
    except _signs_of_absence() as error:
        raise ClusterAway(str(error)[:REASON_LENGTH]) from error
    except _refusals() as error:
        raise as_told(str(error)) from error


def as_told(message: str) -> ClusterAway | JobRefused:
    """What an answer means, by its status: 5xx, 401 and 403 say nothing of what was asked."""
    found = STATUS.search(message)
    status = int(found[1]) if found else 0
    is_away = status >= 500 or status in (401, 403)
    return (ClusterAway if is_away else JobRefused)(message[:REASON_LENGTH])


def _signs_of_absence() -> tuple[type[Exception], ...]:
    """Those of its HTTP library are among the first; 401 and 403 with Ray's tokens are the last."""
    from ray.exceptions import AuthenticationError

    return OSError, AuthenticationError


def _refusals() -> tuple[type[Exception], ...]:
    """What Ray raises besides the documented RuntimeError, and its library for WebSockets."""
    import aiohttp
    from ray.exceptions import RayError

    return RuntimeError, ValueError, RayError, aiohttp.ClientError
