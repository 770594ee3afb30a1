"""A real browser before a real runner, whose agent asks a fake model.

Every page is watched: an error on its console, an exception, or a request to another place
fails the test.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import pytest_asyncio
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    async_playwright,
    expect,
)

from agents.runtime.database import DatabaseThreads
from tests.databases import fresh_database
from tests.fake_model import fake_model_process
from tests.fake_model_control import FakeModelControl
from tests.runners import ROOT, Runner
from tests.sites import Site, url_of_test_database

CHROMIUMS = ("chromium-headless-shell", "chromium")
"""The first that is installed is used: without windows, a page costs a quarter of the time."""

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
FRONTEND = ROOT / "frontend"
PATIENCE_MS = 40_000

expect.set_options(timeout=PATIENCE_MS)

NewPage = Callable[..., Any]
Rows = Callable[..., Any]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One event loop for all: the browser lives in it."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


def leave_out(what: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(f"{what} must be installed under CI.")
    pytest.skip(f"SKIPPED: {what} is not installed (scripts/bootstrap --test installs it).")


@pytest_asyncio.fixture(loop_scope="session")
async def rows() -> AsyncIterator[Rows]:
    """Calls a function that writes rows, off the event loop."""
    database = DatabaseThreads()

    async def call(work: Callable[..., Any], *args: Any, **fields: Any) -> Any:
        return await database.run(lambda: work(*args, **fields))

    yield call
    await database.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    executable = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if executable is None:
        leave_out("Chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=list(ARGUMENTS))
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
def axe_script() -> str:
    """The accessibility checker, from npm."""
    if shutil.which("npm") is None:
        leave_out("npm")
    script = FRONTEND / "node_modules" / "axe-core" / "axe.min.js"
    if not script.exists():
        subprocess.run(
            ["npm", "ci", "--silent", "--prefix", str(FRONTEND)], check=True, timeout=300
        )
    return script.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def model() -> Iterator[FakeModelControl]:
    with fake_model_process() as base_url:
        yield FakeModelControl(base_url)


@pytest.fixture(scope="module")
def agent_file() -> Path:
    """What the module's runner serves; a module may have another one."""
    return ROOT / "tests" / "agent_files" / "tools.py"


Serve = Callable[..., Runner]


@pytest.fixture(scope="module")
def serve(
    model: FakeModelControl, agent_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Serve]:
    """Starts runners on one database; whoever calls it ends them."""
    folder = tmp_path_factory.mktemp("runner")
    with fresh_database(folder) as url:
        yield lambda **how: Runner(agent_file, url, folder, env=model.environment, **how)


@pytest.fixture(scope="module")
def site_of_rows(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a site whose database has the test's own rows."""
    with Site(url_of_test_database(), tmp_path_factory.mktemp("site")) as site:
        yield site.url


@pytest.fixture(scope="module")
def runner(serve: Serve) -> Iterator[Runner]:
    with serve() as runner:
        yield runner


@pytest.fixture(scope="module")
def site(runner: Runner) -> str:
    """The page's address."""
    return runner.url.replace("ws://", "http://")


@pytest.fixture
def nonce() -> str:
    """A word that no other test uses: the fake model tells tests apart by their words."""
    return f"n{uuid4().hex[:12]}"


@dataclass
class Watch:
    """What happened on the pages of a test that must not happen."""

    site: str
    wrong: list[str] = field(default_factory=list)
    excused: list[str] = field(default_factory=list)

    def excuse(self, pattern: str) -> None:
        """What the test causes itself, such as a server that is gone."""
        self.excused.append(pattern)

    def follow(self, page: Page) -> None:
        page.on("console", self._read)
        page.on("pageerror", lambda error: self.wrong.append(f"exception: {error}"))
        page.on("request", lambda request: self._see(request.url))
        page.on("websocket", lambda socket: self._see(socket.url))

    def _read(self, line: ConsoleMessage) -> None:
        if line.type in ("error", "warning"):
            self.wrong.append(line.text)

    def _see(self, url: str) -> None:
        parts = urlsplit(url)
        is_remote = parts.scheme in ("http", "https", "ws", "wss")
        if is_remote and parts.netloc != urlsplit(self.site).netloc:
            self.wrong.append(f"request to {url}")

    def judge(self) -> None:
        assert [
            each for each in self.wrong if not any(re.search(p, each) for p in self.excused)
        ] == []


@pytest.fixture
def watch(site: str) -> Iterator[Watch]:
    watch = Watch(site)
    yield watch
    watch.judge()


@pytest_asyncio.fixture(loop_scope="session")
async def new_page(browser: Browser, site: str, watch: Watch) -> AsyncIterator[NewPage]:
    """Opens the chat in a browser that knows nothing; options are those of a context."""
    contexts: list[BrowserContext] = []

    async def open_page(address: str = "", **options: Any) -> Page:
        options = {"viewport": {"width": 1280, "height": 800}, "locale": "en-GB"} | options
        context = await browser.new_context(**options)
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        page = await context.new_page()
        watch.follow(page)
        await page.goto(site + address)
        await connected(page)
        return page

    yield open_page
    for context in contexts:
        await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(new_page: NewPage) -> Page:
    """The chat, connected."""
    opened: Page = await new_page()
    return opened


async def connected(page: Page) -> None:
    await expect(page.locator("#link-state")).to_have_attribute("data-state", "open")
