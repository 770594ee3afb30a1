"""The pages on which the REST interface is browsed and tried, in a real browser."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.databases import fresh_database
from tests.gateways import gateway
from tests.managed_site import ManagedSite

from .conftest import PATIENCE_MS, Watch


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A gateway's address; its REST interface may register the files of one folder."""
    folder: Path = tmp_path_factory.mktemp("site")
    (folder / "ws_weather_agent.py").write_text("")
    with fresh_database(folder) as url:
        site = ManagedSite(url, folder, MYAGENT_AGENT_DIRS=str(folder))
        with gateway(site) as address:
            yield address
        site.close()


@pytest_asyncio.fixture(loop_scope="session")
async def docs(browser: Browser, site: str, watch: Watch) -> AsyncIterator[Page]:
    context = await browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE_MS)
    page = await context.new_page()
    watch.follow(page)
    await page.goto(f"{site}/docs")
    yield page
    await context.close()


async def test_all_operations_are_shown_with_nothing_from_elsewhere(docs: Page) -> None:
    for path in ("/api/v1/info", "/api/v1/services/{id}/restart"):
        await expect(docs.locator(f'[data-path="{path}"]').first).to_be_visible()


async def test_an_example_can_be_tried_from_the_page(docs: Page) -> None:
    operation = docs.locator(".opblock-post", has_text="Register a service")
    await operation.locator(".opblock-summary-control").click()
    await operation.get_by_role("button", name="Try it out").click()
    await operation.get_by_role("button", name="Execute").click()
    answer = operation.locator(".live-responses-table .response")
    await expect(answer).to_contain_text("201")
    await expect(answer).to_contain_text('"name": "weather"')
