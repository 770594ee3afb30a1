"""What the launcher for Ray makes of a job server's answers, its silence and its refusals.

`test_ray_cluster` shows it on a real cluster.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from agents.runtime.process import identity_of
from services.supervision.launchers import (
    LaunchFailed,
    LaunchPostponed,
    LaunchSpec,
    ray_leftovers,
    ray_output,
)
from services.supervision.launchers import ray as ray_launcher
from services.supervision.launchers.ray import RayLauncher
from services.supervision.launchers.ray_cluster import ClusterAway, Job, JobRefused, Listed
from services.supervision.launchers.ray_job import RayOptions
from tests.managed_site import until

WAITING = Job(has_ended=False, is_waiting=True, message="It may be waiting for resources.")
RUNNING = Job(has_ended=False, is_waiting=False, host="127.0.0.3")
HEAD = "2026-11-28T10:00:00Z info     listening host='0.0.0.0' port=43211\n"


def ended(status: int | None) -> Job:
    return Job(has_ended=True, is_waiting=False, host="127.0.0.3", exit_code=status)


class Board:
    """A job server in memory. `calls`: what it was asked to change."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.printed: dict[str, str] = {}
        self.calls: list[tuple[str, str]] = []
        self.asked = 0
        self.failure: Exception | None = None
        self.refusal: Exception | None = None
        self.uploads = threading.Event()
        self.uploads.set()
        self.cuts: list[Exception | None] = []
        """How its streams end, one after another, after what is printed: by None normally."""
        self.is_slow = False
        """Whether the output of ended jobs takes its time."""

    def greet(self) -> None:
        self._fail()

    def submit(self, arguments: Mapping[str, Any]) -> None:
        self.uploads.wait(60)
        if self.refusal is not None:
            raise self.refusal
        self.calls.append(("submit", arguments["submission_id"]))
        self.jobs[arguments["submission_id"]] = WAITING

    def look(self, job_id: str) -> Job | None:
        self.asked += 1
        self._fail()
        return self.jobs.get(job_id)

    def list_all(self) -> list[Listed]:
        self.asked += 1
        self._fail()
        return [Listed(id_, "ours", job.has_ended) for id_, job in self.jobs.items()]

    def stop(self, job_id: str) -> None:
        self._fail()
        if job_id not in self.jobs:
            raise JobRefused("status code 404")
        self.calls.append(("stop", job_id))

    def forget(self, job_id: str) -> None:
        self._fail()
        self.calls.append(("forget", job_id))

    async def follow(self, job_id: str) -> AsyncIterator[str]:
        sent, has_ended = 0, False
        while not has_ended:
            has_ended = self.jobs[job_id].has_ended and not self.is_slow
            text = self.printed.get(job_id, "")
            if len(text) > sent:
                yield text[sent:]
                sent = len(text)
            if self.cuts:
                if (cut := self.cuts.pop(0)) is not None:
                    raise cut
                return
            await asyncio.sleep(0.01)

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure


@pytest.fixture
def board() -> Board:
    return Board()


@pytest.fixture
def launcher(
    board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RayLauncher]:
    monkeypatch.setattr(ray_launcher, "LOOK_S", 0.0)
    made = RayLauncher(
        board,  # type: ignore[arg-type]
        RayOptions(mark="ours"),
        lambda instance_id: tmp_path / f"{instance_id}.log",
        lambda: (),
    )
    yield made
    made.close()


@pytest.fixture
def spec(tmp_path: Path) -> LaunchSpec:
    return LaunchSpec(
        instance_id="one",
        command=(sys.executable, "-P", "-m", "myagent.worker", "/srv/agent.py"),
        environment={"PYTHONPATH": "/srv/sdk"},
        folder=tmp_path,
        log=tmp_path / "one.log",
    )


def submitted(board: Board, launcher: RayLauncher, spec: LaunchSpec) -> str:
    """The handle of an instance that the cluster has."""
    handle = launcher.launch(spec).handle
    # A look at the job says that its submission is over.
    until(lambda: launcher.poll(spec.instance_id, handle) and board.asked)
    return handle


def test_an_instance_lives_while_it_waits_for_a_node(
    board: Board, launcher: RayLauncher, spec: LaunchSpec
) -> None:
    handle = submitted(board, launcher, spec)
    assert board.calls == [("submit", "one")]
    polled = launcher.poll("one", handle)
    assert polled.is_alive
    assert not polled.address


