"""Sets up a site as docs/deploying.md says: python -m tests.deploy.debian_root FOLDER [SUITE]

The shell blocks of its part *A Debian machine* are carried out, one after the other and to the
letter, in a clean Debian that debootstrap makes in FOLDER (SUITE: bookworm, or trixie). `git clone`
fetches what is committed here. What takes systemctl's place starts the units, those of Debian's
packages and ours, in a network and a process table of the root's own. Then clients come over TLS.
For root on Linux, with a network.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.deploy.image_root import CERTIFICATES, run
from tests.runners import ROOT

PART = "A Debian machine"
HOST = "agents.example.com"
ADDRESS = "203.0.113.1"
"""Where clients find the site, and come from: an address that is not loopback."""

PASSED = ("PIP_", "SSL_", "http_", "https_", "HTTP_", "HTTPS_", "no_proxy")
"""How this machine reaches its network; a machine of one's own has no need of it."""

STAND_IN = "usr/local/lib/stand-in"

FETCHING = re.compile(r"apt-get|git clone|bootstrap")

START = f"""
set -eu
root=$1; shift
exec 8</proc/self/ns/net
exec unshare --mount --net --pid --uts --fork --kill-child --mount-proc sh -euc '
    ip link set lo up
    ip address add {ADDRESS}/32 dev lo
    hostname debian
    root=$1; shift
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount -t tmpfs tmpfs "$root/run"
    mount -t tmpfs tmpfs "$root/tmp"
    exec "$@"
' sh "$root" "$@"
"""
"""Descriptor 8 is the network outside, for what fetches."""


def main(folder: Path, suite: str) -> None:
    root = folder / suite
    prepare(root, clean_root(folder, suite))
    inside = [sys.executable, "-m", "tests.deploy.debian_trial", str(root)]
    subprocess.run(["sh", "-c", START, "sh", str(root), *inside], cwd=ROOT, check=True)


def clean_root(folder: Path, suite: str) -> Path:
    """Debian's smallest set of packages, and the certificates of this machine's network."""
    clean = folder / f"clean-{suite}"
    if not clean.exists():
        run(["debootstrap", "--variant=minbase", "--include=ca-certificates", suite, str(clean)])
    shutil.copy("/etc/resolv.conf", clean / "etc/resolv.conf")
    shutil.copy(f"/{CERTIFICATES}", clean / CERTIFICATES)
    return clean


def prepare(root: Path, clean: Path) -> None:
    shutil.rmtree(root, ignore_errors=True)
    run(["cp", "--archive", str(clean), str(root)])
    run(["git", "clone", "--quiet", "--bare", str(ROOT), str(root / "srv/repository.git")])
    names = f"127.0.0.1 localhost debian\n{ADDRESS} {HOST}\n"
    (root / "etc/hosts").write_text(names, "utf-8")
    # Packages are not to start what systemd would start; nor does it, in a root.
    policy = root / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n", "utf-8")
    policy.chmod(0o755)
    stand_in = root / STAND_IN / "tests/deploy"
    stand_in.mkdir(parents=True)
    for name in ("systemd_unit.py", "systemctl.py"):
        shutil.copy(ROOT / "tests/deploy" / name, stand_in)
    for name in ("systemctl", "journalctl"):
        program = root / "usr/local/sbin" / name
        line = f'PYTHONPATH=/{STAND_IN} exec /usr/bin/python3 -m tests.deploy.systemctl {name} "$@"'
        program.write_text(f"#!/bin/sh\n{line}\n", "utf-8")
        program.chmod(0o755)


def blocks(page: str, part: str = PART) -> list[str]:
    """The shell blocks of a part of the page."""
    [text] = re.findall(rf"^## {part}\n(.*?)(?=^## )", page, re.MULTILINE | re.DOTALL)
    return re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


class Shell:
    """Root's shell in the root, for one block at a time."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def carry_out(self, block: str) -> str:
        """What it wrote; fails with the first command that does."""
        text = block.replace("REPOSITORY", "file:///srv/repository.git")
        print("".join(f"# {line}\n" for line in text.splitlines()), flush=True)
        command = ["chroot", str(self._root), "bash", "-euo", "pipefail", "-c", text]
        if FETCHING.search(text):
            command = ["nsenter", "--net=/proc/self/fd/8", *command]
        return self.run(command)

    def run(self, command: Sequence[str]) -> str:
        given = {name: value for name, value in os.environ.items() if name.startswith(PASSED)}
        given.pop("PIP_FIND_LINKS", None)  # A folder of this machine.
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        given |= {"PATH": path, "HOME": "/root", "DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(
            command,
            env=given,
            cwd="/",
            pass_fds=(8,),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=1800,
            check=False,
        )
        print(done.stdout[-3000:], flush=True)
        assert done.returncode == 0, f"status {done.returncode}"
        return done.stdout


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(Path(sys.argv[1]).resolve(), sys.argv[2] if len(sys.argv) == 3 else "bookworm")
