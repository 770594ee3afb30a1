"""The workers of services are jobs of a Ray cluster: two real nodes on this machine."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests import managed_site as managed
from tests.conftest import IS_CI
from tests.managed_site import Command, ManagedSite, command_of, is_worker, managed_site
from tests.ray_cluster import RayCluster, ray_cluster
from tests.recording import Recorder
from tests.runners import ROOT

AGENT = """
import asyncio
import os
from pathlib import Path

import neighbour

print("printed on a node", flush=True)

async def agent(text):
    deed, _, rest = text.partition(" ")
    if deed == "hold":
        yield "held "
        while not Path(rest).exists():
            await asyncio.sleep(0.01)
    yield f"{os.environ['APP_COLOUR']} {neighbour.WORD} {Path('.env').exists()}"

agent.idempotent = True
"""

PATIENCE_S = 300.0

KEY = "a-key-that-only-workers-know"

pytestmark = [pytest.mark.long, pytest.mark.processes, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def environment() -> Path:
    """Where `scripts/bootstrap --test` has installed Ray."""
    found = ROOT / ".venv" / "frameworks" / "ray"
    if not (found / ".has-lock").exists():
        if IS_CI:
            pytest.fail("Ray must be installed under CI.")
        pytest.skip("Ray is not installed")
    return found


@pytest.fixture(scope="module")
def cluster(environment: Path) -> Iterator[RayCluster]:
    with ray_cluster(environment) as cluster:
        yield cluster


@pytest.fixture
def site(
    cluster: RayCluster, environment: Path, fresh_database_url: str, tmp_path: Path
) -> Iterator[ManagedSite]:
    [packages] = (environment / "lib").glob("python3*/site-packages")
    settings = {
        "MYAGENT_LAUNCHER": "ray",
        "MYAGENT_RAY_CPUS": "0.3",
        # That of a real site: much waits for Ray on a busy machine.
        "MYAGENT_LEASE_S": "15",
        "MYAGENT_SHUTDOWN_GRACE_S": "300",
        "MYAGENT_START_TIMEOUT_S": "300",
        "MYAGENT_WORKER_WAIT_S": "300",
        "RAY_ADDRESS": cluster.address,
        # The site's own environment is without Ray.
        "PYTHONPATH": str(packages),
    }
    folder = tmp_path / "agents"
    folder.mkdir()
    (folder / "neighbour.py").write_text("WORD = 'from beside'\n")
    (folder / ".env").write_text(f"APP_COLOUR=blue\nAPP_KEY={KEY}\n")
    (folder / "agent.py").write_text(AGENT)
    with managed_site(fresh_database_url, tmp_path, **settings) as site:
        yield site


@pytest.fixture
def serving(site: ManagedSite) -> Command:
    return site.serve()


def until(fact: Callable[[], Any], what: str = "") -> Any:
    """Ray takes its time, and much of it on a busy machine."""
    return managed.until(fact, what, patience_s=PATIENCE_S)


def worker_of(site: ManagedSite, cluster: RayCluster, name: str) -> psutil.Process | None:
    """The only process of the service's only instance, according to the process table."""
    ids = [row["id"] for row in site.instances(name) if row["state"] == "running"]
    found = [
        process
        for process in cluster.processes()
        if is_worker(process) and any(f"--instance={one}" in command_of(process) for one in ids)
    ]
    return found[0] if len(ids) == len(found) == 1 else None


def node_of(worker: psutil.Process) -> str:
    """The address of the node that started the process."""
    for parent in worker.parents():
        for word in command_of(parent):
            if word.startswith("--node_ip_address="):
                return word.partition("=")[2]
    raise AssertionError(f"no node started {worker}")


def register(site: ManagedSite, name: str, *options: str) -> None:
    site.register(name, site.folder / "agents" / "agent.py", *options)