def test_a_worker_is_dialled_at_its_node_at_the_port_that_it_printed(
    board: Board, launcher: RayLauncher, spec: LaunchSpec
) -> None:
    handle = submitted(board, launcher, spec)
    board.jobs["one"] = RUNNING
    assert launcher.poll("one", handle).is_alive
    board.printed["one"] = HEAD + "hello\n"
    until(lambda: launcher.poll("one", handle).address)
    assert launcher.poll("one", handle).address == "tcp://127.0.0.3:43211"
    until(lambda: list(launcher.logs(spec.log, 1)) == ["hello"])


def test_the_next_supervisor_finds_a_job_by_the_id_of_its_instance(
    board: Board, launcher: RayLauncher
) -> None:
    board.jobs["one"], board.printed["one"] = RUNNING, HEAD
    polled = launcher.poll("one", "")
    assert polled.is_alive
    assert polled.handle
    until(lambda: launcher.poll("one", polled.handle).address)


def test_an_ended_job_has_its_status_and_its_last_words(
    board: Board, launcher: RayLauncher, spec: LaunchSpec
) -> None:
    handle = submitted(board, launcher, spec)
    board.printed["one"] = HEAD + "no such file\n"
    board.jobs["one"] = ended(78)
    until(lambda: not launcher.poll("one", handle).is_alive)
    assert launcher.poll("one", handle).exit_code == 78
    assert launcher.logs(spec.log, 1) == ["no such file"]


@pytest.mark.parametrize("cut", [None, KeyError("unforeseen")])
def test_output_whose_stream_ends_before_its_job_is_followed_again(
    board: Board,
    launcher: RayLauncher,
    spec: LaunchSpec,
    monkeypatch: pytest.MonkeyPatch,
    cut: Exception | None,
) -> None:
    monkeypatch.setattr(ray_output, "AGAIN_S", 0.01)
    handle = submitted(board, launcher, spec)
    board.jobs["one"], board.printed["one"], board.cuts = RUNNING, HEAD, [cut]
    until(lambda: launcher.poll("one", handle).address and not board.cuts)
    board.printed["one"] += "after the cut\n"
    until(lambda: list(launcher.logs(spec.log, 1)) == ["after the cut"])
    board.jobs["one"] = ended(0)
    until(lambda: not launcher.poll("one", handle).is_alive)


def test_where_the_log_is_is_asked_once(board: Board, tmp_path: Path) -> None:
    asked: list[str] = []

    def log_of(instance_id: str) -> Path:
        asked.append(instance_id)
        return tmp_path / "one.log"

    board.jobs["one"] = RUNNING
    launcher = RayLauncher(board, RayOptions(), log_of, lambda: ())  # type: ignore[arg-type]
    for _ in range(3):
        launcher.poll("one", "ray:one")
    launcher.close()
    assert asked == ["one"]


