"""What a machine on the same network can reach of a site: nothing, unless it was opened."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.attacks.two_hosts import SITE, SITE_6, Program, TwoHosts, lacking, two_hosts
from tests.databases import fresh_database
from tests.managed_site import is_worker, until
from tests.runners import ROOT

pytestmark = pytest.mark.processes

AGENT = str(ROOT / "examples/echo_agent.py")
MANAGE = (sys.executable, str(ROOT / "manage.py"))
SITE_PORT, AGENT_PORT, SCRIPT_PORT, METRICS_PORT = 8000, 8080, 8081, 9100
READY = "is ready at"
WARNING = "WARNING: 0.0.0.0 can be reached from other machines, and "


@pytest.fixture(scope="module")
def hosts() -> Iterator[TwoHosts]:
    if why := lacking():
        # Under CI too: containers may have root, and no networks of their own.
        pytest.skip(f"SKIPPED, what another machine can reach is not tested here: {why}")
    with two_hosts() as hosts:
        yield hosts


class Network:
    """All that serves, each with a database of its own, at the site's host."""

    def __init__(self, hosts: TwoHosts, folder: Path, stack: ExitStack) -> None:
        self._hosts, self._folder, self._stack = hosts, folder, stack
        self.programs: list[Program] = []

    def start(self, *command: str, **environment: str) -> Program:
        """Waits until it is ready."""
        folder = self._folder / str(len(self.programs))
        folder.mkdir()
        url = self._stack.enter_context(fresh_database(folder))
        given = os.environ | {
            "DATABASE_URL": url,
            "MYAGENT_VAR_DIR": str(folder / "var"),
            "MYAGENT_ENV_FILE": os.devnull,
            "SECRET_KEY": "for tests only",
            "PYTHONUNBUFFERED": "1",
        }
        log = folder / "log"
        program = self._hosts.start(*command, environment=given | environment, log=log)
        self.programs.append(program)
        self._stack.callback(program.stop)
        program.wait_for_log(READY)
        return program


@pytest.fixture
def network(hosts: TwoHosts, tmp_path: Path) -> Iterator[Network]:
    with ExitStack() as stack:
        yield Network(hosts, tmp_path, stack)
    # `serve` stops its workers, and `runagent` its own.
    until(lambda: not hosts.listening()["tcp"], "nobody listens any more")


def start_all(network: Network, *options: str) -> list[Program]:
    """The three ways to serve, with an agent that runs, and with a port for metrics."""
    metrics = {"MYAGENT_METRICS_PORT": str(METRICS_PORT)}
    script = str(ROOT / "scripts/server")
    return [
        network.start(*MANAGE, "serve", "--with-example", *options, **metrics),
        network.start(*MANAGE, "runagent", AGENT, *options),
        network.start(script, AGENT, "--port", str(SCRIPT_PORT), *options),
    ]


def test_by_default_another_machine_reaches_nothing(hosts: TwoHosts, network: Network) -> None:
    start_all(network)
    until(lambda: sum(map(is_worker, hosts.processes())) == 3, "each has a worker")
    listening = hosts.listening()
    local = {int(each.rpartition(":")[2]) for each in listening["tcp"]}
    assert {SITE_PORT, AGENT_PORT, SCRIPT_PORT, METRICS_PORT} <= local
    assert all(each.startswith(("127.0.0.1:", "[::1]:")) for each in listening["tcp"])
    assert listening["udp"] == []
    assert hosts.attack("tests.attacks.scanning", SITE, SITE_6) == {SITE: [], SITE_6: []}
    assert not any(WARNING in program.log for program in network.programs)


@pytest.mark.long
def test_what_is_opened_is_that_one_port_and_warned_about(
    hosts: TwoHosts, network: Network
) -> None:
    programs = start_all(network, "--host", "0.0.0.0")
    opened = [SITE_PORT, AGENT_PORT, SCRIPT_PORT]
    assert hosts.attack("tests.attacks.scanning", SITE, SITE_6) == {SITE: opened, SITE_6: []}
    assert hosts.listening()["udp"] == []
    for program in programs:
        assert WARNING in program.log


def test_who_asks_for_tokens_is_not_warned(hosts: TwoHosts, network: Network) -> None:
    command = (*MANAGE, "runagent", AGENT, "--host", "0.0.0.0")
    program = network.start(*command, MYAGENT_AUTH="token")
    assert WARNING not in program.log
