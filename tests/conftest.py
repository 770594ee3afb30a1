"""What holds for every test: which database, no way out of this machine, and the order."""

from __future__ import annotations

import ipaddress
import os
import signal
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests import second_database
from tests.databases import FOLDER, empty_database, fresh_database, share_migrated
from tests.lanes import LANE_FDS, Lane
from tests.mysql_server import database_server
from tests.nginx import Nginx
from tests.ordering import cost_of
from tests.servers import PrivateServer, Redis

IS_CI = bool(os.environ.get("CI"))
PRIVATE = ("OPENAI_", "LLM_", "ANTHROPIC_", "AZURE_")
PROXIES = ("http_proxy", "https_proxy", "all_proxy")

# A busy machine is slow now and then: no promise is about the time of one example.
hypothesis.settings.register_profile("dev", deadline=None, max_examples=50)
hypothesis.settings.register_profile(
    "ci",
    deadline=None,
    max_examples=60,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
# Programs that are started inherit it, and a shell lets its background jobs ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

hypothesis.settings.load_profile("ci" if IS_CI else "dev")


class OutsideCall(RuntimeError):
    """A test tried to reach another machine."""


def _is_here(host: object) -> bool:
    if isinstance(host, bytes):
        host = host.decode()
    if host in (None, "", "localhost"):
        return True
    try:
        address = ipaddress.ip_address(str(host))
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _stay_here(event: str, arguments: tuple[object, ...]) -> None:
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    else:
        return
    if not _is_here(host):
        raise OutsideCall(f"Tests must not leave this machine, and this one calls {host!r}.")


def _trust_one() -> None:
    """Every process that makes a TLS context reads all that the machine trusts: once for each model
    client, though no test can reach another machine.
    """
    file = ssl.get_default_verify_paths().cafile
    if file is None:
        return
    first = Path(os.environ[FOLDER]) / "certificate.pem"
    if not first.exists():
        begin, end, _ = Path(file).read_text("utf-8").partition("-----END CERTIFICATE-----")
        first.write_text(f"{begin}{end}\n", "utf-8")
    os.environ["SSL_CERT_FILE"] = str(first)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database",
        choices=("sqlite", "both"),
        default="sqlite",
        help="both: run tests marked both_databases again on a private MariaDB",
    )

    parser.addoption("--long", action="store_true", help="run tests marked long as well")


def pytest_configure(config: pytest.Config) -> None:
    # Processes that tests start must read the site's own settings.
    os.environ["DJANGO_SETTINGS_MODULE"] = "myagent_site.settings"
    for name in list(os.environ):
        if name.startswith(PRIVATE) or name.lower() in PROXIES:
            del os.environ[name]
    # What the commands say is in English, whatever language the person who runs this speaks.
    os.environ["LC_ALL"] = "C.UTF-8"
    os.environ.pop("LANGUAGE", None)
    share_migrated()
    _trust_one()
    sys.addaudithook(_stay_here)
    if fds := os.environ.pop(LANE_FDS, None):
        config.pluginmanager.register(Lane(config, *map(int, fds.split())))
    elif config.getoption("--database") == "both":
        if IS_CI and not second_database.is_available():
            raise pytest.UsageError("MariaDB and mysqlclient must be installed under CI.")
        config.pluginmanager.register(second_database.SecondRun(config))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Quick tests first: no database, then a database, then real processes."""
    items.sort(key=cost_of)
    if not config.getoption("--long"):
        long = [item for item in items if item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]


def need(server: type[PrivateServer]) -> None:
    """Skips the test where the server is not installed."""
    if not server.is_installed():
        if IS_CI:
            pytest.fail(f"{server.program} must be installed under CI.")
        pytest.skip(f"{server.program} is not installed")


def serve(server: type[PrivateServer]) -> Iterator[PrivateServer]:
    """For fixtures: a private server, where it is installed."""
    need(server)
    with server() as running:
        yield running


@pytest.fixture(scope="session", autouse=True)
def quick_emptying() -> Iterator[None]:
    """For all tests that commit."""
    from django.test import TransactionTestCase

    from tests.emptying import empty_tables

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", empty_tables)
        yield


@pytest.fixture(scope="session")
def mariadb() -> Iterator[PrivateServer]:
    """A private MariaDB, or MySQL, for the whole session. Tests that crash one start their own."""
    yield from serve(database_server())


@pytest.fixture(scope="session")
def redis_server() -> Iterator[PrivateServer]:
    """A private Redis for the whole session. Tests that crash one start their own."""
    yield from serve(Redis)


@pytest.fixture
def nginx(monkeypatch: pytest.MonkeyPatch) -> Iterator[Nginx]:
    """A private nginx that passes to nobody yet; clients of this process trust it."""
    for running in serve(Nginx):
        assert isinstance(running, Nginx)
        monkeypatch.setenv("SSL_CERT_FILE", str(running.certificate))
        yield running


@pytest.fixture
def fresh_database_url(tmp_path: Path) -> Iterator[str]:
    """DATABASE_URL of a new, migrated database for real processes, of the kind under test."""
    with fresh_database(tmp_path) as url:
        yield url


@pytest.fixture
def empty_database_url(tmp_path: Path) -> Iterator[str]:
    """The same without tables: where the first start itself is what is tested."""
    with empty_database(tmp_path) as url:
        yield url
