"""Two machines on one cable, for root on Linux: network namespaces of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from tests.managed_site import PATIENCE_S, until
from tests.runners import ROOT, RunnerDied

SITE, ATTACKER = "192.0.2.1", "192.0.2.2"
SITE_6, ATTACKER_6 = "2001:db8::1", "2001:db8::2"


def lacking() -> str:
    """Why there can't be two hosts here; '' if there can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "only root on Linux can make network namespaces"
    try:
        with two_hosts():
            return ""
    except (OSError, subprocess.CalledProcessError) as error:
        return f"network namespaces can't be made here: {error}"


class Program:
    """A command that goes on at the site's host. `log`: what it has written."""

    def __init__(self, command: list[str], environment: Mapping[str, str], log: Path) -> None:
        self._log = log
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def wait_for_log(self, text: str) -> None:
        def is_there() -> bool:
            if text not in self.log and self.process.poll() is not None:
                raise RunnerDied(self.log)
            return text in self.log

        until(is_there, text)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(PATIENCE_S)


class TwoHosts:
    """The names of both namespaces. Who is at the site's host has its own loopback."""

    def __init__(self) -> None:
        self._site, self._attacker = f"site-{os.getpid()}", f"attacker-{os.getpid()}"

    def connect(self) -> None:
        """Lays the cable. Raises `CalledProcessError`."""
        near, far = f"va{os.getpid()}", f"vb{os.getpid()}"
        for name in (self._site, self._attacker):
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
        _ip("link", "add", near, "type", "veth", "peer", "name", far)
        ends = ((self._site, near, SITE, SITE_6), (self._attacker, far, ATTACKER, ATTACKER_6))
        for name, link, address, address_6 in ends:
            _ip("link", "set", link, "netns", name)
            _ip("-n", name, "address", "add", f"{address}/24", "dev", link)
            _ip("-n", name, "address", "add", f"{address_6}/64", "dev", link, "nodad")
            _ip("-n", name, "link", "set", link, "up")

    def disconnect(self) -> None:
        for name in (self._site, self._attacker):
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)

    def start(self, *command: str, environment: Mapping[str, str], log: Path) -> Program:
        """A command of the tree, at the site's host."""
        inside = ["ip", "netns", "exec", self._site, *command]
        return Program(inside, environment, log)

    def attack(self, module: str, *arguments: str) -> Any:
        """What a program at the attacker's host prints as JSON."""
        command = ["ip", "netns", "exec", self._attacker, sys.executable, "-m", module, *arguments]
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def processes(self) -> list[psutil.Process]:
        """Those at the site's host."""
        command = ["ip", "netns", "pids", self._site]
        pids = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        found = []
        for pid in map(int, pids):
            with suppress(psutil.NoSuchProcess):
                found.append(psutil.Process(pid))
        return found

    def listening(self) -> dict[str, list[str]]:
        """What the system says that processes at the site's host listen to, by `tcp` and `udp`."""
        found: dict[str, list[str]] = {}
        for kind in ("tcp", "udp"):
            command = ["ip", "netns", "exec", self._site, "ss", "-Hln", f"--{kind}"]
            lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            found[kind] = [line.split()[3] for line in lines.splitlines()]
        return found


@contextmanager
def two_hosts() -> Iterator[TwoHosts]:
    hosts = TwoHosts()
    try:
        hosts.connect()
        yield hosts
    finally:
        hosts.disconnect()


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