async def test_a_worker_lives_on_the_node_that_its_tag_names_and_answers_from_there(
    site: ManagedSite, serving: Command, cluster: RayCluster
) -> None:
    register(site, "far", "--tags", "ray:beta,en", "--memory-limit-mb", "300")
    site.services("start", "far", "--no-wait")
    first = until(lambda: worker_of(site, cluster, "far"), "a worker on the cluster")
    assert node_of(first) == cluster.hosts[1]

    async with await Recorder.open(site.url(serving, "far")) as client:
        session = await client.create_session()
        answer = await client.ask(session, "hi")
        # Its variables and its neighbour came along; the file with secrets did not.
        assert answer["content"] == "blue from beside False"
        assert "printed on a node" in site.services("logs", "far")

        first.kill()
        second = until(
            lambda: (found := worker_of(site, cluster, "far")) != first and found, "another worker"
        )
        assert (await client.ask(session, "again"))["content"] == "blue from beside False"

        serving.kill()
        again = site.serve()
        assert worker_of(site, cluster, "far") == second
    async with await Recorder.open(site.url(again, "far")) as client:
        session = await client.create_session()
        go_on = site.folder / "go on"
        await client.say(session, f"hold {go_on}")
        await client.until("agent.partial_answer")
        again.wait_for_log("supervising")
        site.services("stop", "far", "--no-wait")
        until(lambda: [row["state"] for row in site.instances("far")] == ["draining"])
        assert second.is_running()
        go_on.touch()
        answer = await client.until("agent.final_answer")
        assert answer["content"].endswith("blue from beside False")
        until(lambda: site.service("far")["status"] == "stopped")
        assert not second.is_running()
    # With an instance goes what the cluster knew of it, its variables among that.
    until(lambda: not cluster.jobs(), "no job left")
    files = [path for path in cluster.folder.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if KEY.encode() in path.read_bytes()]


def test_what_no_node_has_room_for_waits_and_can_be_stopped(
    site: ManagedSite, serving: Command, cluster: RayCluster
) -> None:
    register(site, "nowhere", "--tags", "ray:gamma")
    site.services("start", "nowhere", "--no-wait")
    until(lambda: [row["state"] for row in site.instances("nowhere")] == ["starting"])
    site.services("stop", "nowhere", "--no-wait")
    until(lambda: site.service("nowhere")["status"] == "stopped")
    assert "waiting for resources" in site.services("logs", "nowhere")
    assert not worker_of(site, cluster, "nowhere")


def test_a_job_that_was_stopped_while_it_waited_is_removed_once_it_has_ended(
    site: ManagedSite, serving: Command, cluster: RayCluster
) -> None:
    before = set(cluster.jobs())
    whole_node = ("--tags", "ray:alpha,ray:cpus:1")
    for name in ("first", "second"):
        register(site, name, *whole_node)
    site.services("start", "first", "--no-wait")
    until(lambda: worker_of(site, cluster, "first"), "a worker that takes the whole node")
    site.services("start", "second", "--no-wait")
    [waiting] = until(lambda: [row["id"] for row in site.instances("second")])
    until(lambda: waiting in cluster.jobs(), "the job of the second")
    site.services("stop", "second", "--no-wait")
    until(lambda: site.service("second")["status"] == "stopped")
    assert waiting in cluster.jobs()
    site.services("stop", "first", "--no-wait")
    until(lambda: cluster.jobs()[waiting] == "STOPPED", "its end, with the room")

    cluster.submit("theirs", "true", myagent_site="another one")
    until(lambda: cluster.jobs()["theirs"] == "SUCCEEDED")
    serving.kill()
    site.serve()
    until(lambda: set(cluster.jobs()) - before == {"theirs"}, "nothing left of the site")
    cluster.forget("theirs")


def test_a_file_that_can_not_be_loaded_is_refused_with_its_reason(
    site: ManagedSite, serving: Command
) -> None:
    site.write("agents/broken.py", "import nothing_of_this_name\n")
    site.register("broken", site.folder / "agents" / "broken.py")
    site.services("start", "broken", "--no-wait")
    until(lambda: site.service("broken")["status"] == "error")
    assert "nothing_of_this_name" in site.service("broken")["error_message"]
    assert site.service("broken")["restart_count"] == 0


def test_a_job_server_that_does_not_answer_is_waited_for(site: ManagedSite) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        site.environment["RAY_ADDRESS"] = f"http://127.0.0.1:{silent.getsockname()[1]}"
        serving = site.serve()
        register(site, "patient")
        site.services("start", "patient", "--no-wait", expect=None)
        until(lambda: serving.log.count("ray_does_not_answer") > 1)
        until(lambda: not site.instances("patient"))
        found = site.service("patient")
    assert (found["status"], found["restart_count"]) == ("starting", 0)
