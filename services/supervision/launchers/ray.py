"""Instances as jobs of a Ray cluster, which chooses the node for each.

A job has its instance's id, so that the next supervisor finds it. The supervisor only asks the
cluster's job server; the workers listen on their nodes and are dialled there, like any others on
another machine. Processes of this machine, which were launched before the site used Ray or are
kept by commands, are handled by the launcher for those.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog
from django.utils.translation import gettext_noop

from agents.runs.remote import address_of
from services.logs.logfiles import tail
from services.supervision.launchers import LaunchFailed, LaunchPostponed, LaunchSpec, Polled
from services.supervision.launchers.local import LocalLauncher
from services.supervision.launchers.ray_cluster import Cluster, ClusterAway, Job, JobRefused
from services.supervision.launchers.ray_job import RayOptions, job_of
from services.supervision.launchers.ray_leftovers import Leftovers
from services.supervision.launchers.ray_output import Output, add
from services.supervision.launchers.ray_submission import Submission
from services.supervision.launchers.sockets import AnyPort

logger = structlog.get_logger(__name__)

LOOK_S = 1.0
"""Seconds between two questions about one job."""

AWAY_S = 5.0
"""Seconds without any question after the job server did not answer."""

STOP_AGAIN_S = 5.0
"""Seconds until an instance that is still there is stopped again."""

LAST_WORDS_S = 10.0
"""Seconds after a job's end in which its output is waited for: its node may be gone as well."""

HANDLE = "ray:"


@dataclass(slots=True)
class _Watched:
    """What is known of an instance. `job` is None until the cluster has told about it."""

    job: Job | None = None
    looked_at: float = float("-inf")
    stopped_at: float = float("-inf")
    is_unknown: bool = False
    ended_at: float | None = None
    is_over: bool = False

    @property
    def is_alive(self) -> bool:
        if self.is_unknown or self.job is None:
            return not self.is_unknown
        # Ray starts a stopped job that waits only to end it, once a node has room for it.
        is_cancelled = self.job.is_waiting and self.stopped_at > float("-inf")
        return not (self.job.has_ended or is_cancelled)

    def as_ended(self, instance_id: str) -> Polled:
        exit_code = None if self.job is None else self.job.exit_code
        return Polled(HANDLE + instance_id, None, is_alive=False, exit_code=exit_code)


