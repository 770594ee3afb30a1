"""Two traces side by side in a real browser: what differs is seen, by mouse and by keyboard."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import NewPage, Rows, Watch
from tests.browser.looks import in_every_look
from tests.browser.test_traces import judge, long_one, told
from tests.traces.recorded import Story

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def site(site_of_rows: str) -> str:
    return site_of_rows


def two(question: str = "Is it raining?") -> tuple[str, str]:
    """A run that called a tool, and one in which that failed and another was called."""
    first = told(question)
    story = Story(service="weather")
    ref = story.ask(question)
    story.think(ref, "look_up")
    story.work(ref, "look_up", "error", "No such city.")
    story.think(ref, "guess", step=2)
    story.work(ref, "guess", "success", "Perhaps.", step=2)
    story.answer(ref, "Perhaps it rains.", step=3)
    return first, ref.run_id


def address(first: str, second: str) -> str:
    return f"/traces/compare/?a={first}&b={second}"


def rows_of(page: Page) -> Any:
    return page.locator("#rows [role=row]")


async def test_steps_stand_beside_each_other_and_what_differs_is_said(
    new_page: NewPage, rows: Rows
) -> None:
    page = await new_page(address(*await rows(two)))
    names = page.locator("#rows .span-name")
    await expect(names).to_have_text(["gpt-large", "look_up", "gpt-large", "guess", "gpt-large"])
    await expect(page.locator("#rows .differs")).to_have_text(
        ["", "status · result", "given · result", "only in the second", "only in the second"]
    )
    totals = page.locator("#totals")
    await expect(totals.get_by_role("row", name="Steps")).to_contain_text("+1")
    await expect(totals.get_by_role("row", name="Tokens")).to_contain_text("+120")
    await rows_of(page).nth(1).click()
    detail = page.get_by_role("region", name="Details of the step")
    await expect(detail.locator(".side").first).to_contain_text("No.")
    await expect(detail.locator(".side").last).to_contain_text("No such city.")
    await expect(detail.locator(".side").first.locator(".is-other h3")).to_have_text(["Result"])


async def test_runs_that_did_the_same_do_not_differ(new_page: NewPage, rows: Rows) -> None:
    first, second = await rows(told), await rows(told)
    page = await new_page(address(first, second))
    await expect(rows_of(page)).to_have_count(3)
    await page.get_by_role("button", name="Only what differs").click()
    await expect(page.locator("#no-steps")).to_have_text("No step differs.")
    await expect(page.get_by_role("button", name="Next difference")).to_be_disabled()


async def test_two_are_chosen_in_the_list(new_page: NewPage, rows: Rows) -> None:
    await rows(told, "oldest")
    await rows(told, "older")
    await rows(told, "newest")
    page = await new_page("/traces/")
    boxes = page.get_by_role("checkbox", name="Choose for a comparison")
    compare = page.get_by_role("link", name="Compare the two chosen")
    await boxes.nth(0).check()
    await expect(compare).to_be_hidden()
    await boxes.nth(1).check()
    await boxes.nth(2).check()
    await expect(boxes.nth(0)).not_to_be_checked()
    await compare.click()
    await expect(page.locator("#title")).to_have_text("oldest · older")
    await page.get_by_role("link", name="中文").click()
    await expect(page.locator("#title")).to_have_text("oldest · older")


async def test_a_comparison_is_read_by_keyboard(new_page: NewPage, rows: Rows) -> None:
    page = await new_page(address(*await rows(two)))
    grid = page.get_by_role("treegrid")
    await expect(rows_of(page)).to_have_count(5)
    await grid.press("e")
    chosen = page.locator("[aria-selected=true]")
    await expect(chosen).to_contain_text("look_up")
    await grid.press("ArrowDown")
    await grid.press("Enter")
    await expect(page.get_by_role("region", name="Details of the step")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(grid).to_be_focused()
    await grid.press("End")
    await expect(chosen).to_contain_text("only in the second")


async def test_thousands_of_steps_are_compared(new_page: NewPage, rows: Rows) -> None:
    page = await new_page(address(await rows(told), await rows(long_one)))
    grid = page.get_by_role("treegrid")
    await expect(grid).to_have_attribute("aria-rowcount", "5004")
    assert await rows_of(page).count() < 200


async def test_a_run_that_goes_on_is_read_again(new_page: NewPage, rows: Rows) -> None:
    story = await rows(Story)
    ref = await rows(story.ask, "A long one")
    page = await new_page(address(await rows(told), ref.run_id))
    await expect(page.locator("#link-text")).to_have_text("Live")
    await rows(story.answer, ref, "Done.", step=1)
    await expect(page.locator("#link-text")).to_have_text("Ended")
    await expect(page.locator("#totals").get_by_role("row", name="Status")).to_contain_text(
        "answered"
    )


async def test_a_chosen_step_stays_chosen_when_the_other_run_comes_to_it(
    new_page: NewPage, rows: Rows
) -> None:
    story = await rows(Story)
    ref = await rows(story.ask, "Is it raining?")
    await rows(story.think, ref, "look_up")
    page = await new_page(address(await rows(told), ref.run_id))
    await rows_of(page).nth(1).click()
    detail = page.get_by_role("region", name="Details of the step")
    await expect(detail.locator(".side").last).to_contain_text("no such step")
    await rows(story.work, ref, "look_up", "error", "No such city.")
    await expect(detail.locator(".side").last).to_contain_text("No such city.")
    await expect(page.locator("[aria-selected=true]")).to_contain_text("look_up")


async def test_a_trace_that_is_not_there_is_said_so(
    new_page: NewPage, rows: Rows, watch: Watch
) -> None:
    watch.excuse("status of 404")
    page: Page = await new_page("/traces/")
    await page.goto(page.url + f"compare/?a={await rows(told)}&b=none")
    await expect(page.get_by_role("alert")).to_have_text("There is no trace 'none'.")


@in_every_look()
async def test_everybody_can_compare(
    new_page: NewPage,
    rows: Rows,
    axe_script: str,
    tmp_path: Path,
    scheme: Literal["light", "dark"],
    size: dict[str, int],
    lang: str,
) -> None:
    first, second = await rows(two, "上海今天下雨吗？需要带伞吗？" * 4)
    look: dict[str, Any] = {"color_scheme": scheme, "viewport": size, "reduced_motion": "reduce"}
    page = await new_page(f"{address(first, second)}&lang={lang}", **look)
    await expect(rows_of(page)).to_have_count(5)
    await judge(page, axe_script, tmp_path / "rows.png")
    await rows_of(page).nth(1).click()
    await judge(page, axe_script, tmp_path / "compared.png")
