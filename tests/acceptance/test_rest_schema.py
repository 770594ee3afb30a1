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
"""

WEATHER = {"name": "weather", "agent_factory_path": "ws_weather_agent.py"}


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


def _headers_of(who: str, site: ManagedSite) -> list[str]:
    """What somebody proves by who it is. The database has to be migrated."""
    if who == "nobody":
        return []
    rights = {"is_superuser": True, "is_staff": True} if who.startswith("root") else {}
    environment = site.environment | {"DJANGO_SETTINGS_MODULE": "myagent_site.settings"}
    made = accounts.make(environment, **{who.replace(" ", "_"): rights})
    (person,) = made.values()
    if "login" not in who:
        return [f"Authorization: Bearer {person['token']}"]
    return [f"Cookie: {person['cookie']}; myagent_csrf={CSRF}", f"X-CSRFToken: {CSRF}"]


def _register(base_url: str, headers: list[str]) -> None:
    request = urllib.request.Request(
        f"{base_url}/api/v1/services",
        json.dumps(WEATHER).encode(),
        {"Content-Type": "application/json"} | dict(each.split(": ", 1) for each in headers),
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 201


def _judge(site: ManagedSite, base_url: str, headers: list[str], examples: int) -> None:
    """Asks for all that the document offers, and compares the answers to it."""
    hooks = Path(__file__).with_name("rest_hooks.py")
    configuration = site.folder / "schemathesis.toml"
    configuration.write_text(CONFIGURATION.format(hooks=hooks))
    options = [
        *("--checks", "all", "--max-examples", str(examples)),
        *("--continue-on-failure", "--seed", "1"),
        *(option for header in headers for option in ("--header", header)),
    ]
    program = Path(sys.executable).with_name("schemathesis")
    done = subprocess.run(
        [program, "--config-file", configuration, "run", f"{base_url}/api/schema/", *options],
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


EXAMPLES = [
    pytest.param(3, id="quickly"),
    pytest.param(15, id="thoroughly", marks=pytest.mark.long),
]


@pytest.mark.parametrize("examples", EXAMPLES)
def test_no_request_is_answered_otherwise_than_the_document_says(
    site: ManagedSite, examples: int
) -> None:
    with gateway(site) as base_url:
        _register(base_url, [])
        _judge(site, base_url, [], examples)


@pytest.mark.parametrize("examples", EXAMPLES)
@pytest.mark.parametrize("who", ["nobody", "user", "root", "root by login"])
def test_the_same_holds_for_whoever_has_to_prove_who_they_are(
    site: ManagedSite, who: str, examples: int
) -> None:
    site.environment["MYAGENT_AUTH"] = "token"
    with gateway(site) as base_url:
        headers = _headers_of(who, site)
        if who.startswith("root"):
            _register(base_url, headers)
        _judge(site, base_url, headers, examples)
