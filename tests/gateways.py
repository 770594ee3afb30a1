"""A real gateway for tests: the site's pages and its REST interface, without a supervisor."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from tests.managed_site import ManagedSite, until
from tests.ports import free_port
from tests.runners import ROOT, STOP_S


@contextmanager
def gateway(site: ManagedSite) -> Iterator[str]:
    """Its address, once it answers; its database is migrated. Its log: `site.log` in its folder."""
    port = free_port()
    options = ["--port", str(port), "--lifespan", "off", "--no-access-log", "--log-level", "error"]
    with (site.folder / "site.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", *options, "myagent_site.asgi:application"],
            cwd=ROOT,
            env=site.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        until(lambda: _answers(f"{url}/health/ready"), "the site answers")
        yield url
    finally:
        server.kill()
        server.wait(STOP_S)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
