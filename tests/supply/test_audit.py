"""The audit fails at what is known, and says so where nobody can be asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_port
from tests.runners import ROOT
from tests.supply import audit

WEAK = "django"
WEAKNESS = {
    "id": "PYSEC-2026-1",
    "aliases": ["CVE-2026-1"],
    "summary": "Lets everybody in.",
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": WEAK},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.1"}]}],
        }
    ],
}


class Advisories(BaseHTTPRequestHandler):
    """Knows one weakness of one package."""

    asked: list[str]

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(asked["package"]["name"])  # type: ignore[attr-defined]
        is_weak = asked["package"]["name"] == WEAK and self.server.knows  # type: ignore[attr-defined]
        body = json.dumps({"vulns": [WEAKNESS]} if is_weak else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture
def osv() -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Advisories)
    server.asked, server.knows = [], True
    server.url = f"http://127.0.0.1:{server.server_port}/"
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    yield server
    server.shutdown()
    server.server_close()
    serving.join()


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.txt"
    path.write_text("# a lock\ndjango==5.2.1\nwhitenoise==6.8.0\n")
    return path


def test_a_known_weakness_is_found_and_names_its_remedy(osv: Any, lock: Path) -> None:
    assert audit.python_weaknesses([lock], osv.url) == [
        "django 5.2.1: PYSEC-2026-1, mended in 99.1"
    ]
    assert sorted(osv.asked) == ["django", "whitenoise"]


def test_what_has_no_known_weakness_passes(osv: Any, lock: Path) -> None:
    osv.knows = False
    assert audit.python_weaknesses([lock], osv.url) == []


@pytest.mark.parametrize("known_as", ["PYSEC-2026-1", "CVE-2026-1"])
def test_one_that_does_not_touch_the_site_may_be_accepted(
    osv: Any, lock: Path, monkeypatch: pytest.MonkeyPatch, known_as: str
) -> None:
    monkeypatch.setattr(audit, "ACCEPTED", {known_as: "it is never called"})
    assert audit.python_weaknesses([lock], osv.url) == []


def test_where_nobody_can_be_asked_that_is_no_answer(lock: Path) -> None:
    with pytest.raises(audit.Unreachable):
        audit.python_weaknesses([lock], f"http://127.0.0.1:{free_port()}/")


@pytest.mark.processes
@pytest.mark.parametrize("is_reached", [True, False])
def test_the_step_fails_for_a_weakness_and_is_loud_without_an_answer(
    osv: Any, tmp_path: Path, is_reached: bool
) -> None:
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho '{\"vulnerabilities\": {}}'\n" if is_reached else "exit 1\n")
    npm.chmod(0o755)
    url = osv.url if is_reached else f"http://127.0.0.1:{free_port()}/"
    done = subprocess.run(
        [sys.executable, "-m", "tests.supply.audit"],
        cwd=ROOT,
        env=os.environ | {"AUDIT_OSV_URL": url, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if is_reached:
        assert done.returncode == 1, done.stderr
        assert "Python: django" in done.stderr and "PYSEC-2026-1" in done.stderr
        assert "JavaScript: 0 known weaknesses." in done.stderr
    else:
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("NOT AUDITED") == 2


def test_npms_findings_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"vulnerabilities": {"marked": {"range": "<99", "severity": "high"}}}
    npm = tmp_path / "npm"
    npm.write_text(f"#!/bin/sh\necho '{json.dumps(told)}'\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert audit.npm_weaknesses(tmp_path) == ["marked <99: high"]
