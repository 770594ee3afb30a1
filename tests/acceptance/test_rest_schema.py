"""The REST interface does what its own document says, whatever is sent to it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import accounts
from tests.gateways import gateway
from tests.managed_site import ManagedSite

CONFIGURATION = """
hooks = "{hooks}"

[checks.not_a_server_error]
# Without a supervisor, what needs one is refused.
expected-statuses = ["2xx", "3xx", "4xx", "503"]

[[operations]]
# Whether a name is taken or there is such a file, no schema can tell.
include-method = ["POST", "PUT", "PATCH"]
checks.positive_data_acceptance.expected-statuses = [
    "2xx", "400", "401", "403", "404", "409", "503",
]

[[operations]]
# Nor how far apart two times are.
include-path = "/api/v1/traces/stats"
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "401", "403", "503"]
"""

WEATHER = {"name": "weather", "agent_factory_path": "ws_weather_agent.py"}


Headers = dict[str, str]

SECRET_KEY = "for tests only"

CSRF = "0123456789abcdefghijklmnopqrstuv"


@pytest.fixture
def site(fresh_database_url: str, tmp_path: Path) -> Iterator[ManagedSite]:
    agents = tmp_path / "agents"
    agents.mkdir()
    (agents / "ws_weather_agent.py").write_text("raise RuntimeError('loaded by the site')\n")
    site = ManagedSite(
        fresh_database_url, tmp_path, MYAGENT_AGENT_DIRS=str(agents), SECRET_KEY=SECRET_KEY
    )
    yield site
    site.close()


def _people(site: ManagedSite) -> dict[str, Headers]:
    """What each proves by who it is. The database has to be migrated."""
    environment = site.environment | {"DJANGO_SETTINGS_MODULE": "myagent_site.settings"}
    made = accounts.make(environment, user={}, root={"is_superuser": True, "is_staff": True})
    login = {"Cookie": f"{made['root']['cookie']}; myagent_csrf={CSRF}", "X-CSRFToken": CSRF}
    bearers = {name: {"Authorization": f"Bearer {each['token']}"} for name, each in made.items()}
    return {"nobody": {}, "root by login": login} | bearers


def _register(base_url: str, headers: Headers) -> None:
    request = urllib.request.Request(
        f"{base_url}/api/v1/services",
        json.dumps(WEATHER).encode(),
        {"Content-Type": "application/json"} | headers,
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 201


def _save_document(base_url: str, headers: Headers, path: Path) -> None:
    """Only who has logged in reads it from the site."""
    request = urllib.request.Request(f"{base_url}/api/schema/", headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        path.write_bytes(answer.read())


def _judge(site: ManagedSite, base_url: str, document: Path, headers: Headers, *how: str) -> None:
    """Asks for all that the document offers, and compares the answers to it."""
    hooks = Path(__file__).with_name("rest_hooks.py")
    configuration = site.folder / "schemathesis.toml"
    configuration.write_text(CONFIGURATION.format(hooks=hooks))
    options = [
        *("--url", base_url, "--checks", "all", "--continue-on-failure", "--seed", "1", *how),
        *(part for name in headers for part in ("--header", f"{name}: {headers[name]}")),
    ]
    program = Path(sys.executable).with_name("schemathesis")
    done = subprocess.run(
        [program, "--config-file", configuration, "run", document, *options],
        cwd=site.folder,
        env=os.environ | {"NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"Operations: +(\d+) selected / \1 total", done.stdout), done.stdout
    assert site.processes("supervise") == site.processes("runagent") == []
    log = (site.folder / "site.log").read_text(errors="replace")
    assert "Traceback" not in log
    assert "loaded by the site" not in log


QUICKLY = ("--phases", "fuzzing", "--max-examples", "1")
"""One request of each kind, and not thousands."""


# Thousands of requests: against hanging alone, on a busy machine too.
@pytest.mark.timeout(1500)
@pytest.mark.parametrize(
    "how",
    [
        pytest.param(QUICKLY, id="quickly"),
        pytest.param(("--max-examples", "5"), id="thoroughly", marks=pytest.mark.long),
    ],
)
def test_no_request_is_answered_otherwise_than_the_document_says(
    site: ManagedSite, how: tuple[str, ...]
) -> None:
    document = site.folder / "openapi.yaml"
    with gateway(site) as base_url:
        _register(base_url, {})
        _save_document(base_url, {}, document)
        _judge(site, base_url, document, {}, *how)


@pytest.mark.timeout(1500)
@pytest.mark.long
def test_the_same_holds_where_everybody_proves_who_they_are(site: ManagedSite) -> None:
    site.environment["MYAGENT_AUTH"] = "token"
    document = site.folder / "openapi.yaml"
    with gateway(site) as base_url:
        people = _people(site)
        _register(base_url, people["root"])
        _save_document(base_url, people["root by login"], document)
        for headers in people.values():
            _judge(site, base_url, document, headers, "--max-examples", "15")
