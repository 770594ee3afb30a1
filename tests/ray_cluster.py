"""A Ray cluster of two nodes for tests, on two loopback addresses, with files of its own.

Nodes have one CPU each. The first has the custom resource `alpha` and the job server, the second
has `beta`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen

import psutil

from tests.managed_site import living, until
from tests.ports import free_port

MARK = "MYAGENT_TEST_CLUSTER"
"""A variable that all processes of a cluster have, and nobody else."""

START_S = 300.0
"""Seconds that a node may take to start on a busy machine."""

ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class RayCluster:
    """`address`: of the job server. `hosts`: of the nodes with `alpha` and `beta`."""

    address: str
    folder: Path
    hosts: tuple[str, str] = ("127.0.0.2", "127.0.0.3")

    def jobs(self) -> dict[str, str]:
        """The states of all that it was ever asked to run and has not forgotten, by id."""
        with urlopen(f"{self.address}/api/jobs/", timeout=START_S) as answer:
            return {job["submission_id"]: job["status"] for job in json.load(answer)}

    def submit(self, job_id: str, command: str, **metadata: str) -> None:
        """Asks it to run something that is no site's."""
        job = {"submission_id": job_id, "entrypoint": command, "metadata": metadata}
        self._ask("POST", "", json.dumps(job).encode())

    def forget(self, job_id: str) -> None:
        self._ask("DELETE", job_id)

    def _ask(self, method: str, job_id: str, body: bytes | None = None) -> None:
        request = Request(f"{self.address}/api/jobs/{job_id}", data=body, method=method)
        request.add_header("Content-Type", "application/json")
        with urlopen(request, timeout=START_S):
            return

    def processes(self) -> list[psutil.Process]:
        return _processes_of(self.folder)


class NodeFailed(Exception):
    """A node did not start; the text is what Ray said."""


def _processes_of(folder: Path) -> list[psutil.Process]:
    return [process for process, environment in living() if environment.get(MARK) == str(folder)]


@contextmanager
def ray_cluster(environment: Path) -> Iterator[RayCluster]:
    """`environment`: the virtual environment with Ray."""
    # Ray's sockets are below it, and their paths must be short.
    folder = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))
    try:
        yield _started(folder, environment)
    finally:
        _end(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _started(folder: Path, environment: Path) -> RayCluster:
    """Ray gives a node half a minute to start, whatever else the machine does: tried again."""
    for attempt in range(ATTEMPTS):
        try:
            return _start_both(folder, environment)
        except NodeFailed:
            _end(folder)
            if attempt == ATTEMPTS - 1:
                raise
    raise AssertionError


def _start_both(folder: Path, environment: Path) -> RayCluster:
    port, jobs = free_port(), free_port()
    cluster = RayCluster(f"http://127.0.0.2:{jobs}", folder)
    head = ["--head", f"--port={port}", f"--ray-client-server-port={free_port()}"]
    head += ["--dashboard-host=127.0.0.2", f"--dashboard-port={jobs}"]
    member = [f"--address=127.0.0.2:{port}"]
    for host, resource, options in zip(
        cluster.hosts, ("alpha", "beta"), (head, member), strict=True
    ):
        place = [f"--node-ip-address={host}", f"--resources={json.dumps({resource: 1})}"]
        _start(cluster, environment, *place, *options)
    return cluster


def _start(cluster: RayCluster, environment: Path, *options: str) -> None:
    own = {
        MARK: str(cluster.folder),
        "PATH": f"{environment / 'bin'}:{os.environ['PATH']}",
        "RAY_USAGE_STATS_ENABLED": "0",
        # Else the variables of jobs are in its logs.
        "RAY_LOGGER_LEVEL": "warning",
    }
    said = subprocess.run(
        [
            *(environment / "bin" / "ray", "start", "--num-cpus=1", "--disable-usage-stats"),
            *(f"--temp-dir={cluster.folder}", f"--dashboard-agent-listen-port={free_port()}"),
            *("--min-worker-port=0", "--max-worker-port=0"),  # any
            *options,
        ],
        env=os.environ | own,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=START_S,
        check=False,
    )
    if said.returncode != 0:
        raise NodeFailed(said.stdout + said.stderr)


def _end(folder: Path) -> None:
    def are_gone() -> bool:
        left = _processes_of(folder)
        for process in left:
            with suppress(psutil.Error):
                process.send_signal(signal.SIGKILL)
        return not left

    until(are_gone, "the cluster gone")
