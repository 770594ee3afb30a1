"""The site below a path of a host: no page of it asks for anything outside of that path."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests import accounts
from tests.browser.acting import ask
from tests.conftest import serve as serve_private
from tests.databases import fresh_database
from tests.managed_site import managed_site
from tests.nginx import Nginx
from tests.runners import ROOT

from .conftest import PATIENCE_MS, Watch, connected

BASE = "/agents/"
AT_ROOT = "location / {\n            proxy_pass http://myagent;"
SECRET = "a long secret"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address behind nginx, which has nothing of it elsewhere; ada may do everything."""
    folder = tmp_path_factory.mktemp("below")
    environment = {
        "MYAGENT_AUTH": "token",
        "MYAGENT_BASE_PATH": BASE,
        "MYAGENT_TRUSTED_PROXIES": "127.0.0.1",
    }
    with fresh_database(folder) as url, managed_site(url, folder, **environment) as site:
        serving = site.serve()
        site.register("parrot", ROOT / "tests/agent_files/parrot.py", "--auto-start")
        site.until_runs("parrot")
        accounts.make(site.environment, ada={"is_staff": True, "is_superuser": True})
        port = urlsplit(site.url(serving, "parrot")).port
        assert port is not None
        for nginx in serve_private(Nginx):
            assert isinstance(nginx, Nginx)
            nginx.changes[AT_ROOT] = AT_ROOT.replace("location /", f"location {BASE}")
            nginx.pass_to([port])
            nginx.restart()
            yield nginx.url.rstrip("/") + BASE


@pytest.fixture
def asked(watch: Watch) -> Iterator[list[str]]:
    """The paths of all that a page asks for, of redirections and sockets too."""
    paths: list[str] = []
    yield paths
    assert paths
    outside = [path for path in paths if not path.startswith(BASE)]
    assert outside == []


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, watch: Watch, asked: list[str]) -> AsyncIterator[Page]:
    context = await browser.new_context(locale="en-GB", ignore_https_errors=True)
    context.set_default_timeout(PATIENCE_MS)
    page = await context.new_page()
    watch.follow(page)
    page.on("request", lambda request: see(asked, request.url))
    page.on("websocket", lambda socket: see(asked, socket.url))
    yield page
    await context.close()


def see(asked: list[str], url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme in ("http", "https", "ws", "wss"):
        asked.append(parts.path)


async def log_in(page: Page, site: str, then: str = "") -> None:
    await page.goto(site + then)
    await expect(page).to_have_url(re.compile(f"{BASE}(admin/)?login/"))
    await page.fill("[name=username]", "ada")
    await page.fill("[name=password]", SECRET)
    await page.press("[name=password]", "Enter")
    await expect(page).to_have_url(site + then)


async def test_somebody_walks_through_all_pages(page: Page, site: str) -> None:
    await log_in(page, site)
    await page.locator(".chat-link", has_text="parrot").click()
    await connected(page)
    await ask(page, "30 hello")
    await page.get_by_role("link", name="Show the trace of this run").click()
    await expect(page).to_have_url(re.compile(f"{BASE}traces/.+/$"))
    await expect(page.locator("#title")).to_contain_text("30 hello")
    await page.locator("#conversation").click()
    await connected(page)
    await page.goto(f"{site}traces/")
    await page.locator("td.request a").first.click()
    await expect(page.locator("#title")).to_contain_text("30 hello")
    await page.get_by_role("link", name="简体中文").click()
    await expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
    await page.get_by_role("link", name="English").click()
    await page.goto(f"{site}console")
    await connected(page)
    await page.locator(".service .toggle").first.click()
    chat = page.locator(".service").get_by_role("link", name="Chat: parrot")
    await expect(chat).to_have_attribute("href", f"{site}services/parrot/")


async def test_a_page_that_is_not_there_leads_home(page: Page, site: str, watch: Watch) -> None:
    watch.excuse("404")
    await log_in(page, site)
    await page.goto(f"{site}nowhere")
    await page.locator("main p a").click()
    await expect(page).to_have_url(site)


async def test_the_admin_is_below_it_too(page: Page, site: str) -> None:
    await log_in(page, site, "admin/")
    links = page.locator("#content th a")
    await expect(links.first).to_be_visible()
    addresses = [await link.get_attribute("href") for link in await links.all()]
    assert len(addresses) > 5
    for address in addresses:
        assert address is not None
        await page.goto(site.removesuffix(BASE) + address)
        await expect(page.locator("#content h1")).to_be_visible()
    await page.goto(f"{site}admin/services/service/")
    await page.locator("#result_list tbody a").first.click()
    await expect(page.locator("#content h1")).to_be_visible()
    await page.goto(f"{site}admin/")
    await page.get_by_role("link", name="View site").click()
    await expect(page).to_have_url(site)


async def test_the_interface_is_tried_from_its_page(page: Page, site: str) -> None:
    await log_in(page, site, "docs")
    operation = page.locator(".opblock-get", has_text="What this site is")
    await operation.locator(".opblock-summary-control").click()
    await operation.get_by_role("button", name="Try it out").click()
    await operation.get_by_role("button", name="Execute").click()
    answer = operation.locator(".live-responses-table .response")
    await expect(answer).to_contain_text('"name": "MyAgent Site"')


async def test_the_interface_tells_addresses_below_it(page: Page, site: str) -> None:
    await log_in(page, site)
    schema = await (await page.request.get(f"{site}api/schema/?format=json")).json()
    assert schema["servers"] == [{"url": BASE.rstrip("/")}]
    assert "/api/v1/info" in schema["paths"]
    found = await (await page.request.get(f"{site}api/v1/")).json()
    assert found
    assert all(address.startswith(site) for address in found.values())
    listed = await (await page.request.get(f"{site}api/v1/services")).json()
    [service] = listed["items"]
    assert service["endpoint"] == f"{site.replace('https', 'wss')}services/parrot/"


async def test_cookies_are_for_its_path_alone(page: Page, site: str) -> None:
    await log_in(page, site)
    await page.get_by_role("link", name="English").click()
    await page.goto(f"{site}admin/")
    cookies = {cookie["name"]: cookie for cookie in await page.context.cookies(site + "admin/")}
    assert {"myagent_session", "myagent_csrf", "myagent_lang", "myagent_timezone"} <= set(cookies)
    for name, cookie in cookies.items():
        assert cookie["path"].startswith(BASE), name
        assert cookie["secure"] or name == "myagent_timezone"


async def test_a_module_of_another_page_talks_below_it(page: Page, site: str) -> None:
    await log_in(page, site)
    said = await page.evaluate(
        """async (base) => {
          const { connect } = await import(`${base}static/js/myagent.js`);
          const client = connect(`${base}services/parrot/`);
          return await new Promise((resolve) => {
            client.on("agent.final_answer", ({ content }) => resolve(content));
            client.send("5 hello");
          });
        }""",
        BASE,
    )
    assert said == "hello"


async def test_who_logs_out_is_led_to_the_login(page: Page, site: str) -> None:
    await log_in(page, site)
    await page.click(".log-out")
    await page.click("main button")
    await expect(page).to_have_url(f"{site}login/")
