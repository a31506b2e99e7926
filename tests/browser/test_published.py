"""Published results and the pages beside them, in a real browser: marked, readable, accessible."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import Browser, expect

from services.gateway import history
from services.gateway.app import Gateway
from services.operations.shipped import shipped_history
from tests.browser.accessibility import PATIENCE_MS, require_accessible, telephone
from tests.support.gateway import START, eventually
from tests.support.site import entry, publish, shown, site

PAPER: Final = "/published/general-level-paper"
MARK: Final = "As published in the paper of May 2025. Not computed by this platform."
PAGES: Final = (
    "/published",
    PAPER,
    f"{PAPER}?q=none-of-them",
    f"{PAPER}/models/vitron-v1",
    "/boards/A-full",
    "/versions",
    "/rules",
    "/acknowledgements",
    "/take-part",
)


async def imported(gateway: Gateway, client: Any) -> None:
    """The paper's results, and one computed model beside them."""
    await gateway.database.run_write(
        history.import_document, START, shipped_history(), replace=False
    )
    gateway.signals.notify(history.TOPIC)
    await shown(client, "/", await publish(gateway, [entry("Zebra")]))

    async def is_there() -> bool:
        return bool((await client.get(PAPER)).status_code == 200)

    await eventually(is_there, 60)


async def test_the_mark_is_seen_and_the_tables_are_read_without_a_script(
    browser: Browser, tmp_path: Path
) -> None:
    async with site(tmp_path) as (gateway, client):
        await imported(gateway, client)
        context = await browser.new_context(
            base_url=str(client.base_url), java_script_enabled=False
        )
        page = await context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        await page.goto("/boards/A-full")
        # The computed board and the published figures are two things, also to the eye.
        assert await page.locator("table.board").inner_text() != ""
        assert await page.locator("table.board").get_by_text("Mini-Gemini").count() == 0
        await expect(page.get_by_text(MARK)).to_be_visible(timeout=PATIENCE_MS)
        ground = "node => getComputedStyle(node).backgroundColor"
        marked = await page.locator(".printed-mark").evaluate(ground)
        assert marked != await page.locator("body").evaluate(ground)
        await page.get_by_role("link", name="All 102 models, as published").click()
        await expect(page.get_by_text(MARK)).to_be_visible(timeout=PATIENCE_MS)

        names = page.locator("tbody th a:first-child")
        assert await names.count() == 102
        await page.get_by_role("link", name="Level 4 3 models").click()
        assert await names.all_inner_texts() == ["Mini-Gemini", "Vitron-V1", "Emu2-37B"]
        await page.get_by_role("link", name="Model", exact=True).click()
        assert await names.all_inner_texts() == ["Emu2-37B", "Mini-Gemini", "Vitron-V1"]
        await page.get_by_label("Find").fill("vit")
        await page.get_by_role("button", name="Show").click()
        assert await names.all_inner_texts() == ["Vitron-V1"]
        # An address is all that it takes to come back here.
        assert {"level=4", "sort=model", "q=vit"} <= set(page.url.partition("?")[2].split("&"))
        await names.first.click()
        await expect(page.get_by_text(MARK)).to_be_visible(timeout=PATIENCE_MS)
        assert await page.locator("tbody tr").count() == 3
        assert "unseen" not in await page.locator("main").inner_text()
        await context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_no_page_is_wider_than_a_phone_and_axe_finds_nothing_serious(
    browser: Browser, tmp_path: Path, axe: str, scheme: Any
) -> None:
    async with site(tmp_path) as (gateway, client):
        await imported(gateway, client)
        async with telephone(browser, str(client.base_url), scheme) as page:
            for address in PAGES:
                await page.goto(address)
                await require_accessible(page, axe)
