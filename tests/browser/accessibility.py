"""Pages on a telephone, and whether everybody can use them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from playwright.async_api import Browser, Page

#: A first page on a busy machine, milliseconds.
PATIENCE_MS: Final = 60_000
_WIDER: Final = "document.documentElement.scrollWidth - window.innerWidth"


@asynccontextmanager
async def telephone(browser: Browser, base: str, scheme: Any) -> AsyncIterator[Page]:
    """A page of 390 px in the colour scheme."""
    context = await browser.new_context(
        base_url=base,
        color_scheme=scheme,
        viewport={"width": 390, "height": 800},
        # The rules are put into the page by the test, which the page's own policy forbids.
        bypass_csp=True,
    )
    context.set_default_timeout(PATIENCE_MS)
    try:
        yield await context.new_page()
    finally:
        await context.close()


async def require_accessible(page: Page, axe: str) -> None:
    """Nothing scrolls sideways but within itself, and the rules find nothing serious."""
    assert await page.evaluate(_WIDER) <= 0, page.url
    await require_nothing_serious(page, axe)


async def require_nothing_serious(page: Page, axe: str) -> None:
    """The rules, of which ``axe`` is the text, find nothing serious on the page."""
    await page.evaluate(axe)
    found = await page.evaluate("axe.run()")
    serious = [
        (rule["id"], rule["nodes"][0]["html"][:200])
        for rule in found["violations"]
        if rule["impact"] in {"serious", "critical"}
    ]
    assert serious == [], page.url