def test_an_ended_job_whose_node_is_gone_is_not_waited_for_forever(
    board: Board, launcher: RayLauncher, spec: LaunchSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = submitted(board, launcher, spec)
    board.jobs["one"], board.is_slow = ended(None), True
    assert launcher.poll("one", handle).is_alive
    monkeypatch.setattr(ray_launcher, "LAST_WORDS_S", 0.0)
    assert not launcher.poll("one", handle).is_alive


def test_a_job_that_fails_before_it_has_a_node_says_why(
    board: Board, launcher: RayLauncher, spec: LaunchSpec
) -> None:
    handle = submitted(board, launcher, spec)
    board.jobs["one"] = Job(has_ended=True, is_waiting=False, message="pip failed")
    assert not launcher.poll("one", handle).is_alive
    assert launcher.logs(spec.log, 1) == ["pip failed"]


def test_the_cluster_keeps_nothing_of_an_instance_that_has_ended(
    board: Board, launcher: RayLauncher, spec: LaunchSpec
) -> None:
    handle = submitted(board, launcher, spec)
    # Also right after it was stopped.
    launcher.terminate("one", handle, by_force=True)
    board.jobs["one"] = ended(0)
    until(lambda: not launcher.poll("one", handle).is_alive)
    launcher.terminate("one", handle, by_force=True)
    assert board.calls[-2:] == [("stop", "one"), ("forget", "one")]


def test_a_job_is_stopped_by_force_alone_and_not_in_every_pass(
    board: Board, launcher: RayLauncher, spec: LaunchSpec
) -> None:
    handle = submitted(board, launcher, spec)
    board.jobs["one"] = RUNNING
    launcher.poll("one", handle)
    launcher.terminate("one", handle, by_force=False)
    assert ("stop", "one") not in board.calls
    for _ in range(3):
        launcher.terminate("one", handle, by_force=True)
    assert board.calls.count(("stop", "one")) == 1


def test_a_stopped_job_that_has_no_node_is_gone_and_its_log_says_what_it_waited_for(
    board: Board, launcher: RayLauncher, spec: LaunchSpec
) -> None:
    handle = submitted(board, launcher, spec)
    assert launcher.poll("one", handle).is_alive
    launcher.terminate("one", handle, by_force=True)
    assert not launcher.poll("one", handle).is_alive
    assert launcher.logs(spec.log, 1) == [WAITING.message]


def test_a_job_that_the_cluster_does_not_know_is_gone(launcher: RayLauncher) -> None:
    assert not launcher.poll("one", "").is_alive


def test_nothing_dies_of_a_job_server_that_does_not_answer(
    board: Board, launcher: RayLauncher, spec: LaunchSpec
) -> None:
    handle = submitted(board, launcher, spec)
    board.failure = ClusterAway("timed out")
    assert launcher.poll("one", handle).is_alive
    asked = board.asked
    # A pass waits for it once, however many instances there are.
    assert launcher.poll("two", "ray:two").is_alive
    assert board.asked == asked


def test_a_start_waits_for_the_job_server_and_is_no_failure_of_the_service(
    board: Board, launcher: RayLauncher, spec: LaunchSpec
) -> None:
    board.failure = ClusterAway("timed out")
    for _ in range(2):
        with pytest.raises(LaunchPostponed):
            launcher.launch(spec)


def test_a_pass_does_not_wait_for_an_upload(
    board: Board, launcher: RayLauncher, spec: LaunchSpec
) -> None:
    board.uploads.clear()
    handle = launcher.launch(spec).handle
    assert launcher.poll("one", handle).is_alive
    # Stopped meanwhile, it is stopped again once the cluster has it.
    launcher.terminate("one", handle, by_force=True)
    board.uploads.set()
    until(lambda: launcher.poll("one", handle).is_alive and board.asked)
    launcher.terminate("one", handle, by_force=True)
    assert not launcher.poll("one", handle).is_alive


def test_the_cluster_is_asked_what_became_of_a_job_that_it_did_not_acknowledge(
    board: Board, launcher: RayLauncher, spec: LaunchSpec
) -> None:
    board.refusal = ClusterAway("timed out")
    board.jobs["one"] = RUNNING
    handle = launcher.launch(spec).handle
    until(lambda: launcher.poll("one", handle) and board.asked)
    assert launcher.poll("one", handle).is_alive


@pytest.mark.parametrize("failure", [JobRefused("600MiB exceeds the maximum"), OSError("600MiB")])
def test_what_ray_refuses_is_in_the_log(
    board: Board, launcher: RayLauncher, spec: LaunchSpec, failure: Exception
) -> None:
    board.refusal = failure
    handle = launcher.launch(spec).handle
    until(lambda: not launcher.poll("one", handle).is_alive)
    assert "600MiB" in launcher.logs(spec.log, 1)[0]


def test_a_job_server_that_refuses_the_site_is_said(
    board: Board, launcher: RayLauncher, spec: LaunchSpec
) -> None:
    board.failure = JobRefused("status code 404")
    with pytest.raises(LaunchFailed, match="404"):
        launcher.launch(spec)


def test_what_is_left_of_ended_instances_is_removed_little_by_little(
    board: Board, launcher: RayLauncher
) -> None:
    board.jobs = {"one": WAITING, "two": ended(0)}
    for _ in range(3):
        launcher.tidy()
    assert board.calls == [("stop", "one"), ("forget", "two")]


@pytest.mark.parametrize("failure", [ClusterAway("timed out"), JobRefused("status code 404")])
def test_that_nothing_can_be_tidied_is_said_once(
    board: Board,
    launcher: RayLauncher,
    monkeypatch: pytest.MonkeyPatch,
    failure: Exception,
) -> None:
    monkeypatch.setattr(ray_leftovers, "LIST_S", 0.0)
    board.jobs, board.failure = {"one": WAITING}, failure
    with capture_logs() as said:
        for _ in range(3):
            launcher.tidy()
    assert [each["event"] for each in said].count("jobs_not_tidied") == 1
    assert board.asked == 3
    board.failure = None
    for _ in range(2):
        launcher.tidy()
    assert board.calls == [("stop", "one")]


def test_a_process_of_this_machine_is_still_handled_here(launcher: RayLauncher) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        handle = identity_of(child.pid) or ""
        assert launcher.poll("here", handle).is_alive
        launcher.terminate("here", handle, by_force=False)
        assert child.wait(60) < 0
    finally:
        child.kill()
        child.communicate()
