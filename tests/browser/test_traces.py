"""The pages of traces in a real browser before the real site: live, for everybody, and quick.

Pictures are left in the test's temporary folder, for people to look at.
"""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import pytest
from django.utils import timezone
from playwright.async_api import Page, expect

from myagent.inner_spans import InnerSpan
from tests.browser.conftest import NewPage, Rows, Watch
from tests.browser.looks import in_every_look
from tests.browser.test_looks import serious_problems
from tests.traces.recorded import Story
from traces.models import Span, Trace

pytestmark = pytest.mark.django_db(transaction=True)

MANY = 5_000


@pytest.fixture(scope="module")
def site(site_of_rows: str) -> str:
    return site_of_rows


def told(question: str = "Is it raining?", *, service: str = "weather", fails: bool = False) -> str:
    """The id of a run that called a tool and answered."""
    story = Story(service=service)
    ref = story.ask(question)
    story.think(ref, "look_up")
    story.work(ref, "look_up", "error" if fails else "success", "No such city." if fails else "No.")
    story.answer(ref, "It does not rain.")
    if fails:
        story.rate(ref, -1, "It does.")
    return ref.run_id


def many(count: int, service: str) -> None:
    for number in range(count):
        told(f"meanwhile {number}", service=service)


async def test_the_list_leaves_nothing_out_when_much_came_while_nothing_was_read(
    new_page: NewPage, rows: Rows, watch: Watch
) -> None:
    watch.excuse("ERR_FAILED")
    service = f"busy-{uuid4().hex[:8]}"
    await rows(told, "before", service=service)
    page = await new_page(f"/traces/?service={service}")
    listed = page.locator("#rows tr")
    await expect(listed).to_have_count(1)
    lists = "**/api/v1/traces?*"
    await page.route(lists, lambda route: route.abort())
    await rows(many, 60, service)
    await page.unroute(lists)
    await expect(listed.first).to_contain_text("meanwhile 59")
    await page.locator("#more").click()
    await expect(listed).to_have_count(61)
    await expect(listed.last).to_contain_text("before")


async def test_a_failed_tool_is_found_in_two_clicks(new_page: NewPage, rows: Rows) -> None:
    await rows(told, "A question that fails", fails=True)
    page = await new_page("/traces/")
    await page.get_by_role("link", name="A question that fails").click()
    await page.get_by_role("button", name="Next error").click()
    detail = page.get_by_role("region", name="Details of the step")
    await expect(detail.get_by_role("heading", name="look_up")).to_be_visible()
    await expect(detail.locator(".error-text")).to_contain_text("No such city.")


async def test_filters_are_in_the_address(new_page: NewPage, rows: Rows) -> None:
    await rows(told, "About rain")
    await rows(told, "About news", service="news")
    page = await new_page("/traces/")
    links = page.locator("#rows a")
    await expect(links).to_have_text(["About news", "About rain"])
    await page.get_by_label("Service").fill("news")
    await page.get_by_label("Service").press("Tab")
    await expect(links).to_have_text(["About news"])
    assert page.url.endswith("/traces/?service=news")
    await page.reload()
    await expect(links).to_have_text(["About news"])
    await expect(page.get_by_label("Service")).to_have_value("news")
    await page.go_back()
    await expect(links).to_have_count(2)


async def test_what_people_said_of_answers_is_shown_and_filtered(
    new_page: NewPage, rows: Rows
) -> None:
    story = await rows(Story, service="weather")
    for question, score, comment in (
        ("Liked", 1, ""),
        ("Not liked", -1, "It <i>rains</i>."),
        ("Not rated", None, ""),
    ):
        ref = await rows(story.ask, question)
        await rows(story.answer, ref, "No.", step=1)
        if score is not None:
            await rows(story.rate, ref, score, comment, "user:1")
    page = await new_page("/traces/")
    links = page.locator("#rows a")
    await expect(links).to_have_count(3)
    await expect(page.locator("#rows .given")).to_have_count(2)
    await page.locator("#operations summary").click()
    cells = page.locator("table.feedback tbody td")
    await expect(cells).to_have_text(["weather", "2", "1", "1", "0"])
    for kind, found in (
        ("negative", ["Not liked"]),
        ("positive", ["Liked"]),
        ("without feedback", ["Not rated"]),
        ("with feedback", ["Not liked", "Liked"]),
    ):
        await page.get_by_label("Feedback").select_option(kind)
        await expect(links).to_have_text(found)
    assert page.url.endswith("/traces/?feedback=any")
    await rows(story.rate, ref, 0.5)
    await expect(links).to_have_text(["Not rated", "Not liked", "Liked"])
    given = page.locator("#rows .given").nth(1)
    await expect(given).to_have_attribute("aria-label", "-1: It <i>rains</i>.")
    await page.get_by_role("link", name="Not liked").click()
    await expect(page.locator("#summary")).to_contain_text("-1 (user:1): It <i>rains</i>.")


