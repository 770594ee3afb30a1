"""The recipes of docs/frontend.md as they stand there, in a real browser, on another origin."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.browser.conftest import PATIENCE_MS, Serve
from tests.browser.elsewhere import Service, bundle, installed_modules, is_lost, served
from tests.fake_model_control import FakeModelControl
from tests.runners import ROOT

DOCUMENT = (ROOT / "docs" / "frontend.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<code>.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = {block["language"]: block["code"] for block in BLOCK.finditer(DOCUMENT)}
EXAMPLE = "localhost:8080"
MAIN = {
    "vue": 'import { createApp } from "vue"; import Chat from "./Chat.vue";'
    'createApp(Chat).mount("#app");',
    "jsx": 'import { createRoot } from "react-dom/client"; import Chat from "./Chat.jsx";'
    'createRoot(document.querySelector("#app")).render(<Chat />);',
}
RECIPES = ("html", *MAIN)

Files = Callable[[str], Path]


@pytest.fixture(scope="session")
def modules() -> Path:
    return installed_modules()


@pytest.fixture(scope="module")
def service(serve: Serve) -> Iterator[Service]:
    with closing(Service(serve)) as service:
        yield service


@pytest.fixture(scope="module")
def files(modules: Path, service: Service, tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Makes a recipe into a folder to serve, its address that of the module's runner."""

    def make(language: str) -> Path:
        folder = tmp_path_factory.mktemp(language)
        assert EXAMPLE in BLOCKS[language]
        code = BLOCKS[language].replace(EXAMPLE, f"127.0.0.1:{service.port}")
        if language == "html":
            (folder / "index.html").write_text(code, encoding="utf-8")
            return folder
        (folder / f"Chat.{language}").write_text(code, encoding="utf-8")
        bundle(modules, folder, MAIN[language])
        return folder

    return make


@pytest.fixture(scope="module", params=RECIPES)
def address(request: pytest.FixtureRequest, files: Files) -> Iterator[str]:
    """Where a recipe is served: not where the agent is."""
    with served(files(request.param)) as address:
        yield address


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, address: str) -> AsyncIterator[Page]:
    """The recipe's page, connected, without an error but for a server that is gone."""
    wrong: list[str] = []
    page = await browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda line: line.type == "error" and wrong.append(line.text))
    async with page.expect_websocket():
        await page.goto(address)
    yield page
    await page.close()
    assert [line for line in wrong if "favicon" not in line and not is_lost(line)] == []


async def say(page: Page, text: str) -> None:
    """Says something, again and again until the page takes it."""
    box = page.locator("input[name=query]")
    await box.fill(text)
    while await box.input_value():
        await box.press("Enter")
        await page.wait_for_timeout(50)


def texts(page: Page) -> Any:
    return page.locator(".text")


async def test_a_recipe_writes_an_answer_as_it_comes(
    page: Page, model: FakeModelControl, nonce: str
) -> None:
    await say(page, f"[[hold {nonce} after=4]] 写给 <b>you</b> {nonce}")
    await model.held(nonce)
    await expect(texts(page)).to_contain_text("Answer")
    await expect(page.locator(".query")).to_contain_text(f"写给 <b>you</b> {nonce}")
    await expect(texts(page)).not_to_contain_text(nonce)
    await model.release(nonce)
    await expect(texts(page)).to_have_text(f"Answer to: 写给 <b>you</b> {nonce}")


async def test_a_recipe_shows_tools_and_keeps_what_was_said_before(
    page: Page, model: FakeModelControl, nonce: str
) -> None:
    await say(page, f"[[tool wait]] {nonce}")
    await expect(page.get_by_role("status")).to_have_text("wait…")
    await page.get_by_role("button", name="Stop").click()
    await expect(page.get_by_role("status")).to_have_text("")
    await say(page, f'[[say Let me see.]] [[tool add {{"a": 1, "b": 2}}]] {nonce}')
    last = texts(page).last
    await expect(last).to_have_text(f"Let me see.\n\nAnswer to: {nonce} (results: 3)")


async def test_a_recipe_stops_an_answer_and_goes_on(
    page: Page, model: FakeModelControl, nonce: str
) -> None:
    await say(page, f"[[hold {nonce} after=4]] long {nonce}")
    await expect(texts(page)).to_contain_text("Answer")
    await page.get_by_role("button", name="Stop").click()
    await say(page, f"next {nonce}")
    await expect(texts(page).last).to_have_text(f"Answer to: next {nonce}")


@pytest.mark.long
async def test_a_recipe_takes_queries_while_the_agent_works(
    page: Page, model: FakeModelControl, nonce: str
) -> None:
    await say(page, f"[[hold {nonce} after=4]] one {nonce}")
    await model.held(nonce)
    await say(page, f"two {nonce}")
    await model.release(nonce)
    await expect(texts(page)).to_have_text([f"Answer to: {n} {nonce}" for n in ("one", "two")])


@pytest.mark.long
async def test_a_recipe_takes_back_what_was_written_in_vain(page: Page, nonce: str) -> None:
    await say(page, f"[[drop after=4 times=1]] {nonce}")
    await expect(texts(page)).to_have_text(f"Answer to: {nonce}")


async def test_a_recipe_says_what_went_wrong(page: Page, nonce: str) -> None:
    await say(page, f"[[status 401]] {nonce}")
    await expect(page.locator(".error")).to_have_count(1)
    await say(page, f"again {nonce}")
    await expect(texts(page).last).to_have_text(f"Answer to: again {nonce}")


async def test_a_recipe_finishes_an_answer_whose_runner_was_killed(
    page: Page, model: FakeModelControl, service: Service, nonce: str
) -> None:
    await say(page, f"before {nonce}")
    await expect(texts(page)).to_have_text(f"Answer to: before {nonce}")
    said = f'[[say Look.]] [[tool add {{"a": 1, "b": 2}}]] [[hold {nonce} after=4 times=1 step=2]]'
    await say(page, f"{said} 断了 {nonce}")
    await model.held(nonce)
    await expect(texts(page).nth(1)).to_contain_text("Answer")
    service.kill()
    await asyncio.to_thread(service.restart)
    whole = f"Look.\n\nAnswer to: 断了 {nonce} (results: 3)"
    await expect(texts(page)).to_have_text([f"Answer to: before {nonce}", whole])
    await say(page, f"after {nonce}")
    await expect(texts(page).last).to_have_text(f"Answer to: after {nonce}")
    await expect(texts(page)).to_have_count(3)


async def test_the_module_for_the_full_protocol_is_at_its_address(
    browser: Browser, address: str, service: Service, nonce: str
) -> None:
    code = BLOCKS["js"].replace(EXAMPLE, f"127.0.0.1:{service.port}")
    page = await browser.new_page()
    told: list[str] = []
    page.on("console", lambda line: told.append(line.text))
    await page.goto(address)
    async with page.expect_console_message(lambda line: "Answer to: What is" in line.text):
        await page.add_script_tag(content=code, type="module")
    await page.close()
