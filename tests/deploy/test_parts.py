"""What the containers of `deploy/compose.yaml` run, started for real from the same files."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests import accounts
from tests.conftest import serve
from tests.deploy.manifests import parsed
from tests.deploy.test_compose import SERVICES
from tests.managed_site import ManagedSite, managed_site
from tests.nginx import DEPLOY, Nginx
from tests.recording import Recorder
from tests.runners import ROOT
from tests.servers import MariaDB, PrivateServer, Redis, execute_sql

pytestmark = pytest.mark.processes

PASSWORD = "0123456789abcdef"  # As deploy/prepare writes them: nothing to encode.


class ConfiguredMariaDB(MariaDB):
    def command(self) -> list[str]:
        configured = f"--defaults-file={DEPLOY / 'mysql.cnf'}"
        own = [word for word in super().command() if not word.startswith("--innodb-flush")]
        return [configured if word == "--no-defaults" else word for word in own]


class ConfiguredRedis(Redis):
    def command(self) -> list[str]:
        own = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        return [self.program, str(DEPLOY / "redis.conf"), *own]


@pytest.fixture(scope="module")
def database() -> Iterator[PrivateServer]:
    yield from serve(ConfiguredMariaDB)


@pytest.fixture(scope="module")
def redis() -> Iterator[PrivateServer]:
    yield from serve(ConfiguredRedis)


@pytest.fixture(scope="module")
def nginx() -> Iterator[PrivateServer]:
    yield from serve(Nginx)


@pytest.fixture(scope="module")
def site(
    database: ConfiguredMariaDB, redis: ConfiguredRedis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ManagedSite]:
    """With the settings of the file, but for the addresses of the others."""
    for statement in (
        "CREATE DATABASE myagent",
        f"CREATE USER myagent@localhost IDENTIFIED BY '{PASSWORD}'",
        f"CREATE USER myagent@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'",
        "GRANT ALL ON myagent.* TO myagent@localhost",
        "GRANT ALL ON myagent.* TO myagent@'127.0.0.1'",
    ):
        execute_sql(database.port, statement)
    url = f"mysql://myagent:{PASSWORD}@127.0.0.1:{database.port}/myagent"
    settings = SERVICES["site"]["environment"] | {
        "DATABASE_URL": url,
        "REDIS_URL": redis.url,
        "SECRET_KEY": "for tests only, and long enough to be one",
        "MYAGENT_TRUSTED_PROXIES": "127.0.0.1",
    }
    with managed_site(url, tmp_path_factory.mktemp("var"), **settings) as site:
        yield site


async def test_a_site_made_of_them_answers(site: ManagedSite, nginx: Nginx) -> None:
    serving = site.serve("--processes", str(parsed(SERVICES["site"]["command"]).processes))
    site.register("parrot", ROOT / "tests/agent_files/parrot.py", "--auto-start")
    site.until_runs("parrot")
    token = accounts.make(site.environment, ada={})["ada"]["token"]
    port = urlsplit(site.url(serving, "parrot")).port
    assert port is not None
    nginx.pass_to([port])
    nginx.restart()
    async with await Recorder.open(
        f"{nginx.socket_url}services/parrot/",
        ssl=nginx.trust,
        additional_headers={"Authorization": f"Bearer {token}"},
    ) as client:
        answer = await client.ask(await client.create_session(), "9 hello")
    assert answer["content"] == "hellohell"
