"""What the public sees, in a real browser: with and without script, small and large, and live."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import Browser, expect

from tests.browser.accessibility import PATIENCE_MS, require_accessible, telephone
from tests.support.site import entry, publish, shown, site

HOSTILE: Final = (
    "<script>document.title='taken'</script>",
    "model \u202egpj.exe",
    "M" * 300,
    "🦜 model",
)
PAGES: Final = (
    "/",
    "/boards",
    "/boards/A-full",
    "/boards/A-full?level=5",
    "/models/sub-1",
    "/tasks/image-c-001",
    "/take-part",
)
ONE: Final = {"submission_id": "sub-1"}


def rows(*names: str) -> list[dict[str, Any]]:
    return [entry(name, rank) for rank, name in enumerate(names, 1)]


async def test_boards_are_read_sorted_and_filtered_without_a_script(
    browser: Browser, tmp_path: Path
) -> None:
    async with site(tmp_path) as (gateway, client):
        await shown(client, "/", await publish(gateway, rows("Zebra", "Antelope")))
        context = await browser.new_context(
            base_url=str(client.base_url), java_script_enabled=False
        )
        page = await context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        await page.goto("/")
        await page.get_by_role("link", name="Boards", exact=True).click()
        await page.get_by_role("link", name="All modalities", exact=True).click()
        names = page.locator("tbody th a")
        assert await names.all_inner_texts() == ["Zebra", "Antelope"]
        await page.get_by_role("link", name="Model", exact=True).click()
        assert await names.all_inner_texts() == ["Antelope", "Zebra"]
        await page.get_by_label("Find").fill("zeb")
        await page.get_by_role("button", name="Show").click()
        assert await names.all_inner_texts() == ["Zebra"]
        # An address is all that it takes to come back here.
        assert "q=zeb" in page.url
        assert "sort=model" in page.url
        await page.get_by_label("Parameters").select_option("up to 3 B")
        await page.get_by_role("button", name="Show").click()
        assert await page.get_by_text("No model fits this filter.").is_visible()
        await page.get_by_label("Parameters").select_option("not said")
        await page.get_by_role("button", name="Show").click()
        await names.first.click()
        assert await page.locator("h1").inner_text() == "Zebra"


async def test_an_open_page_shows_new_standings_by_itself(browser: Browser, tmp_path: Path) -> None:
    async with site(tmp_path) as (gateway, client):
        await shown(client, "/", await publish(gateway, rows("First")))
        context = await browser.new_context(base_url=str(client.base_url))
        page = await context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        async with page.expect_response("**/events"):
            await page.goto("/boards/A-full")
        await page.get_by_label("Compare First").check()
        await publish(gateway, [entry("Second", 1, submission_id="sub-2"), entry("First", 2) | ONE])
        await expect(page.locator("tbody th a").first).to_have_text("Second", timeout=PATIENCE_MS)
        # What its reader chose meanwhile stays chosen, and is told to who cannot see it.
        await expect(page.get_by_label("Compare First")).to_be_checked()
        await expect(page.get_by_label("Compare Second")).not_to_be_checked()
        await expect(page.get_by_role("status")).to_contain_text("New standings of")
        await context.close()


async def test_a_page_that_nobody_sees_holds_no_stream_and_catches_up(
    browser: Browser, tmp_path: Path
) -> None:
    async with site(tmp_path) as (gateway, client):
        await shown(client, "/", await publish(gateway, rows("First")))
        context = await browser.new_context(base_url=str(client.base_url))
        page = await context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        # A headless browser shows all of its pages: this one is told that it is behind another.
        await page.add_init_script(
            "Object.defineProperty(document, 'hidden', { get: () => window.behind === true })"
        )
        async with page.expect_response("**/events"):
            await page.goto("/boards/A-full")
        async with page.expect_event("requestfailed", lambda one: one.url.endswith("/events")):
            await page.evaluate("behind = true; dispatchEvent(new Event('visibilitychange'))")
        await publish(gateway, rows("Second", "First"))
        async with page.expect_response("**/events"):
            await page.evaluate("behind = false; dispatchEvent(new Event('visibilitychange'))")
        await expect(page.locator("tbody th a").first).to_have_text("Second", timeout=PATIENCE_MS)
        await context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_hostile_names_break_no_page_and_axe_finds_nothing_serious(
    browser: Browser, tmp_path: Path, axe: str, scheme: Any
) -> None:
    async with site(tmp_path) as (gateway, client):
        await shown(client, "/", await publish(gateway, rows(*HOSTILE)))
        async with telephone(browser, str(client.base_url), scheme) as page:
            for address in PAGES:
                await page.goto(address)
                assert await page.title() != "taken"
                await require_accessible(page, axe)