class RayLauncher:
    """A `Launcher` for a Ray cluster.

    `log_of`: the log file of an instance. `living`: see `Leftovers`.
    """

    def __init__(
        self,
        cluster: Cluster,
        options: RayOptions,
        log_of: Callable[[str], Path],
        living: Callable[[], Collection[str]],
    ) -> None:
        self.sockets = AnyPort()
        self._local = LocalLauncher()
        self._cluster = cluster
        self._options = options
        self._log_of = log_of
        self._output = Output(cluster)
        self._leftovers = Leftovers(cluster, options.mark, living)
        self._is_tidy_known_to_fail = False
        self._watched: dict[str, _Watched] = {}
        self._away_until = float("-inf")
        self._submissions: dict[str, Submission] = {}

    def launch(self, spec: LaunchSpec) -> Polled:
        job = job_of(spec, self._options)
        if self._is_away:
            raise LaunchPostponed
        try:
            self._cluster.greet()
        except ClusterAway as error:
            self._note_away(error)
            raise LaunchPostponed from error
        except JobRefused as error:
            raise LaunchFailed(
                gettext_noop("The Ray cluster refused the process: {reason}"), reason=str(error)
            ) from error
        self._submissions[spec.instance_id] = Submission(partial(self._cluster.submit, job))
        return Polled(HANDLE + spec.instance_id, None, is_alive=True)

    def poll(self, instance_id: str, handle: str) -> Polled:
        if _is_local(handle):
            return self._local.poll(instance_id, handle)
        watched = self._watched.setdefault(instance_id, _Watched())
        if watched.is_over:
            return watched.as_ended(instance_id)
        if (submission := self._submissions.get(instance_id)) is not None:
            if submission.is_under_way:
                return Polled(HANDLE + instance_id, None, is_alive=True)
            del self._submissions[instance_id]
            if isinstance(submission.error, JobRefused):
                watched.is_unknown = True
                return self._ended(instance_id, watched, str(submission.error))
        self._look(instance_id, watched)
        host = "" if watched.job is None else watched.job.host
        if host and not watched.is_unknown:
            self._output.follow(instance_id, self._log_of)
        if not watched.is_alive and not self._is_still_printing(instance_id, watched):
            job = watched.job
            # One without a node never got as far as printing anything.
            reason = "" if job is None or job.host else job.message
            return self._ended(instance_id, watched, reason)
        port = self._output.port_of(instance_id)
        address = "" if port is None else address_of(host, port)
        return Polled(HANDLE + instance_id, None, is_alive=True, address=address)

    def terminate(self, instance_id: str, handle: str, *, by_force: bool) -> None:
        """Without force nothing: the supervisor asks a worker on another machine over its link."""
        if _is_local(handle):
            self._local.terminate(instance_id, handle, by_force=by_force)
            return
        if not by_force or self._is_away:
            return
        watched = self._watched.setdefault(instance_id, _Watched())
        if watched.is_over:
            del self._watched[instance_id]
        try:
            if watched.job is not None and watched.job.has_ended:
                self._cluster.forget(instance_id)
            elif time.monotonic() - watched.stopped_at >= STOP_AGAIN_S:
                self._cluster.stop(instance_id)
                watched.stopped_at = time.monotonic()
        except ClusterAway as error:
            self._note_away(error)
        except JobRefused as error:
            # It has just ended, or has not been submitted yet.
            logger.info("job_not_stopped", instance_id=instance_id, error=str(error))

    def tidy(self) -> None:
        if self._is_away:
            return
        try:
            self._leftovers.tidy()
        except (ClusterAway, JobRefused) as error:
            if not self._is_tidy_known_to_fail:
                logger.warning("jobs_not_tidied", error=str(error))
            self._is_tidy_known_to_fail = True
        else:
            self._is_tidy_known_to_fail = False

    def logs(self, log: Path, lines: int) -> Sequence[str]:
        return tail(log, lines)

    def close(self) -> None:
        self._output.close()

    def _ended(self, instance_id: str, watched: _Watched, reason: str) -> Polled:
        watched.is_over = True
        self._output.leave(instance_id)
        if reason:
            add(self._log_of(instance_id), f"{reason}\n")
        return watched.as_ended(instance_id)

    def _is_still_printing(self, instance_id: str, watched: _Watched) -> bool:
        """Whether an ended job's last words are on their way: an instance has them when it ends."""
        self._output.note_end(instance_id)
        if watched.is_unknown or self._output.is_complete(instance_id):
            return False
        if watched.ended_at is None:
            watched.ended_at = time.monotonic()
        return time.monotonic() - watched.ended_at < LAST_WORDS_S

    def _look(self, instance_id: str, watched: _Watched) -> None:
        """Asks, if it is time; what was last known stays while the cluster does not answer."""
        now = time.monotonic()
        if self._is_away or now - watched.looked_at < LOOK_S:
            return
        watched.looked_at = now
        try:
            job = self._cluster.look(instance_id)
        except ClusterAway as error:
            self._note_away(error)
        except JobRefused as error:
            logger.warning("job_not_seen", instance_id=instance_id, error=str(error))
        else:
            watched.job, watched.is_unknown = job or watched.job, job is None

    @property
    def _is_away(self) -> bool:
        return time.monotonic() < self._away_until

    def _note_away(self, error: ClusterAway) -> None:
        self._away_until = time.monotonic() + AWAY_S
        logger.warning("ray_does_not_answer", error=str(error))


def _is_local(handle: str) -> bool:
    return bool(handle) and not handle.startswith(HANDLE)
