"""What systemd is told: who is ready does at once what is asked of it."""

from __future__ import annotations

import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.runtime import systemd
from tests.managed_site import Command, ManagedSite, managed_site
from tests.ports import bound, free_port
from tests.recording import Recorder
from tests.runners import ROOT, Runner

ECHO = ROOT / "examples" / "echo_agent.py"
PATIENCE_S = 40.0


class ServiceManager:
    """Hears what systemd would; `environment` is what it gives to a process."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address.replace("@", "\0"))
        self._socket.settimeout(PATIENCE_S)
        self.environment = {"NOTIFY_SOCKET": address}

    def until_told(self) -> bytes:
        return self._socket.recv(4096)

    def has_heard_more(self) -> bool:
        self._socket.setblocking(False)
        try:
            return bool(self._socket.recv(4096))
        except BlockingIOError:
            return False

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[ServiceManager]:
    manager = ServiceManager(str(tmp_path / "notify"))
    yield manager
    manager.close()


@pytest.fixture
def site(fresh_database_url: str, tmp_path: Path) -> Iterator[ManagedSite]:
    with managed_site(fresh_database_url, tmp_path) as site:
        yield site


@pytest.mark.processes
def test_services_are_restarted_right_after_their_supervisor(
    site: ManagedSite, manager: ServiceManager
) -> None:
    first = Command(site, "supervise", **manager.environment)
    assert manager.until_told() == b"READY=1"
    site.register("echo", ECHO, "--auto-start")
    pids = site.until_runs("echo")
    assert first.stop() == 0
    Command(site, "supervise", **manager.environment)
    assert manager.until_told() == b"READY=1"
    site.services("restart", "echo")
    site.until_runs("echo", not_as=set(pids))
    # One that waits for another to leave is where it should be.
    waiting = Command(site, "supervise", **manager.environment)
    assert manager.until_told() == b"READY=1"
    assert waiting.stop() == 0
    assert not manager.has_heard_more()


@pytest.mark.processes
@pytest.mark.parametrize("supervisor", ["auto", "external"])
def test_a_site_is_asked_right_after_its_start(
    site: ManagedSite, manager: ServiceManager, supervisor: str
) -> None:
    site.register("echo", ECHO)
    port = free_port()
    environment = {"MYAGENT_SUPERVISOR": supervisor} | manager.environment
    serving = Command(site, "serve", "--port", str(port), **environment)
    assert manager.until_told() == b"READY=1"
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready") as answer:
        assert answer.status == 200
    if supervisor == "auto":
        site.services("start", "echo")
        site.until_runs("echo")
    assert serving.stop() == 0
    assert not manager.has_heard_more()


@pytest.mark.processes
def test_a_supervisor_that_takes_the_place_of_a_command_s_is_told_of_when_it_has_it(
    site: ManagedSite, manager: ServiceManager
) -> None:
    site.environment["MYAGENT_SUPERVISOR"] = "auto"
    site.register("echo", ECHO, "--auto-start")
    site.until_runs("echo")
    site.environment["MYAGENT_SUPERVISOR"] = "external"
    Command(site, "supervise", **manager.environment)
    assert manager.until_told() == b"READY=1"
    site.services("restart", "echo")


@pytest.mark.processes
def test_systemd_is_not_told_of_what_ends_at_its_start(
    site: ManagedSite, manager: ServiceManager
) -> None:
    with bound("127.0.0.1") as taken:
        port = str(taken.getsockname()[1])
        assert Command(site, "serve", "--port", port, **manager.environment).process.wait(
            PATIENCE_S
        )
    assert not manager.has_heard_more()


@pytest.mark.processes
async def test_an_agent_has_nothing_to_tell_it(
    tmp_path: Path, fresh_database_url: str, manager: ServiceManager
) -> None:
    agent = tmp_path / "looks.py"
    agent.write_text(
        "import os\nasync def agent(text):\n    return os.environ.get(text, 'nothing')\n"
    )
    with Runner(agent, fresh_database_url, tmp_path / "var", env=manager.environment) as runner:
        assert manager.until_told() == b"READY=1"
        async with await Recorder.open(runner.url) as client:
            session = await client.create_session()
            assert (await client.ask(session, "NOTIFY_SOCKET"))["content"] == "nothing"


def test_a_name_without_a_file_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    manager = ServiceManager(f"@myagent-test-{free_port()}")
    monkeypatch.setenv(*manager.environment.popitem())
    systemd.tell_ready()
    assert manager.until_told() == b"READY=1"
    systemd.tell_ready()
    assert not manager.has_heard_more()
    manager.close()


def test_who_can_not_be_told_is_logged(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    systemd.tell_ready()
    assert "systemd_not_told" in capsys.readouterr().out
