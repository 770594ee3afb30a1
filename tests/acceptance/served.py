"""One agent file as a site's only service, behind the kinds of servers that a site can have."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from myagent_site.options import OPTIONS
from tests.databases import fresh_database
from tests.managed_site import Command, ManagedSite, Module, managed_site
from tests.servers import execute_sql
from tests.side_streams import DATABASE_URL

OF_SITE = {option.name for option in OPTIONS}

READY = re.compile(r"is ready at \w+://[^:]+:(\d+)/")


class Served:
    """As a `Runner` is used: `url`, and the lines of its `log`."""

    def __init__(self, serving: Command, *, has_several_servers: bool) -> None:
        self._serving = serving
        self.has_several_servers = has_several_servers
        found = READY.search(serving.log)
        assert found, serving.log
        self.port = int(found[1])

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/"

    @property
    def log(self) -> list[str]:
        return self._serving.log.splitlines(keepends=True)


@contextmanager
def served(
    request: pytest.FixtureRequest,
    kind: str,
    file: Path,
    environment: Mapping[str, str],
    folder: Path,
) -> Iterator[Served]:
    """`kind`: of `tests.runners.OF_SITES`. Its clients are routed to the service at `/` as well.

    It has a folder and a database to itself: on another's, its service would not be the only one.
    """
    own_folder = folder / f"{kind}-{file.stem}"
    own_folder.mkdir()
    if kind == "processes":
        environment = {**environment, "REDIS_URL": request.getfixturevalue("redis_server").url}
    with (
        _database(request, kind, own_folder) as database_url,
        managed_site(database_url, own_folder, **environment) as site,
    ):
        serving = _start(site, kind)
        own = [f"--env={name}" for name in environment if name not in OF_SITE]
        site.register(file.stem, file, "--auto-start", *own)
        yield Served(serving, has_several_servers=kind == "processes")


def _start(site: ManagedSite, kind: str) -> Command:
    if kind == "processes":
        return site.serve("--processes", "2")
    site.supervise()
    proxy = Module(site, "myagent.manager.cli.proxy", "--port", "0")
    return proxy.wait_for_log("is ready at")


@contextmanager
def _database(request: pytest.FixtureRequest, kind: str, folder: Path) -> Iterator[str]:
    """Several processes need MariaDB; the other kinds take that under test."""
    if kind != "processes" or DATABASE_URL in os.environ:
        with fresh_database(folder) as url:
            yield url
        return
    mariadb, name = request.getfixturevalue("mariadb"), f"served_{uuid4().hex}"
    execute_sql(mariadb.port, f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    yield mariadb.url(name)
