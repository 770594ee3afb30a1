"""MySQL's own server in place of MariaDB: `MYAGENT_TEST_MYSQLD` names a root that has it.

Such a root is made by `python -m tests.deploy.mysql_root`. The server is started by chroot.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from filelock import FileLock

from tests.nginx import DEPLOY
from tests.servers import MariaDB, ServerError, run_first

MYSQL_ROOT = "MYAGENT_TEST_MYSQLD"
"""Environment variable: the folder of the root."""

ROOT_USER = (
    "CREATE USER root@'127.0.0.1'; GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;\n"
)
"""SQL: who the tests are. Without names of hosts, `root@localhost` comes by the socket alone."""


def database_server() -> type[MariaDB]:
    """The server that tests of the database run on."""
    return MySQL if os.environ.get(MYSQL_ROOT) else MariaDB


class MySQL(MariaDB):
    """A MySQL whose user `root` needs no password. Its folder lies within its root."""

    program = "mysqld"
    label = "mysql"

    @classmethod
    def is_installed(cls) -> bool:
        """Raises `ServerError` if the root that was named has no server, or is another user's."""
        root = cls.root()
        if os.geteuid() != 0 or not (root / "usr/sbin/mysqld").exists():
            raise ServerError(f"{MYSQL_ROOT}={root} is no root with a mysqld, for root to enter.")
        return True

    @staticmethod
    def root() -> Path:
        return Path(os.environ[MYSQL_ROOT])

    @classmethod
    def parent(cls) -> Path:
        return cls.root() / "tmp"

    def install(self) -> None:
        """A copy of the folder that was initialised once for all, which takes seconds."""
        initialised = self.root() / "var/lib/myagent-tests"
        with FileLock(f"{initialised}.lock"):
            if not initialised.exists():
                self._initialise()
                self._data.rename(initialised)
        subprocess.run(["cp", "--archive", str(initialised), str(self._data)], check=True)

    def command(self) -> list[str]:
        inside = Path("/", self.folder.relative_to(self.root()))
        shutil.copy(DEPLOY / "mysql.cnf", self.folder / "my.cnf")
        return [
            *self._mysqld(),
            f"--socket={inside / 'socket'}",
            f"--port={self.port}",
            f"--pid-file={inside / 'pid'}",
            f"--tmpdir={inside}",
            "--bind-address=127.0.0.1",
            "--mysqlx=OFF",
            "--disable-log-bin",
            "--innodb-buffer-pool-size=64M",
            # A commit outlives this process, though not the machine.
            "--innodb-flush-log-at-trx-commit=2",
        ]

    def _mysqld(self) -> list[str]:
        inside = Path("/", self.folder.relative_to(self.root()))
        return [
            *("chroot", str(self.root()), "/usr/sbin/mysqld"),
            f"--defaults-file={inside / 'my.cnf'}",
            f"--datadir={inside / 'data'}",
            "--innodb-redo-log-capacity=16M",
            "--secure-file-priv=NULL",
            *self._user(),
        ]

    def _initialise(self) -> None:
        shutil.copy(DEPLOY / "mysql.cnf", self.folder / "my.cnf")
        (self.folder / "users.sql").write_text(ROOT_USER)
        users = Path("/", self.folder.relative_to(self.root()), "users.sql")
        run_first([*self._mysqld(), "--initialize-insecure", f"--init-file={users}"])
        # Which server it is, to others: each copy is another.
        (self._data / "auto.cnf").unlink(missing_ok=True)
