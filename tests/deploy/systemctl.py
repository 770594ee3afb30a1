"""Stands in for systemctl and journalctl in a root in which no systemd runs.

Starts, stops and reloads what unit files say, with their user, environment, folders and limits.
What a unit writes goes into /var/log/units. Only for a root that is thrown away.
"""

from __future__ import annotations

import os
import pwd
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path

from tests.deploy.systemd_unit import Unit, words_of

FOLDERS = ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
STATE = Path("/run/units")
LOGS = Path("/var/log/units")
PATIENCE_S = 90.0
VERBS = ("start", "stop", "restart", "reload", "enable", "daemon-reload")


def main(arguments: list[str]) -> None:
    verb, *names = [word for word in arguments if not word.startswith("-")]
    if verb == "enable":
        verb = "start" if "--now" in arguments else "daemon-reload"
    if verb not in VERBS or verb == "daemon-reload":
        return  # What packages' scripts ask for besides; units are read anew each time anyhow.
    for name in names:
        service = Service(name.removesuffix(".service"))
        if verb in ("stop", "restart"):
            service.stop()
        if verb in ("start", "restart"):
            service.start()
        if verb == "reload":
            service.run(service.unit.of("ExecReload"))


class Service:
    def __init__(self, name: str) -> None:
        self.name = name
        template, _, instance = name.partition("@")
        file = f"{template}@.service" if instance else f"{name}.service"
        found = [path for folder in FOLDERS if (path := Path(folder, file)).exists()]
        if not found:
            sys.exit(f"There is no unit {file}.")
        self.unit = Unit(found[0].read_text("utf-8"), instance)
        self._pid_file = STATE / name

    def main_pid(self) -> int | None:
        with suppress(OSError, ValueError):
            pid = int(self._pid_file.read_text())
            if "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text():
                return pid
        return None

    def environment(self) -> dict[str, str]:
        values = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        values |= {"LANG": "C.UTF-8"} | self.unit.environment()
        for given in self.unit.of("EnvironmentFile"):
            with suppress(FileNotFoundError):
                lines = Path(given.lstrip("-")).read_text("utf-8").splitlines()
                values |= dict(line.split("=", 1) for line in lines if "=" in line)
        if (pid := self.main_pid()) is not None:
            values["MAINPID"] = str(pid)
        return values

    def start(self) -> None:
        if self.main_pid() is not None:
            return
        for folder in (STATE, LOGS):
            folder.mkdir(parents=True, exist_ok=True)
        make_volatile_folders()
        self._make_folders("RuntimeDirectory", Path("/run"))
        self._make_folders("StateDirectory", Path("/var/lib"))
        self.run(self.unit.of("ExecStartPre"))
        if self.unit.last("Type") == "forking":
            self.run(self.unit.of("ExecStart"))
            self._pid_file.write_text(Path(self.unit.last("PIDFile")).read_text())
        else:
            self._start_and_stay()
        self.run(self.unit.of("ExecStartPost"))

    def _start_and_stay(self) -> None:
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as ready:
            address = STATE / f"{self.name}.ready"
            address.unlink(missing_ok=True)
            ready.bind(str(address))
            address.chmod(0o666)
            ready.settimeout(PATIENCE_S)
            environment = self.environment() | {"NOTIFY_SOCKET": str(address)}
            process = self._spawn(self.unit.last("ExecStart"), environment)
            self._pid_file.write_text(str(process.pid))
            while self.unit.last("Type") == "notify" and b"READY=1" not in ready.recv(4096):
                pass

    def stop(self) -> None:
        pid = self.main_pid()
        if pid is None:
            return
        is_alone = self.unit.last("KillMode") in ("process", "mixed")
        (os.kill if is_alone else os.killpg)(pid, signal.SIGTERM)
        # 0 means without an end.
        patience_s = float(self.unit.last("TimeoutStopSec", "0")) or PATIENCE_S
        deadline = time.monotonic() + patience_s
        while self.main_pid() == pid:
            if time.monotonic() > deadline:
                sys.exit(f"{self.name} did not end in time.")
            time.sleep(0.05)

    def run(self, commands: Iterable[str]) -> None:
        for command in commands:
            status = self._spawn(command, self.environment()).wait(PATIENCE_S)
            if status and "-" not in command[:2]:
                sys.exit(f"{self.name}: status {status} of {command}")

    def _spawn(self, command: str, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        has_rights = set("+!") & set(command[:2])
        user = None if has_rights else self.unit.last("User") or None
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        limit = min(most, int(self.unit.last("LimitNOFILE", "1024").partition(":")[0]))
        # Its own, which is handed on: the user of a unit may not raise it.
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, most))
        with (LOGS / self.name).open("ab") as log:
            return subprocess.Popen(
                words_of(command, environment),
                cwd=self.unit.last("WorkingDirectory") or "/",
                env=environment,
                user=user,
                group=pwd.getpwnam(user).pw_gid if user else None,
                extra_groups=os.getgrouplist(user, pwd.getpwnam(user).pw_gid) if user else None,
                umask=int(self.unit.last("UMask", "0022"), 8),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _make_folders(self, kind: str, parent: Path) -> None:
        for name in " ".join(self.unit.of(kind)).split():
            folder = parent / name
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(int(self.unit.last(f"{kind}Mode", "0755"), 8))
            if user := self.unit.last("User"):
                owner = pwd.getpwnam(user)
                os.chown(folder, owner.pw_uid, owner.pw_gid)


def make_volatile_folders() -> None:
    """Those in /run that tmpfiles.d demands, as systemd makes them at its start."""
    for file in Path("/usr/lib/tmpfiles.d").glob("*.conf"):
        for line in file.read_text("utf-8").splitlines():
            kind, folder, mode, user, group = (*line.split(), *[""] * 5)[:5]
            if kind == "d" and folder.startswith("/run/") and user not in ("", "-", "root"):
                Path(folder).mkdir(parents=True, exist_ok=True)
                Path(folder).chmod(int(mode, 8))
                shutil.chown(folder, user, group)


def tell(arguments: list[str]) -> None:
    """What a unit wrote: journalctl --unit NAME"""
    print((LOGS / arguments[arguments.index("--unit") + 1]).read_text("utf-8", "replace"))


if __name__ == "__main__":
    (tell if sys.argv[1] == "journalctl" else main)(sys.argv[2:])
