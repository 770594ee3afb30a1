"""MySQL and MariaDB, by the programs that come with them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from django.utils.translation import gettext_noop

from services.backups.dump import is_whole, skip_head
from services.backups.files import HEAD_OF_SQL
from services.errors import ServiceError

DUMPERS = ("mariadb-dump", "mysqldump")
CLIENTS = ("mariadb", "mysql")

ONE_SNAPSHOT = (
    # One transaction that sees the database at one moment, and locks nothing.
    *("--single-transaction", "--quick", "--skip-lock-tables"),
    # Needs no privileges beyond those on the database.
    *("--no-tablespaces", "--skip-triggers"),
    *("--hex-blob", "--default-character-set=utf8mb4"),
)

ONLY_OF_MYSQL = ("--set-gtid-purged=OFF", "--column-statistics=0")
"""What MySQL's program adds by default another server, or user, would refuse."""

VERIFYING = ("VERIFY_CA", "VERIFY_IDENTITY")
"""Values of the driver's option `ssl_mode` that demand a certificate that is trusted."""

QUOTED = re.compile(
    r"\b(near|entry|value:?|column) '(?:.*'(?= at line| for key| for column| in )|.*'$)"
)
"""How a server quotes a statement or a value, which may be somebody's secret."""

BEGUN = re.compile(r"ERROR (\d+ \(|at line)")
"""How the client begins to tell of an error."""

MOST_READ, MOST_LINES, MOST_SAID = 8_000, 5, 500
"""Of what a program said: characters that are looked at, lines and characters that are shown."""

TO_THE_SERVER_ALONE = (
    # No line is a command of the program: such could start others, or read and write files.
    "--binary-mode",
    # Nor does the server get files of this machine.
    "--local-infile=0",
)
"""For what others may have written."""


def dump(database: Mapping[str, Any], target: Path) -> None:
    """Writes everything that is committed at one moment. Raises `ServiceError`.

    `database`: Django's settings of it.
    """
    program = _found(DUMPERS)
    options = [*ONE_SNAPSHOT, *(() if _is_of_mariadb(program) else ONLY_OF_MYSQL)]
    with target.open("wb") as file:
        file.write(HEAD_OF_SQL)
        file.flush()
        _run([program, *options, database["NAME"]], database, output=file)
    with target.open("rb") as file:
        file.seek(max(0, target.stat().st_size - 200))
        if not is_whole(file.readlines()[-1]):
            raise _failed(program, "it stopped in the middle")


def load(database: Mapping[str, Any], source: Path) -> None:
    """Executes a dump in an empty database. Raises `ServiceError`."""
    program = _found(CLIENTS)
    command = [program, *TO_THE_SERVER_ALONE, "--default-character-set=utf8mb4", database["NAME"]]
    try:
        # Unbuffered, so that the program goes on where this one has stopped reading.
        with source.open("rb", buffering=0) as file:
            skip_head(file)
            _run(command, database, dump=file)
    except ServiceError as error:
        raise half_filled(database, source, error) from error


def half_filled(database: Mapping[str, Any], source: Path, reason: ServiceError) -> ServiceError:
    """Says that the dump was not executed whole, and what to do."""
    return ServiceError(
        "half_filled",
        gettext_noop(
            "{path} was not restored: {reason}. The database {database} may be half-filled: "
            "drop it, and restore into a new one."
        ),
        path=source,
        reason=str(reason).rstrip(".。"),
        database=database["NAME"],
    )


def _run(
    command: Sequence[str],
    database: Mapping[str, Any],
    *,
    dump: BinaryIO | None = None,
    output: BinaryIO | None = None,
) -> None:
    program, *rest = command
    tls = _tls(database.get("OPTIONS", {}), is_of_mariadb=_is_of_mariadb(program))
    with _credentials(database, tls) as file:
        # First, and instead of all other files of options. A command line is read by anybody.
        done = subprocess.run(
            [program, f"--defaults-file={file}", *rest],
            stdin=dump or subprocess.DEVNULL,
            stdout=output or subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=False,
        )
    if done.returncode:
        said = last_said(done.stderr.decode(errors="replace"))
        raise _failed(program, said or f"exit status {done.returncode}")


def last_said(text: str) -> str:
    """The last error that a program told of, in one line; without what it quotes of the data.

    An error of a statement has the lines of that statement within.
    """
    lines = text.strip()[-MOST_READ:].splitlines()
    begun = [place for place, line in enumerate(lines) if BEGUN.match(line)]
    start = begun[-1] if begun else max(0, len(lines) - MOST_LINES)
    said = QUOTED.sub(r"\1 …", " ".join(map(str.strip, lines[start:])))
    return said if len(said) <= MOST_SAID else f"{said[:MOST_SAID]}…"


@contextmanager
def _credentials(database: Mapping[str, Any], more: Mapping[str, str]) -> Iterator[str]:
    """A file that only this user can read, for as long as it is needed; `more`: other options."""
    host = database["HOST"] or "localhost"
    place = "socket" if host.startswith("/") else "host"
    options = {
        place: host,
        "port": str(database["PORT"] or 3306),
        "user": database["USER"],
        "password": database["PASSWORD"],
    }
    options |= more
    # It is made with mode 0600.
    with tempfile.NamedTemporaryFile("w", prefix="myagent-", suffix=".cnf") as file:
        file.write("[client]\n")
        file.writelines(f"{name}={_quoted(value)}\n" for name, value in options.items() if value)
        file.flush()
        yield file.name


def _tls(options: Mapping[str, Any], *, is_of_mariadb: bool) -> dict[str, str]:
    """What the driver was told of TLS, as the programs want to be told."""
    told = {f"ssl-{name}": str(value) for name, value in options.get("ssl", {}).items()}
    mode = str(options.get("ssl_mode", ""))
    if not is_of_mariadb:
        return told | ({"ssl-mode": mode} if mode else {})
    if mode in ("REQUIRED", *VERIFYING):
        told["ssl"] = "1"
    if mode in VERIFYING:
        told["ssl-verify-server-cert"] = "1"
    return told


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _found(names: Sequence[str]) -> str:
    for name in names:
        if (program := shutil.which(name)) is not None:
            return program
    raise ServiceError(
        "no_program",
        gettext_noop(
            "{program} is not installed: it comes with the client of MariaDB or MySQL, such as "
            "Debian's packages mariadb-client and default-mysql-client."
        ),
        program=names[0],
    )


def _is_of_mariadb(program: str) -> bool:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    return "mariadb" in said.stdout.lower()


def _failed(program: str, reason: str) -> ServiceError:
    return ServiceError(
        "program_failed",
        gettext_noop("{program}: {reason}"),
        program=os.path.basename(program),
        reason=reason,
    )