async def test_a_new_run_comes_into_the_list(new_page: NewPage, rows: Rows) -> None:
    await rows(told, "The first")
    page = await new_page("/traces/")
    await expect(page.locator("#rows a")).to_have_text(["The first"])
    await rows(told, "The second")
    await expect(page.locator("#rows a")).to_have_text(["The second", "The first"])


async def test_the_list_is_read_when_the_socket_has_news_and_not_else(
    new_page: NewPage, rows: Rows
) -> None:
    page = await new_page("/traces/")
    has_greeted, reads = asyncio.Event(), list[str]()
    page.on("websocket", lambda socket: socket.on("framereceived", lambda _: has_greeted.set()))
    page.on("request", lambda request: reads.append(request.url))
    await page.clock.install()
    await page.reload()
    await asyncio.wait_for(has_greeted.wait(), 30)
    await page.clock.fast_forward(1000)
    await page.wait_for_load_state("networkidle")
    before = len(reads)
    await page.clock.fast_forward(60_000)
    assert reads[before:] == [], "it does not ask in vain"
    await rows(told, "News")
    await expect(page.locator("#rows a")).to_have_text(["News"])


async def test_a_list_that_no_socket_serves_asks_by_itself(new_page: NewPage, rows: Rows) -> None:
    page = await new_page("/traces/?service=gone")
    await rows(told, "Of another", service="weather")
    await rows(told, "Of it", service="gone")
    await expect(page.locator("#rows a")).to_have_text(["Of it"])


async def test_charts_show_the_chosen_operation(new_page: NewPage, rows: Rows) -> None:
    await rows(told, fails=True)
    page = await new_page("/traces/")
    await page.locator("#operations summary").click()
    shown = page.locator("#charts [role=img]").first
    await expect(shown).to_have_attribute("aria-label", "Count ≤ 2, Errors ≤ 0")
    await page.get_by_role("button", name="look_up").click()
    await expect(shown).to_have_attribute("aria-label", "Count ≤ 1, Errors ≤ 1")
    await page.get_by_role("button", name="By service").click()
    await expect(page.get_by_role("button", name="weather").first).to_be_visible()


async def test_charts_show_tokens_and_cost_over_time(new_page: NewPage, rows: Rows) -> None:
    trace = await rows(told)
    await rows(lambda: Span.objects.filter(kind=Span.Kind.THINK).update(cost_nano=4_000_000))
    page = await new_page("/traces/")
    await page.locator("#operations summary").click()
    charts = page.locator("#charts [role=img]")
    tokens, cost = charts.nth(2), charts.nth(3)
    await expect(tokens).to_have_attribute("aria-label", "Tokens in ≤ 110, Tokens out ≤ 22")
    await expect(cost).to_have_attribute("aria-label", "Cost ≤ 0.008 USD")
    await page.get_by_role("button", name="look_up").click()
    await expect(charts).to_have_count(2)
    await page.get_by_role("button", name="By model").click()
    await expect(charts).to_have_count(4)
    before = timezone.now() - timedelta(days=3)
    await rows(lambda: Span.objects.filter(trace=trace, step=1).update(ended_at=before))
    await page.get_by_label("Steps that ended").select_option("in the last 7 days")
    await expect(tokens).to_have_attribute("aria-label", "Tokens in ≤ 100, Tokens out ≤ 20")


async def test_a_running_trace_grows(new_page: NewPage, rows: Rows) -> None:
    story = await rows(Story)
    ref = await rows(story.ask, "A long one")
    await rows(story.think, ref, "look_up")
    page = await new_page(f"/traces/{ref.run_id}/")
    steps = page.locator("#rows [role=row]")
    await expect(steps.first).to_contain_text("gpt-large")
    await expect(steps).to_have_count(1)
    await rows(story.work, ref, "look_up", "success", "found")
    await rows(story.answer, ref, "Done.")
    await expect(steps).to_have_count(3)
    await expect(page.locator("#summary")).to_contain_text("answered")
    await expect(page.locator("#link-text")).to_have_text("Ended")


async def test_a_step_has_an_address(new_page: NewPage, rows: Rows) -> None:
    trace = await rows(told)
    page = await new_page(f"/traces/{trace}/")
    await page.locator("#rows [role=row]", has_text="look_up").click()
    detail = page.get_by_role("region", name="Details of the step")
    await expect(detail).to_contain_text('"a": 1')
    await page.reload()
    await expect(detail.get_by_role("heading", name="look_up")).to_be_visible()


