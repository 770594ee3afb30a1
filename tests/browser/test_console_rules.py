"""Rules of routing on the console: made, tried, changed and deleted there, or only read."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
import requests
from playwright.async_api import Page, Route, expect

from tests.browser.conftest import NewPage, Watch
from tests.browser.looks import in_every_look
from tests.browser.test_looks import serious_problems
from tests.services.measured import add_running, add_supervisor

pytestmark = pytest.mark.django_db(transaction=True)

CONSOLE = "/console"
LONG = "Donaudampfschifffahrtsgesellschaftskapitaensmuetzenabzeichenverwaltung"


@pytest.fixture(scope="module")
def site(site_of_rows: str) -> str:
    return site_of_rows


@pytest.fixture(autouse=True)
def services(transactional_db: None) -> None:
    add_supervisor()
    add_running("english", tags=["premium"])
    add_running("chinese")


def stored(site: str) -> list[dict[str, object]]:
    """The rules, as the site tells a program."""
    answer = requests.get(f"{site}/api/v1/routing/rules", timeout=20)
    found: list[dict[str, object]] = answer.json()["items"]
    return found


def add(site: str, **fields: object) -> None:
    answer = requests.post(f"{site}/api/v1/routing/rules", json=fields, timeout=20)
    assert answer.status_code == 201, answer.text


async def fill_in_a_rule(page: Page) -> None:
    """With a condition that can't be, and a service that there is not."""
    form = page.locator("#rule-sheet")
    await page.locator("#rule-add").press("Enter")
    await expect(form.locator("input").first).to_be_focused()
    await page.keyboard.type("zh")
    await form.locator("fieldset > button").click()
    row = form.locator(".condition")
    await row.locator("select").nth(0).select_option("header.")
    await row.locator("input[type=text]").nth(0).fill("accept-language")
    await row.locator("select").nth(1).select_option("regex_match")
    await row.locator("input[type=text]").nth(1).fill("(zh")


async def test_a_rule_is_made_tried_changed_and_deleted(
    new_page: NewPage, watch: Watch, site: str
) -> None:
    watch.excuse("status of 400")
    page: Page = await new_page(CONSOLE)
    await fill_in_a_rule(page)
    form, row = page.locator("#rule-sheet"), page.locator("#rule-sheet .condition")
    await form.get_by_label("Services").fill("nowhere")
    await form.get_by_role("button", name="Save").click()
    value = row.get_by_label("Value").first
    await expect(value).to_be_focused()
    await expect(row.locator(".field-problem:visible")).to_contain_text("regular expression")
    assert stored(site) == []
    await value.fill("^zh")
    await page.keyboard.press("Enter")
    await expect(form).to_be_hidden()
    said = "“zh” is saved. Warning: The rule names services that are not registered: nowhere."
    await expect(page.locator("#rules-notice")).to_have_text(said)
    edit = page.get_by_role("button", name="Edit: zh")
    await expect(edit).to_be_focused()
    card = page.locator(".rule")
    await expect(card).to_contain_text("header.accept-language regex_match/i ^zh")
    await expect(card.locator(".rule-warning")).to_contain_text("not registered: nowhere")

    await edit.press("Enter")
    await form.get_by_label("Services").fill("")
    await form.get_by_role("button", name="Add chinese").click()
    await page.keyboard.press("Enter")
    await expect(page.locator("#rules-notice")).to_have_text("“zh” is saved.")
    (rule,) = stored(site)
    assert (rule["target_services"], rule["warnings"]) == (["chinese"], [])

    await page.locator("#rules-try").press("Enter")
    trial = page.locator("#trial-sheet")
    await trial.get_by_label("Headers").fill("accept-language zh")
    await trial.get_by_role("button", name="Explain").click()
    await expect(trial.get_by_label("Headers")).to_have_attribute("aria-invalid", "true")
    await trial.get_by_label("Headers").fill("Accept-Language: zh-CN")
    await trial.get_by_role("button", name="Explain").click()
    await expect(trial.locator(".outcome")).to_have_text("It gets chinese.")
    await page.keyboard.press("Escape")

    await page.get_by_role("button", name="Disable: zh").press("Enter")
    await expect(page.get_by_role("button", name="Enable: zh")).to_be_focused()
    assert [each["enabled"] for each in stored(site)] == [False]
    await page.locator("#rules-try").press("Enter")
    await trial.get_by_role("button", name="Explain").click()
    await expect(trial.locator(".answer")).to_contain_text("It is disabled: if it were enabled")
    await page.keyboard.press("Escape")

    await page.get_by_role("button", name="Delete: zh").press("Enter")
    await expect(page.get_by_role("button", name="Keep it")).to_be_focused()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(card).to_have_count(0)
    assert stored(site) == []


async def test_who_may_only_look_has_no_buttons_but_can_try_them(
    new_page: NewPage, site: str
) -> None:
    add(site, name="all", target_services=["english"])

    async def without_rights(route: Route) -> None:
        answer = await route.fetch()
        text = await answer.text()
        for right in ("mayAdd", "mayChange", "mayRemove"):
            text = text.replace(f'"{right}": true', f'"{right}": false')
        await route.fulfill(response=answer, body=text)

    page: Page = await new_page(CONSOLE)
    await page.route("**/console", without_rights)
    await page.reload()
    await expect(page.locator(".rule")).to_contain_text("english")
    await expect(page.locator(".rule button")).to_have_count(0)
    await page.locator("#rules-try").click()
    await expect(page.locator("#trial-sheet")).to_be_visible()


@in_every_look()
async def test_the_rules_fit_and_everybody_can_use_them(
    new_page: NewPage,
    axe_script: str,
    watch: Watch,
    site: str,
    tmp_path: Path,
    scheme: Literal["light", "dark"],
    size: dict[str, int],
    lang: str,
) -> None:
    watch.excuse("status of 400")
    vip = {"field": "user_agent", "operator": "contains", "value": "VIP", "case_sensitive": False}
    at_home = {"field": "client_ip", "operator": "cidr", "value": ["10.0.0.0/8", "192.0.2.0/24"]}
    add(
        site, name="vip", priority=1, conditions=[vip, at_home], target_tags=["premium"],
        target_strategy="least_connections", fallback_strategy="round_robin",
        description="Important clients first.",
    )  # fmt: skip
    add(site, name=LONG, target_services=[LONG.lower()], enabled=False)
    page: Page = await new_page(
        f"{CONSOLE}?lang={lang}", color_scheme=scheme, viewport=size, reduced_motion="reduce"
    )
    await expect(page.locator(".rule")).to_have_count(2)
    await looks_right(page, axe_script, tmp_path / "rules.png")
    await fill_in_a_rule(page)
    await page.locator("#rule-sheet [type=submit]").click()
    await expect(page.locator("#rule-sheet [aria-invalid]")).to_have_count(1)
    await looks_right(page, axe_script, tmp_path / "form.png")
    await page.keyboard.press("Escape")
    await page.locator("#rules-try").click()
    await page.locator("#trial-sheet [type=submit]").click()
    await expect(page.locator("#trial-sheet .outcome")).to_be_visible()
    await looks_right(page, axe_script, tmp_path / "trial.png")


async def looks_right(page: Page, axe_script: str, picture: Path) -> None:
    await page.screenshot(path=picture, full_page=True)
    wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not await page.evaluate(wide)
    assert await serious_problems(page, axe_script) == []
