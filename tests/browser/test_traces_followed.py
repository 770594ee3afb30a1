"""Pages of traces follow what happens, after a run's end as well, and say what they can't show."""

from __future__ import annotations

from uuid import uuid4

import pytest
from playwright.async_api import Page, Route, expect

from tests.browser.conftest import NewPage, Rows, Watch
from tests.browser.test_traces import told
from tests.traces.recorded import Story
from traces.models import Trace
from traces.rerunning import Rerun

pytestmark = pytest.mark.django_db(transaction=True)

LISTS = "**/api/v1/traces?*"
SPANS = "**/api/v1/traces/*/spans?*"


@pytest.fixture(scope="module")
def site(site_of_rows: str) -> str:
    return site_of_rows


def run_again(trace: str) -> str:
    """The id of a run again, which nobody does."""
    return Rerun(Trace.objects.get(pk=trace), step=1, principal=None).write().pk


async def ended(page: Page) -> None:
    await expect(page.locator("#link-text")).to_have_text("Ended")


async def test_what_is_said_of_an_ended_run_is_seen_on_its_open_page(
    new_page: NewPage, rows: Rows
) -> None:
    story = await rows(Story, service="weather")
    ref = await rows(story.ask, "Is it raining?")
    await rows(story.answer, ref, "No.", step=1)
    page = await new_page(f"/traces/{ref.run_id}/")
    await ended(page)
    summary = page.locator("#summary")
    await rows(story.rate, ref, -1, "It does.")
    await expect(summary).to_contain_text("-1: It does.")
    await rows(story.rate, ref, 1, "Not any more.")
    await expect(summary).to_contain_text("+1: Not any more.")
    await rows(story.rate, ref, None)
    await expect(summary).not_to_contain_text("Not any more.")
    await ended(page)


async def test_a_run_again_is_seen_on_the_open_page_of_what_it_runs_again(
    new_page: NewPage, rows: Rows
) -> None:
    trace = await rows(told)
    page = await new_page(f"/traces/{trace}/")
    await ended(page)
    await expect(page.locator("#lineage")).to_be_hidden()
    again = await rows(run_again, trace)
    link = page.get_by_role("link", name="Was run again from step 1, ")
    await expect(link).to_have_attribute("href", f"/traces/{again}/")


async def test_an_ended_run_is_not_asked_for_in_vain(new_page: NewPage, rows: Rows) -> None:
    trace = await rows(told)
    page = await new_page(f"/traces/{trace}/")
    await page.clock.install()
    await page.reload()
    await ended(page)
    await page.clock.fast_forward(1000)
    await page.wait_for_load_state("networkidle")
    reads = list[str]()
    page.on("request", lambda request: reads.append(request.url))
    await page.clock.fast_forward(60_000)
    await page.wait_for_load_state("networkidle")
    assert [each for each in reads if "/api/" in each] == []


async def test_what_does_not_match_any_more_leaves_the_list(new_page: NewPage, rows: Rows) -> None:
    story = await rows(Story, service=f"rated-{uuid4().hex[:8]}")
    refs = [await rows(story.ask, f"Question {number}") for number in range(3)]
    for number, ref in enumerate(refs):
        await rows(story.answer, ref, "No.", step=1)
        if number < 2:
            await rows(story.rate, ref, -1)
    page = await new_page(f"/traces/?service={story.service}&feedback=negative")
    links = page.locator("#rows a")
    await expect(links).to_have_text(["Question 1", "Question 0"])
    await links.first.focus()
    await rows(story.rate, refs[0], 1)
    await expect(links).to_have_text(["Question 1"])
    await expect(links.first).to_be_focused()
    await rows(story.rate, refs[2], -1)
    await expect(links).to_have_text(["Question 2", "Question 1"])
    await rows(story.rate, refs[1], None)
    await rows(story.rate, refs[2], None)
    await expect(page.locator("#none")).to_have_text("No trace matches.")


LISTED = """async (answers) => {
    const { Listed } = await import("/static/js/traces/listed.js");
    const answer = ([items, cursor = null, complete = true]) =>
        ({ items: items.map((id) => ({ trace_id: id })), cursor, complete });
    return answers.map((given) => {
        const list = new Listed(3);
        for (const [how, ...parts] of given) {
            if (how === "older") list.add(answer(parts), list.reach());
            else list.renew(answer(parts));
        }
        const ids = list.items.map(({ trace_id: id }) => id).join("");
        return [ids, list.cursor];
    });
}"""

FEW = ["new", ["f", "e", "d"], "d"]


async def test_a_list_keeps_as_many_rows_as_somebody_asked_for(new_page: NewPage) -> None:
    page = await new_page("/traces/")
    older = ["older", ["c", "b", "a"]]
    cases = {
        "a new one comes, and the oldest goes": ([FEW, ["new", ["g", "f", "e"], "e"]], "gfe"),
        "somebody asked for older ones": ([FEW, older], "fedcba"),
        "then a read has all of them": (
            [FEW, older, ["new", ["g", "f", "e", "d", "c", "b"], "b"]],
            "gfedcb",
        ),
        "one of them does not match any more": (
            [FEW, older, ["new", ["f", "e", "c", "b", "a"]]],
            "fecba",
        ),
        "more came than a read holds": ([FEW, older, ["new", ["z", "y", "x"], "x"]], "zyx"),
        "what lies deeper stays when little was looked through": (
            [["new", [], "m", False], ["older", ["c"], "b", False], ["new", ["n"], "k", False]],
            "nc",
        ),
        "nothing matches any more": ([FEW, ["new", []]], ""),
    }
    found = await page.evaluate(LISTED, [given for given, _ in cases.values()])
    shown = dict(zip(cases, (each[0] for each in found), strict=True))
    assert shown == {name: wanted for name, (_, wanted) in cases.items()}
    ends = dict(zip(cases, (each[1] for each in found), strict=True))
    assert ends == {
        "a new one comes, and the oldest goes": "e",
        "somebody asked for older ones": None,
        "then a read has all of them": "b",
        "one of them does not match any more": None,
        "more came than a read holds": "x",
        "what lies deeper stays when little was looked through": "b",
        "nothing matches any more": None,
    }