async def test_what_a_tool_does_inside_is_below_it(new_page: NewPage, rows: Rows) -> None:
    story = await rows(Story)
    ref = await rows(story.ask, "Look inside")
    await rows(story.think, ref, "look_up")
    page = await new_page(f"/traces/{ref.run_id}/")
    await expect(page.locator("#rows [role=row]")).to_have_count(1)
    query = InnerSpan("a" * 16, "", "query", 1.0, 3.0, attributes={"db.system": "mysql"})
    await rows(story.work, ref, "look_up", "success", "found", spans=[query], spans_left_out=1_301)
    inner = page.locator("#rows [role=row]", has_text="query")
    await expect(inner).to_have_attribute("aria-level", "3")
    await inner.click()
    detail = page.get_by_role("region", name="Details of the step")
    await expect(detail).to_contain_text("mysql")
    await page.locator("#rows [role=row]", has_text="look_up").click()
    await expect(detail).to_contain_text("1,301 more parts of its work were left out")


async def test_a_page_says_why_contents_are_not_shown(
    new_page: NewPage, rows: Rows, settings: Any
) -> None:
    settings.MYAGENT_TRACE_CONTENT = Trace.Content.OFF
    trace = await rows(told)
    page = await new_page(f"/traces/{trace}/")
    await page.locator("#rows [role=row]", has_text="look_up").click()
    detail = page.get_by_role("region", name="Details of the step")
    await expect(detail).to_contain_text("MYAGENT_TRACE_CONTENT hid it")


