"""Connections break, runners die: the page says so, comes back, and shows every character once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.async_api import Page, expect

from tests.browser.acting import answer, ask, say, shown
from tests.browser.conftest import Serve, Watch, connected
from tests.fake_model_control import FakeModelControl


class Runners:
    """One runner after the other on the same port."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self.current = serve()

    @property
    def url(self) -> str:
        return self.current.url

    def kill(self) -> None:
        self.current.kill()

    def restart(self) -> None:
        self.current.__exit__()
        self.current = self._serve(port=self.current.port)


@pytest.fixture(scope="module")
def runner(serve: Serve) -> Iterator[Runners]:
    runners = Runners(serve)
    yield runners
    runners.current.__exit__()


@pytest.fixture(autouse=True)
def gone_servers_are_no_surprise(watch: Watch) -> None:
    watch.excuse("WebSocket connection to")
    watch.excuse("Failed to load resource: net::ERR_CONNECTION")


async def test_an_answer_is_finished_after_its_runner_was_killed(
    page: Page, runner: Runners, model: FakeModelControl, nonce: str
) -> None:
    text = f"All of this, 也包括中文 🎯 and {nonce}, to the end"
    await ask(page, "before")
    await say(page, f"[[hold {nonce} after=4]] {text}")
    await model.held(nonce)
    await expect(answer(page)).to_contain_text("Answer to: All")
    runner.kill()
    await expect(page.locator("#link-state")).to_have_attribute("data-state", "waiting")
    await expect(page.locator("#link-text")).to_contain_text("Reconnecting")
    await model.release(nonce)
    runner.restart()
    await connected(page)
    await expect(page.locator(".copy-answer")).to_have_count(2)
    said = ["before", "Answer to: before", f"[[hold {nonce} after=4]] {text}", f"Answer to: {text}"]
    assert await shown(page) == said
    await page.reload()
    await expect(page.locator(".copy-answer")).to_have_count(2)
    assert await shown(page) == said


async def test_what_is_said_while_nobody_listens_is_sent_once_when_somebody_does(
    page: Page, runner: Runners, model: FakeModelControl, nonce: str
) -> None:
    await ask(page, "before")
    runner.kill()
    await expect(page.locator("#link-state")).to_have_attribute("data-state", "waiting")
    await say(page, f"into the dark {nonce}")
    await expect(page.locator(".turn").last).to_contain_text("Sending")
    # Not even a reload loses it.
    runner.restart()
    await page.reload()
    await expect(answer(page)).to_have_text(f"Answer to: into the dark {nonce}")
    assert (await shown(page)).count(f"into the dark {nonce}") == 1
    assert len(await model.requests_about(nonce)) == 1


async def test_what_is_said_while_nobody_listens_waits_for_its_conversation(
    page: Page, runner: Runners, model: FakeModelControl, nonce: str
) -> None:
    await ask(page, "before")
    runner.kill()
    await expect(page.locator("#link-state")).to_have_attribute("data-state", "waiting")
    await say(page, f"into the dark {nonce}")
    await expect(page.locator(".turn").last).to_contain_text("Sending")
    await page.get_by_role("button", name="New conversation").click()
    await expect(page.locator(".turn")).to_have_count(0)
    runner.restart()
    await page.locator("#conversations a").click()
    await expect(answer(page)).to_have_text(f"Answer to: into the dark {nonce}")
    assert len(await model.requests_about(nonce)) == 1


async def test_a_thumb_that_was_pressed_while_nobody_listened_is_kept(
    page: Page, runner: Runners
) -> None:
    turn = await ask(page, "before")
    runner.kill()
    await expect(page.locator("#link-state")).to_have_attribute("data-state", "waiting")
    for name in ("Good answer", "Bad answer"):
        await turn.get_by_role("button", name=name).click()
    runner.restart()
    await page.evaluate("document.getElementById('reconnect').click()")
    await connected(page)
    await ask(page, "here again")
    await page.reload()
    thumb = page.locator(".turn").first.get_by_role("button", name="Bad answer")
    await expect(thumb).to_have_attribute("aria-pressed", "true")


async def test_trying_now_does_not_wait_for_the_next_try(page: Page, runner: Runners) -> None:
    runner.kill()
    retry = page.get_by_role("button", name="Try now")
    await expect(retry).to_be_visible()
    runner.restart()
    await page.evaluate("document.getElementById('reconnect').click()")
    await connected(page)
    await ask(page, "here again")


async def test_a_question_outlives_its_runner(page: Page, runner: Runners) -> None:
    await say(page, '[[tool order {"item": "tea"}]] order')
    await expect(page.locator(".confirm")).to_be_visible()
    runner.kill()
    runner.restart()
    await connected(page)
    await page.get_by_role("button", name="Approve").click()
    await expect(answer(page)).to_contain_text("ordered 1 × tea")
