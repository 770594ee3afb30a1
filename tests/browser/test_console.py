"""The console in a real browser before the real site: it is live, it is for everybody, it is inert.

Pictures are left in the test's temporary folder, for people to look at.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from django.db.models.functions import Now
from django.utils import timezone
from playwright.async_api import Locator, Page, Route, expect

from services.logs.logfiles import path_of
from services.models import Instance, Service
from tests.browser.conftest import NewPage, Rows, Watch, connected
from tests.browser.looks import in_every_look
from tests.browser.test_hostile import PROBES
from tests.browser.test_looks import serious_problems
from tests.services.measured import (
    REPORT,
    add_checks,
    add_instance,
    add_running,
    add_service,
    add_supervisor,
    change,
)
from tests.sites import Site, url_of_test_database

pytestmark = pytest.mark.django_db(transaction=True)

CONSOLE = "/console"
LONG_CHINESE = "客户服务与售后支持智能体-华东大区-生产环境-高优先级-主实例"
LONG_WORD = "Donaudampfschifffahrtsgesellschaftskapitaensmuetzenabzeichenverwaltung"


@pytest.fixture(scope="module")
def var_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("console")


@pytest.fixture(scope="module")
def console_site(django_db_setup: None, var_dir: Path) -> Iterator[Site]:
    with Site(url_of_test_database(), var_dir) as site:
        yield site


@pytest.fixture(scope="module")
def site(console_site: Site) -> str:
    return console_site.url


def card(page: Page, name: str) -> Locator:
    return page.locator(".service").filter(has=page.get_by_role("heading", name=name, exact=True))


def add_observer() -> None:
    """A supervisor that outlasts any test: without one, states age, and are soon not known."""
    add_supervisor(lease_until=Now() + timedelta(hours=1))


def furnish() -> None:
    """A site with everything on it."""
    add_supervisor()
    busy = add_running(
        "weather", tags=["demo", "premium"], description="Tells what it is like.", restart_count=2
    )
    (instance,) = busy.instances.all()
    add_checks(
        instance,
        340,
        memory_mb=lambda number: 150.0 - number / 10,
        active_sessions=lambda number: int(5 + 4 * math.sin(number / 30)),
        turns_per_minute=lambda number: 12 + 10 * math.sin(number / 25),
        turn_p95_ms=lambda number: 700 + 300 * math.sin(number / 40),
    )
    add_instance(busy, live_slot=None, state="error", cause="crash", ended_at=instance.launched_at)
    add_service(
        LONG_CHINESE,
        desired="running",
        status="error",
        restart_count=6,
        tags=["生产", "team:search-and-recommendations-europe"],
        error_message="It failed 6 times in a row.\nModuleNotFoundError: No module named 'prices'",
    )
    add_service(LONG_WORD, status="stopping", description="x" * 300)
    add_service("far", agent_factory_path="", url="wss://a:b@agents.example.org", status="running")


@in_every_look()
async def test_the_console_fits_and_everybody_can_use_it(
    new_page: NewPage,
    rows: Rows,
    axe_script: str,
    tmp_path: Path,
    scheme: Literal["light", "dark"],
    size: dict[str, int],
    lang: str,
) -> None:
    await rows(furnish)
    page = await new_page(
        f"{CONSOLE}?lang={lang}", color_scheme=scheme, viewport=size, reduced_motion="reduce"
    )
    await expect(page.locator("html")).to_have_attribute(
        "lang", "en" if lang == "en" else "zh-Hans"
    )
    await card(page, "weather").locator(".charts").scroll_into_view_if_needed()
    await expect(page.locator(".chart canvas")).to_have_count(4)
    await card(page, LONG_CHINESE).locator(".toggle").click()
    await page.screenshot(path=tmp_path / "console.png", full_page=True)
    wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not await page.evaluate(wide)
    assert await serious_problems(page, axe_script) == []
    await page.goto(page.url.replace(CONSOLE, "/"))
    await page.screenshot(path=tmp_path / "home.png", full_page=True)
    assert not await page.evaluate(wide)
    assert await serious_problems(page, axe_script) == []


async def test_thirty_services_fit_and_can_be_filtered(new_page: NewPage, rows: Rows) -> None:
    for number in range(30):
        await rows(add_running, f"agent-{number}", tags=["even"] if number % 2 == 0 else [])
    page = await new_page(CONSOLE)
    names = page.locator(".service .name")
    await expect(names).to_have_count(30)
    texts = await names.all_inner_texts()
    assert texts == [f"agent-{number}" for number in range(30)], "2 comes before 10"
    await page.get_by_role("searchbox").fill("EVEN")
    await expect(names).to_have_count(15)
    await expect(page.locator("#list-count")).to_have_text("15 of 30 services")
    await page.get_by_role("searchbox").fill("nothing of that kind")
    await expect(page.get_by_text("No service matches.")).to_be_visible()


async def test_what_happens_to_a_service_is_seen_at_once(new_page: NewPage, rows: Rows) -> None:
    await rows(add_observer)
    service = await rows(add_service, "weather")
    page = await new_page(CONSOLE)
    state = card(page, "weather").locator(".state-text")
    await expect(state).to_have_text("Stopped")
    await page.evaluate("window.begun = performance.now()")
    await rows(change, service, status="starting", desired="running")
    await expect(state).to_have_text("Starting")
    # A deadline of one second; a busy machine is given ten.
    assert await page.evaluate("performance.now() - window.begun") < 10_000
    await rows(add_instance, service)
    await rows(change, service, status="running")
    await expect(state).to_have_text("Running")
    chat = card(page, "weather").get_by_role("link", name="Chat: weather")
    await expect(chat).to_have_attribute("href", re.compile("/services/weather/$"))
    await expect(page.locator("#total-running")).to_have_text("1 of 1")
    await expect(page.locator("#announcer")).to_contain_text("weather: Running")
    await rows(lambda: Instance.objects.update(memory_mb=2048.0))
    await expect(card(page, "weather").locator(".measure.memory dd")).to_have_text("2 GB")
    await rows(Service.objects.all().delete)
    await expect(page.get_by_role("heading", name="No services yet")).to_be_visible()


async def test_an_empty_site_says_how_to_begin(new_page: NewPage) -> None:
    page = await new_page(CONSOLE)
    await expect(page.locator("#empty")).to_contain_text("manage.py services register")
    await expect(page.locator("#supervisor")).to_contain_text("manage.py supervise")


async def test_a_site_that_nobody_supervises_says_so(new_page: NewPage, rows: Rows) -> None:
    await rows(add_running, "weather")
    page = await new_page(CONSOLE)
    await expect(page.locator("#supervisor")).to_contain_text("manage.py supervise")
    await rows(add_supervisor, node="machine-7")
    await expect(page.locator("#supervisor")).to_contain_text("on machine-7 since")


async def test_a_chart_says_in_words_what_it_shows(new_page: NewPage, rows: Rows) -> None:
    await rows(furnish)
    page = await new_page(CONSOLE)
    memory = card(page, "weather").get_by_role("img", name="Memory over the last hour")
    said = await memory.get_attribute("aria-label") or ""
    assert said.endswith("lowest 96 MB, highest 150 MB. Restarts in the last hour: 1.")


async def test_an_error_is_told_with_the_end_of_its_log(
    new_page: NewPage, rows: Rows, settings: Any, var_dir: Path
) -> None:
    settings.VAR_DIR = var_dir
    service = await rows(
        add_service, "orders", status="error", desired="running",
        error_message="It \x1b[31mfailed\u202e.\nHere.",
    )  # fmt: skip
    instance = await rows(add_instance, service, live_slot=None, state="error")
    path = path_of(service.pk, instance.pk)
    path.parent.mkdir(parents=True)
    path.write_text("\x1b[31mred\x1b[0m <b>bold</b>\u202e\nlast words", encoding="utf-8")
    page = await new_page(CONSOLE)
    await expect(card(page, "orders").locator(".error-text")).to_have_text("It failed.\nHere.")
    await card(page, "orders").get_by_role("button", name="Show log: orders").click()
    log = card(page, "orders").get_by_role("region", name="Last lines of the log of orders")
    await expect(log).to_have_text("red <b>bold</b>\nlast words")
    # The words of the button begin where the log does.
    left = "e => e.getBoundingClientRect().left + parseFloat(getComputedStyle(e).paddingLeft) * {}"
    button = card(page, "orders").get_by_role("button", name="Hide log: orders")
    assert await button.evaluate(left.format(1)) == await log.evaluate(left.format(0))


async def test_what_was_given_up_can_be_started_again_and_what_runs_can_not(
    new_page: NewPage, rows: Rows
) -> None:
    service = await rows(add_service, "orders", status="error", desired="running")
    page = await new_page(CONSOLE)
    verbs = card(page, "orders").get_by_role("button", name=re.compile("(Start|Stop|Restart): "))
    await expect(verbs).to_have_text(["Start"])
    await rows(add_instance, service)
    await rows(change, service, status="running")
    await expect(verbs).to_have_text(["Stop", "Restart"])
    failed = {"live_slot": None, "state": "error", "cause": "crash", "ended_at": timezone.now()}
    await rows(add_instance, service, **failed)
    await rows(change, service, status="unhealthy", auto_restart=False)
    await expect(verbs).to_have_text(["Start", "Stop", "Restart"])


async def test_what_people_and_agents_write_is_only_ever_text(
    new_page: NewPage, rows: Rows
) -> None:
    await rows(add_supervisor, node=PROBES[1])
    for number, probe in enumerate(PROBES):
        service = await rows(
            add_service,
            f"{number}{probe}"[:100],
            description=probe,
            error_message=f"{probe}\n{probe}",
            tags=[probe, "</script><script>window.hacked=1</script>"],
            status="error",
            desired="running",
        )
        await rows(add_instance, service, report=REPORT | {"lag_ms": probe, "sessions": probe})
        odd = f'wss://"><img src=x onerror=window.hacked=1>.example/{number}'
        await rows(add_service, f"far {number}", url=odd, status="running", description=probe)
    page = await new_page(CONSOLE)
    await expect(page.locator(".service")).to_have_count(2 * len(PROBES))
    for toggle in await page.locator(".toggle").all():
        await toggle.click()
    await assert_inert(page)
    await page.goto(page.url.replace(CONSOLE, "/"))
    await expect(page.get_by_role("heading", name="No service runs just now")).to_be_visible()
    await assert_inert(page)


async def assert_inert(page: Page) -> None:
    """Everything that could have run has had its chance."""
    await page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 100)))")
    assert await page.evaluate("window.hacked") is None
    foreign = "main :is(script, img, iframe, form, style, link, meta, base, object, math)"
    assert await page.locator(foreign).count() == 0
    handlers = """[...document.querySelectorAll("main *")]
        .flatMap((each) => each.getAttributeNames()).filter((name) => name.startsWith("on"))"""
    assert await page.evaluate(handlers) == []
    protocols = """[...document.querySelectorAll("main a[href]")].map((each) => each.protocol)"""
    assert set(await page.evaluate(protocols)) <= {"https:", "http:"}


async def test_a_service_is_stopped_only_after_a_second_thought(
    new_page: NewPage, rows: Rows
) -> None:
    service = await rows(add_running, "weather")
    page = await new_page(CONSOLE)
    asked: list[tuple[str, str, str, str | None]] = []

    async def answer(route: Route) -> None:
        request = route.request
        headers = await request.all_headers()
        asked.append(
            (request.method, request.url, headers["content-type"], headers.get("x-csrftoken"))
        )
        await route.fulfill(status=202, json={})

    await page.route("**/api/v1/services/**", answer)
    stop = card(page, "weather").get_by_role("button", name="Stop: weather", exact=True)
    await stop.press("Enter")
    await expect(page.get_by_role("button", name="Let it run")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.locator("#stop-dialog")).to_be_hidden()
    await expect(stop).to_be_focused()
    assert asked == []
    await stop.press("Enter")
    await page.get_by_role("button", name="Stop", exact=True).click()
    await expect(page.locator("#stop-dialog")).to_be_hidden()
    await rows(change, service, desired="stopped", status="stopping")
    start = card(page, "weather").get_by_role("button", name="Start: weather", exact=True)
    await expect(start).to_be_focused()
    ((method, url, kind, token),) = asked
    assert (method, kind) == ("POST", "application/json")
    assert url.endswith(f"/api/v1/services/{service.pk}/stop")
    assert token


async def test_a_start_is_asked_for_as_programs_ask(new_page: NewPage, rows: Rows) -> None:
    await rows(add_supervisor)
    service = await rows(add_service, "weather")
    page = await new_page(CONSOLE)
    await card(page, "weather").get_by_role("button", name="Start: weather").click()
    await expect(card(page, "weather").locator(".state-text")).to_have_text("Starting")
    await expect(page.get_by_role("button", name="Restart: weather")).to_be_visible()
    await rows(service.refresh_from_db)
    assert service.desired == Service.Desired.RUNNING


async def test_what_could_not_be_done_is_said(new_page: NewPage, rows: Rows, watch: Watch) -> None:
    watch.excuse("status of 5|status of 4")
    await rows(add_service, "weather")
    page = await new_page(CONSOLE)
    start = card(page, "weather").get_by_role("button", name="Start: weather")
    await start.click()
    await expect(page.get_by_role("alert")).to_contain_text("No supervisor is running")
    refusal = {"detail": "<b>Not</b> now.", "code": "conflict"}
    await page.route("**/api/v1/services/**", lambda route: route.fulfill(status=409, json=refusal))
    await start.click()
    await expect(page.get_by_role("alert")).to_have_text("That could not be done: <b>Not</b> now.")


async def test_details_open_and_close_with_the_keyboard_and_are_remembered(
    new_page: NewPage, rows: Rows
) -> None:
    await rows(add_running, "weather")
    page = await new_page(CONSOLE)
    toggle = card(page, "weather").get_by_role("button", name="Details of weather")
    await expect(toggle).to_have_attribute("aria-expanded", "true")
    await toggle.press("Enter")
    await expect(page.locator(".more")).to_be_hidden()
    await expect(toggle).to_be_focused()
    await page.reload()
    await connected(page)
    await expect(toggle).to_have_attribute("aria-expanded", "false")
    await toggle.press("Space")
    await expect(page.locator(".charts")).to_be_visible()


async def test_the_colours_change_the_charts_too(new_page: NewPage, rows: Rows) -> None:
    await rows(furnish)
    page = await new_page(CONSOLE, color_scheme="light")
    canvas = card(page, "weather").locator("canvas").first
    await expect(canvas).to_be_visible()
    light = await canvas.evaluate("canvas => canvas.toDataURL()")
    await page.get_by_role("button", name="Colours: as the system").click()
    await page.get_by_role("button", name="Colours: light").click()
    await page.wait_for_function(
        "before => document.querySelector('canvas').toDataURL() !== before", arg=light
    )


SHOW = """isHidden => {
    Object.defineProperty(document, "hidden", { value: isHidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


async def test_a_page_that_nobody_sees_asks_for_nothing(new_page: NewPage, rows: Rows) -> None:
    await rows(add_observer)
    service = await rows(add_service, "weather")
    page = await new_page(CONSOLE)
    await page.evaluate(SHOW, True)
    await expect(page.locator("#link-state")).to_have_attribute("data-state", "paused")
    await rows(change, service, status="running")
    await page.evaluate(SHOW, False)
    await connected(page)
    await expect(card(page, "weather").locator(".state-text")).to_contain_text("Running")


async def test_who_is_logged_out_is_told_where_to_log_in(new_page: NewPage, watch: Watch) -> None:
    watch.excuse("403")
    page = await new_page(CONSOLE)
    await page.evaluate(SHOW, True)
    await page.route("**/console/events", lambda route: route.fulfill(status=403))
    await page.evaluate(SHOW, False)
    await expect(page.locator("#link-state")).to_contain_text("You are logged out.")
    await expect(page.locator("main").get_by_role("link", name="Log in")).to_be_visible()


@pytest.mark.parametrize("server", ["uvicorn", pytest.param("daphne", marks=pytest.mark.long)])
async def test_the_console_comes_back_with_the_site(
    new_page: NewPage,
    rows: Rows,
    watch: Watch,
    var_dir: Path,
    server: Literal["uvicorn", "daphne"],
) -> None:
    watch.excuse("ERR_|Failed to load")
    # A busy machine starts the sites slowly.
    await rows(add_observer)
    service = await rows(add_service, "weather")
    with Site(url_of_test_database(), var_dir, server=server) as own:
        page = await new_page(CONSOLE)
        watch.site = own.url
        await page.goto(own.url + CONSOLE)
        await connected(page)
        port = own.port
    await expect(page.locator("#link-state")).to_have_attribute("data-state", "waiting")
    await expect(page.get_by_role("button", name="Try now")).to_be_visible()
    await rows(change, service, status="running")
    with Site(url_of_test_database(), var_dir, server=server, port=port):
        await connected(page)
        await expect(card(page, "weather").locator(".state-text")).to_contain_text("Running")
