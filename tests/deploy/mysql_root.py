"""Makes a root with a MySQL server: python -m tests.deploy.mysql_root FOLDER [VERSION]

VERSION is 8.0, of Ubuntu 24.04 (the default), or 9, of Debian's unstable branch. Then
`MYAGENT_TEST_MYSQLD=FOLDER scripts/test --database both` runs the tests on it instead of MariaDB.
For root on Linux, with debootstrap, a network and, for 8.0, the keys of Ubuntu's archive.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

WORK_S = 1200


@dataclass(frozen=True)
class Source:
    """Where a version comes from: `suites` of an archive, the first of which the root is made of.

    `script`: of debootstrap, for suites whose names are newer than it.
    """

    suites: Sequence[str]
    mirror: str
    keys: str
    components: str
    packages: Sequence[str]
    script: str = ""


SOURCES = {
    "8.0": Source(
        suites=("noble", "noble-updates"),
        mirror="http://archive.ubuntu.com/ubuntu",
        keys="/usr/share/keyrings/ubuntu-archive-keyring.gpg",
        components="main universe",
        packages=("mysql-server-core-8.0", "mysql-client-core-8.0"),
        script="/usr/share/debootstrap/scripts/gutsy",
    ),
    "9": Source(
        suites=("sid",),
        mirror="http://deb.debian.org/debian",
        keys="/usr/share/keyrings/debian-archive-keyring.gpg",
        components="main",
        packages=("mysql-server-core", "mysql-client-core"),
    ),
}


def make(root: Path, source: Source) -> None:
    """Raises `CalledProcessError`, with the program's own complaint before it."""
    components = ",".join(source.components.split())
    made_of = [source.suites[0], str(root), source.mirror, *filter(None, [source.script])]
    options = ["--variant=minbase", f"--keyring={source.keys}", f"--components={components}"]
    run(["debootstrap", *options, *made_of])
    lines = [f"deb {source.mirror} {suite} {source.components}\n" for suite in source.suites]
    (root / "etc/apt/sources.list").write_text("".join(lines))
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    within = ["chroot", str(root), "env", "DEBIAN_FRONTEND=noninteractive"]
    run([*within, "apt-get", "update"])
    run([*within, "apt-get", "install", "--yes", "--no-install-recommends", *source.packages])
    run([*within, "/usr/sbin/mysqld", "--version"])


def run(command: Sequence[str]) -> None:
    subprocess.run(command, stdin=subprocess.DEVNULL, check=True, timeout=WORK_S)


def main(folder: str, version: str = "8.0") -> None:
    source = SOURCES.get(version)
    if source is None:
        sys.exit(__doc__)
    if not Path(source.keys).exists():
        sys.exit(f"{source.keys} is missing: it comes with Debian's package ubuntu-keyring.")
    make(Path(folder).resolve(), source)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3) or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    main(*sys.argv[1:])