async def test_an_error_of_the_page_itself_is_no_lost_connection(
    new_page: NewPage, rows: Rows, watch: Watch
) -> None:
    watch.excuse("exception: ")
    story = await rows(Story, service="weather")
    ref = await rows(story.ask, "Is it raining?")
    await rows(story.answer, ref, "No.", step=1)
    trace = ref.run_id
    page = await new_page("/traces/")
    wrong = list[str]()
    page.on("pageerror", lambda error: wrong.append(str(error)))

    async def nonsense(route: Route) -> None:
        await route.fulfill(json={"trace_id": trace, "usage": 7})

    await page.route(f"**/api/v1/traces/{trace}", nonsense)
    await page.goto(page.url + trace + "/")
    await expect(page.get_by_role("alert")).to_have_text(
        "This page has failed; what went wrong is in the browser's console."
    )
    await expect(page.locator("#link-text")).to_have_text("Not shown")
    assert wrong
    # It lives on: with the next news, it reads again.
    await page.unroute(f"**/api/v1/traces/{trace}")
    await rows(story.rate, ref, 1)
    await ended(page)
    await expect(page.get_by_role("alert")).to_be_hidden()


async def test_steps_that_cant_be_read_are_not_said_to_be_missing(
    new_page: NewPage, rows: Rows, watch: Watch
) -> None:
    watch.excuse("status of 500")
    trace = await rows(told)
    page = await new_page("/traces/")
    sentence = "The steps are broken."

    async def fail(route: Route) -> None:
        await route.fulfill(status=500, json={"detail": sentence})

    await page.route(SPANS, fail)
    await page.goto(page.url + trace + "/")
    alert = page.get_by_role("alert")
    await expect(page.locator("#link-text")).to_have_text("Trying again")
    await expect(alert).to_have_text(f"Not everything could be read: {sentence}")
    await expect(page.locator("#no-steps")).to_be_hidden()
    await page.unroute(SPANS)
    await expect(page.locator("#rows [role=row]")).to_have_count(3)
    await expect(alert).to_be_hidden()


async def test_compared_runs_are_not_read_whole_at_each_news(new_page: NewPage, rows: Rows) -> None:
    story = await rows(Story)
    ref = await rows(story.ask, "A long one")
    for step in (1, 2, 3):
        await rows(story.think, ref, "look_up", step=step)
        await rows(story.work, ref, "look_up", "success", "found", step=step)
    page = await new_page(f"/traces/compare/?a={await rows(told)}&b={ref.run_id}")
    await expect(page.locator("#rows [role=row]")).to_have_count(6)
    await page.wait_for_load_state("networkidle")
    reads = list[str]()
    page.on("request", lambda request: reads.append(request.url))
    await rows(story.answer, ref, "Done.", step=4)
    await ended(page)
    spans = [each for each in reads if "/spans?" in each]
    assert spans
    assert [each for each in spans if each.endswith("cursor=0")] == []


async def test_runs_again_are_marked_in_the_list(new_page: NewPage, rows: Rows) -> None:
    await rows(run_again, await rows(told))
    page = await new_page("/traces/")
    mark = page.get_by_role("img", name="Runs another run again, from step 1")
    await expect(page.locator("#rows tr").first.locator(mark)).to_have_count(1)
    await expect(mark).to_have_count(1)


async def test_the_name_of_a_step_has_room_on_a_phone(new_page: NewPage, rows: Rows) -> None:
    trace = await rows(told, fails=True)
    page = await new_page(f"/traces/{trace}/", viewport={"width": 390, "height": 800})
    name = page.locator("#rows [role=row]", has_text="look_up").locator(".span-name")
    assert await name.evaluate("(name) => name.scrollWidth <= name.clientWidth")


@pytest.mark.parametrize("bad", ["none", "no/such"])
async def test_a_comparison_says_which_trace_is_not_there(
    new_page: NewPage, rows: Rows, watch: Watch, bad: str
) -> None:
    watch.excuse("status of 404")
    page = await new_page("/traces/")
    await page.goto(page.url + f"compare/?a={await rows(told)}&b={bad}")
    await expect(page.get_by_role("alert")).to_have_text(f"There is no trace '{bad}'.")


async def test_a_comparison_of_nothing_says_what_it_needs(new_page: NewPage, rows: Rows) -> None:
    page = await new_page("/traces/")
    await page.goto(page.url + f"compare/?a={await rows(told)}")
    await expect(page.get_by_role("alert")).to_have_text(
        "The page's address names two traces: ?a=ID&b=ID."
    )
