"""A job on its way to a cluster, on a thread of its own: uploads may take longer than a lease."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from services.supervision.launchers.ray_cluster import ClusterAway, JobRefused

logger = structlog.get_logger(__name__)


class Submission:
    """Begins at once. A process that ends leaves it, and the next one asks what became of it.

    `error`: why it did not succeed; `ClusterAway` if only the cluster knows.
    """

    def __init__(self, submit: Callable[[], None]) -> None:
        self.error: ClusterAway | JobRefused | None = None
        self._submit = submit
        self._thread = threading.Thread(target=self._run, name="submission of a job", daemon=True)
        self._thread.start()

    @property
    def is_under_way(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._submit()
        except (ClusterAway, JobRefused) as error:
            self.error = error
        except Exception as error:
            logger.exception("submission_failed")
            self.error = JobRefused(str(error))
