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


@pytest.fixture
def site(fresh_database_url: str, tmp_path: Path) -> Iterator[ManagedSite]:
    agents = tmp_path / "agents"
    agents.mkdir()
    (agents / "ws_weather_agent.py").write_text("raise RuntimeError('loaded by the site')\n")
    site = ManagedSite(fresh_database_url, tmp_path, MYAGENT_AGENT_DIRS=str(agents))
    yield site
    site.close()


@pytest.fixture
def base_url(site: ManagedSite) -> Iterator[str]:
    with gateway(site) as url:
        yield url


def _register(base_url: str) -> None:
    request = urllib.request.Request(
        f"{base_url}/api/v1/services",
        json.dumps(WEATHER).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 201


def test_no_request_is_answered_otherwise_than_the_document_says(
    site: ManagedSite, base_url: str
) -> None:
    _register(base_url)
    hooks = Path(__file__).with_name("rest_hooks.py")
    configuration = site.folder / "schemathesis.toml"
    configuration.write_text(CONFIGURATION.format(hooks=hooks))
    options = ["--checks", "all", "--max-examples", "10", "--continue-on-failure", "--seed", "1"]
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
    assert "Traceback" not in log and "loaded by the site" not in log
