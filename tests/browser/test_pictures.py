"""Pictures and comparisons in a real browser: loaded, light and dark, chosen without a script."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import Browser

from tests.browser.accessibility import PATIENCE_MS, require_accessible, telephone
from tests.support.site import entry, publish, shown, site

PAGES: Final = (
    "/models/sub-1",
    "/compare?m=sub-1",
    "/compare?m=sub-1&m=sub-2",
    "/skills/I-C-1",
    "/pictures/boards/A-full",
)
LOADED: Final = "[...document.images].every(i => i.complete || i.loading === 'lazy')"
SIZES: Final = "[...document.images].map(i => i.loading === 'lazy' ? 1 : i.naturalWidth)"


async def test_models_are_chosen_by_checkboxes_and_compared_without_a_script(
    browser: Browser, tmp_path: Path
) -> None:
    async with site(tmp_path) as (gateway, client):
        rows = [entry(name, rank) for rank, name in enumerate(("One", "Two", "Three"), 1)]
        await shown(client, "/", await publish(gateway, rows))
        context = await browser.new_context(
            base_url=str(client.base_url), java_script_enabled=False
        )
        page = await context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        await page.goto("/boards/A-full")
        await page.get_by_label("Compare One").check()
        await page.get_by_label("Compare Three").check()
        await page.get_by_role("button", name="Compare the chosen models").click()
        assert await page.locator("h1").inner_text() == "2 models side by side"
        assert page.url.endswith("/compare?m=sub-1&m=sub-3")
        await page.goto("/compare?m=sub-2")
        await page.get_by_label("One").check()
        await page.get_by_role("button", name="Compare", exact=True).click()
        assert page.url.endswith("/compare?m=sub-2&m=sub-1")
        await context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_pictures_load_and_axe_finds_nothing_serious(
    browser: Browser, tmp_path: Path, axe: str, scheme: Any
) -> None:
    async with site(tmp_path) as (gateway, client):
        rows = [entry("M" * 300), entry("</text><script>'x'</script>", 2)]
        await publish(gateway, rows, "D-I-C-1")
        await shown(client, "/", await publish(gateway, rows))
        async with telephone(browser, str(client.base_url), scheme) as page:
            for address in PAGES:
                await page.goto(address)
                await page.evaluate(
                    "for (const d of document.querySelectorAll('figure details')) d.open = 1"
                )
                await page.wait_for_function(LOADED)
                assert all(size > 0 for size in await page.evaluate(SIZES)), address
                await require_accessible(page, axe)


async def test_a_picture_is_another_in_the_dark_and_stays_readable_when_opened_alone(
    browser: Browser, tmp_path: Path
) -> None:
    async with site(tmp_path) as (gateway, client):
        await shown(client, "/", await publish(gateway, [entry("One"), entry("Two", 2)]))
        seen = {}
        for scheme in ("light", "dark"):
            context = await browser.new_context(base_url=str(client.base_url), color_scheme=scheme)
            page = await context.new_page()
            page.set_default_timeout(PATIENCE_MS)
            refused: list[str] = []
            page.on("console", lambda message, to=refused: to.append(message.text))
            await page.goto("/models/sub-1")
            image = page.locator("#ladder ~ figure img")
            await image.evaluate("async image => await image.decode()")
            seen[scheme] = await image.screenshot()
            # One that is fetched only when someone opens its skills.
            await page.get_by_text("Image 55 skills").click()
            lazy = page.locator("img[src*='skills.svg?modality=image']")
            await lazy.scroll_into_view_if_needed()
            await lazy.evaluate("async image => await image.decode()")
            assert await lazy.evaluate("image => image.naturalWidth") > 0
            await page.goto("/pictures/models/sub-1/ladder.svg")
            # Its policy lets its own style in: without that a text would be black.
            colour = "getComputedStyle(document.querySelector('.horizontal .axis.y text')).fill"
            seen[f"{scheme} text"] = await page.evaluate(colour)
            assert refused == []
            await context.close()
        assert seen["light"] != seen["dark"]
        assert seen["light text"] == "rgb(20, 24, 31)"
        assert seen["dark text"] == "rgb(233, 237, 243)"