async def test_the_keyboard_is_enough(new_page: NewPage, rows: Rows) -> None:
    trace = await rows(told)
    page = await new_page(f"/traces/{trace}/")
    steps = page.locator("#rows [role=row]")
    await expect(steps).to_have_count(3)
    grid = page.get_by_role("treegrid")
    await grid.press("ArrowDown")
    await grid.press("ArrowLeft")
    await expect(steps).to_have_count(2)
    await grid.press("ArrowRight")
    await grid.press("ArrowRight")
    await expect(page.locator("[aria-selected=true]")).to_contain_text("look_up")
    await grid.press("Enter")
    await expect(page.get_by_role("region", name="Details of the step")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(grid).to_be_focused()
    await grid.press("/")
    await page.keyboard.type("does not rain")
    await expect(steps).to_have_count(1)


async def test_a_trace_is_downloaded(new_page: NewPage, rows: Rows) -> None:
    trace = await rows(told)
    page = await new_page(f"/traces/{trace}/")
    await expect(page.locator("#rows [role=row]")).to_have_count(3)
    async with page.expect_download() as waiting:
        await page.get_by_role("button", name="Download as JSON").click()
    download = await waiting.value
    file = await download.path()
    kept = json.loads(await asyncio.to_thread(file.read_text, encoding="utf-8"))
    assert (kept["trace"]["trace_id"], len(kept["spans"])) == (trace, 3)


def long_one() -> str:
    trace = Trace.objects.get(pk=told("A long one"))
    start = trace.started_at
    Span.objects.bulk_create(
        Span(
            trace=trace,
            span_id=f"{place:016x}",
            kind=Span.Kind.TOOL,
            name=f"tool_{place}",
            status=Span.Status.SUCCESS,
            attempt=2,
            step=place,
            started_at=start + timedelta(milliseconds=place),
            ended_at=start + timedelta(milliseconds=place + 5),
            duration_ms=5,
        )
        for place in range(MANY)
    )
    return trace.pk


async def test_thousands_of_steps_are_scrolled(new_page: NewPage, rows: Rows) -> None:
    trace = await rows(long_one)
    page = await new_page(f"/traces/{trace}/")
    grid = page.get_by_role("treegrid")
    await expect(grid).to_have_attribute("aria-rowcount", str(MANY + 4))
    steps = page.locator("#rows [role=row]")
    assert await steps.count() < 200
    await grid.press("End")
    await expect(page.locator("[aria-selected=true]")).to_contain_text(f"tool_{MANY - 1}")
    await expect(page.locator("[aria-selected=true]")).to_be_in_viewport()
    assert await steps.count() < 200


FOREST = """async (spans) => {
    const forest = await import("/static/js/traces/forest.js");
    const roots = forest.plant(spans);
    const namesOf = (nodes) => nodes.map(({ span, depth }) => "-".repeat(depth) + span.span_id);
    const all = { from: 0, to: 100 };
    return {
        rows: namesOf(forest.rowsOf(roots)),
        collapsed: namesOf(forest.rowsOf(roots, { collapsed: new Set(["a"]) })),
        searched: namesOf(forest.rowsOf(roots, { words: "NAME OF C" })),
        errorsFirst: namesOf(forest.rowsOf(roots, { errorsFirst: true })),
        critical: [...forest.criticalPath(spans, 100)],
        bar: forest.barOf(spans[1], all, 100),
        growing: forest.barOf(spans[4], all, 90),
        zoomed: forest.zoomed(all, all, 2, 50),
        atTheEdge: forest.zoomed(all, all, 2, 0),
        nextFailed: forest.nextFailed(forest.rowsOf(roots), -1),
    };
}"""


async def test_steps_are_arranged_as_they_were_called(new_page: NewPage) -> None:
    page = await new_page("/traces/")

    def span(id: str, start: int, end: int | None, **more: Any) -> dict[str, Any]:
        times = {"started_at": start, "ended_at": end}
        at = {
            key: None if ms is None else f"1970-01-01T00:00:00.{ms:03}Z"
            for key, ms in times.items()
        }
        plain = {"span_id": id, "name": f"name of {id}", "status": "success", "error": ""}
        return plain | at | {"parent_span_id": None, "inputs": None, "outputs": None} | more

    shown = await page.evaluate(
        FOREST,
        [
            span("a", 0, 10),
            span("b", 10, 30, parent_span_id="a"),
            span("c", 10, 50, parent_span_id="a"),
            span("d", 50, 60, status="error", parent_span_id="lost"),
            span("e", 60, None, status="running"),
        ],
    )
    assert shown["rows"] == ["a", "-b", "-c", "d", "e"]
    assert shown["collapsed"] == ["a", "d", "e"]
    assert shown["searched"] == ["a", "-c"]
    assert shown["errorsFirst"] == ["d", "a", "-b", "-c", "e"]
    assert sorted(shown["critical"]) == ["a", "c", "d", "e"]
    assert shown["bar"] == {"left": 0.1, "width": 0.2}
    assert shown["growing"] == {"left": 0.6, "width": 0.3}
    assert shown["zoomed"] == {"from": 25, "to": 75}
    assert shown["atTheEdge"] == {"from": 0, "to": 50}
    assert shown["nextFailed"] == 3


async def test_a_tool_waits_for_some_parts_of_its_work(new_page: NewPage) -> None:
    page = await new_page("/traces/")

    def span(id: str, kind: str, start: int, end: int, parent: str | None) -> dict[str, Any]:
        at = [f"1970-01-01T00:00:00.{ms:03}Z" for ms in (start, end)]
        known = {"span_id": id, "kind": kind, "parent_span_id": parent, "status": "success"}
        return known | {"started_at": at[0], "ended_at": at[1]}

    critical = await page.evaluate(
        """async (spans) => {
            const { criticalPath } = await import("/static/js/traces/forest.js");
            return [...criticalPath(spans, 0)];
        }""",
        [
            span("reply", "think", 0, 10, None),
            span("slow", "tool", 10, 60, "reply"),
            span("fast", "tool", 10, 30, "reply"),
            span("query", "work", 12, 55, "slow"),
            span("cache", "work", 12, 20, "slow"),
            span("rows", "work", 20, 54, "query"),
            span("other", "work", 12, 29, "fast"),
            span("itself", "work", 0, 60, "itself"),
        ],
    )
    assert sorted(critical) == ["query", "reply", "rows", "slow"]


async def test_there_is_a_sentence_for_what_is_not_there(new_page: NewPage, site: str) -> None:
    page = await new_page("/traces/")
    await expect(page.locator("#none")).to_contain_text("No run is recorded yet.")


@in_every_look()
async def test_everybody_can_use_both_pages(
    new_page: NewPage,
    rows: Rows,
    axe_script: str,
    tmp_path: Path,
    scheme: Literal["light", "dark"],
    size: dict[str, int],
    lang: str,
) -> None:
    trace = await rows(told, fails=True)
    await rows(told, "上海今天下雨吗？需要带伞吗？" * 6, service="天气")
    look: dict[str, Any] = {"color_scheme": scheme, "viewport": size, "reduced_motion": "reduce"}
    page = await new_page(f"/traces/?lang={lang}", **look)
    await expect(page.locator("#rows a")).to_have_count(2)
    await page.locator("#operations summary").click()
    await expect(page.locator("#charts canvas")).to_have_count(3)
    await judge(page, axe_script, tmp_path / "list.png")
    await page.goto(f"{page.url.split('?')[0]}{trace}/")
    await page.locator("#rows [role=row]", has_text="look_up").click()
    await judge(page, axe_script, tmp_path / "trace.png")


async def judge(page: Page, axe_script: str, picture: Path) -> None:
    await page.screenshot(path=picture)
    wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not await page.evaluate(wide)
    assert await serious_problems(page, axe_script) == []
