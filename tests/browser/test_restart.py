"""A chat of the site stays open over all that happens to its service, and misses nothing."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser.acting import answer, ask, say, shown
from tests.browser.conftest import NewPage, connected
from tests.browser.looks import in_every_look
from tests.browser.test_looks import assert_no_sideways_scroll, serious_problems
from tests.databases import fresh_database
from tests.fake_model_control import FakeModelControl
from tests.managed_site import ManagedSite, managed_site

NAME = "工具"


@pytest.fixture(scope="module")
def managed(
    model: FakeModelControl, agent_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ManagedSite]:
    folder = tmp_path_factory.mktemp("managed")
    with (
        fresh_database(folder) as url,
        managed_site(url, folder, **model.environment) as managed,
    ):
        yield managed


@pytest.fixture(scope="module")
def site(managed: ManagedSite, agent_file: Path) -> str:
    """The address of the chat page of a service that runs."""
    serving = managed.serve()
    managed.register(NAME, agent_file, "--auto-start")
    return ManagedSite.url(serving, NAME).replace("ws://", "http://")


@pytest.fixture(autouse=True)
def running(managed: ManagedSite, site: str) -> None:
    managed.services("start", NAME)


COUNT_SOCKETS = """
window.opened = 0;
window.WebSocket = class extends WebSocket {
    constructor(...given) { super(...given); window.opened += 1; }
};"""


async def stayed_open(page: Page) -> None:
    await connected(page)
    assert await page.evaluate("window.opened") == 1


@pytest_asyncio.fixture(loop_scope="session")
async def page(new_page: NewPage) -> Page:
    opened: Page = await new_page()
    await opened.add_init_script(COUNT_SOCKETS)
    await opened.reload()
    await connected(opened)
    return opened


async def test_an_answer_goes_on_after_its_process_was_killed(
    page: Page, managed: ManagedSite, model: FakeModelControl, nonce: str
) -> None:
    text = f"All of this 🎯 and {nonce}, to the end"
    await say(page, f"[[hold {nonce} after=4]] {text}")
    await model.held(nonce)
    (pid,) = await asyncio.to_thread(managed.until_runs, NAME)
    os.kill(pid, signal.SIGKILL)
    await expect(page.locator(".thinking")).to_contain_text("waits for another one")
    await expect(page.locator("#problem")).to_be_hidden()
    await model.release(nonce)
    await expect(answer(page)).to_have_text(f"Answer to: {text}")
    assert await shown(page) == [f"[[hold {nonce} after=4]] {text}", f"Answer to: {text}"]
    await stayed_open(page)


async def test_a_restart_is_not_noticed(page: Page, managed: ManagedSite) -> None:
    await ask(page, "before")
    (before,) = await asyncio.to_thread(managed.until_runs, NAME)
    await asyncio.to_thread(managed.services, "restart", NAME)
    await asyncio.to_thread(managed.until_runs, NAME, not_as={before})
    await ask(page, "after")
    assert await shown(page) == ["before", "Answer to: before", "after", "Answer to: after"]
    await stayed_open(page)


async def test_a_message_to_a_stopped_service_is_taken_when_it_runs_again(
    page: Page, managed: ManagedSite, model: FakeModelControl, nonce: str
) -> None:
    await ask(page, "before")
    await asyncio.to_thread(managed.services, "stop", NAME)
    await say(page, f"is anybody there, {nonce}?")
    await expect(page.locator(".turn").last).to_contain_text("Not taken yet. Trying again")
    await page.reload()
    await connected(page)
    await expect(page.locator(".copy-answer")).to_have_count(1)
    await expect(page.locator(".turn").last).to_contain_text("Not taken yet. Trying again")
    await asyncio.to_thread(managed.services, "start", NAME)
    await expect(answer(page)).to_have_text(f"Answer to: is anybody there, {nonce}?")
    assert len(await model.requests_about(nonce)) == 1


async def test_a_conversation_is_with_its_own_service_alone(
    page: Page, managed: ManagedSite, agent_file: Path, site: str
) -> None:
    await ask(page, "a secret")
    await asyncio.to_thread(managed.register, "other", agent_file, "--auto-start")
    conversation = await page.evaluate("location.hash")
    await page.goto(site.replace(NAME, "other") + conversation)
    await expect(page.locator("#problem")).to_contain_text("no longer there")
    await expect(page.locator(".turn")).to_have_count(0)


async def test_a_page_says_that_its_service_does_not_run_and_goes_on_when_it_does(
    page: Page, managed: ManagedSite
) -> None:
    await asyncio.to_thread(managed.services, "stop", NAME)
    told = page.locator("#link-text")
    await expect(told).to_contain_text("The service does not run")
    await page.reload()
    await connected(page)
    await expect(told).to_contain_text("The service does not run")
    await asyncio.to_thread(managed.services, "start", NAME)
    await expect(told).to_have_text("Connected")
    await ask(page, "and on")
    assert await shown(page) == ["and on", "Answer to: and on"]
    await stayed_open(page)


@pytest.fixture(scope="module")
def broken(managed: ManagedSite, site: str) -> str:
    """The address of the chat page of a service that can't be started."""
    file = managed.write("broken.py", "def broken(")
    managed.services("register", "broken", str(file), "--auto-start", expect=None)
    managed.until_status("broken", "error")
    return site.replace(NAME, "broken")


@in_every_look()
async def test_a_page_says_so_of_one_that_was_given_up(
    new_page: NewPage,
    broken: str,
    axe_script: str,
    tmp_path: Path,
    scheme: Literal["light", "dark"],
    size: dict[str, int],
    lang: str,
) -> None:
    page = await new_page(color_scheme=scheme, viewport=size, reduced_motion="reduce")
    await page.goto(f"{broken}?lang={lang}")
    sentence = "The service does not run" if lang == "en" else "服务没有运行"
    await expect(page.locator("#link-text")).to_contain_text(sentence)
    await expect(page.locator("#link-text")).to_be_in_viewport()
    await page.screenshot(path=tmp_path / "stopped.png")
    await assert_no_sideways_scroll(page)
    assert await serious_problems(page, axe_script) == []
