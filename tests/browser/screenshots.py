"""Every page as readers see it, to be looked at: ``make screenshots``.

    python -m tests.browser.screenshots [--out var/screenshots] [--base URL] [PAGE ...]

Starts a gateway with standings of believable models, takes each page at 1280 and 390 px in light
and in dark, whole, and lays them together on a sheet for each (``sheet-1280-light.png``…). Exits
with 1 where a page scrolls sideways or the browser's console tells of an error. With ``--base`` it
takes the pages of a site that runs already.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx2
from PIL import Image, ImageDraw
from playwright.async_api import Browser, Page, async_playwright

from tests.browser.conftest import ARGUMENTS
from tests.support.gateway import eventually
from tests.support.site import site
from tests.support.standings_made import boards_of, publish_all

#: Name of the file, and the address; those that a site does not have are left out, and said.
PAGES: Final = {
    "home": "/",
    "boards": "/boards",
    "board": "/boards/A-full",
    "board-filtered": "/boards/A-full?sort=date&level=3&q=vl",
    "board-nothing": "/boards/A-full?q=nothing-of-that-name",
    "board-modality": "/boards/B-image",
    "board-skill": "/boards/D-I-C-1",
    "board-pictures": "/pictures/boards/A-full",
    "board-history": "/boards/A-full/history",
    "model": "/models/s-00002",
    "compare": "/compare?m=s-00002&m=s-00003&m=s-00005",
    "compare-choose": "/compare",
    "skills": "/skills",
    "skill": "/skills/I-C-1",
    "tasks": "/tasks",
    "task": "/tasks/image-c-001",
    "published": "/published",
    "versions": "/versions",
    "rules": "/rules",
    "acknowledgements": "/acknowledgements",
    "take-part": "/take-part",
    "sign-in": "/sign-in",
    "error": "/no-such-page",
}
WIDTHS: Final = (1280, 390)
SCHEMES: Final[tuple[Any, ...]] = ("light", "dark")
#: Of a long page no more than this is on the sheet, in pixels of the page.
SHEET_HEIGHT: Final = 2_400
#: Pictures beside one another, and how much smaller than the page.
SHEET_COLUMNS: Final = {1280: 4, 390: 8}
SHEET_SCALE: Final = 0.45
MODELS: Final = 24
_NAMES: Final = (
    *("Aurora-VL-72B", "Meridian Omni 2", "Kestrel-7B-Chat", "Lumen Any-to-Any", "Polyglot-Vision"),
    *("Tessera-34B", "Halcyon 1.5", "Cascade-Video-13B", "Ossia Audio+", "Vantage-3D", "Nimbus-VL"),
    *("Quill-Omni-8B", "Corvid", "Panorama-26B", "Sable-Chat-VL", "Fathom-Unified", "Iris-11B"),
    "A model whose name is much longer than any column of a table on a telephone has room for",
    *("Brook-VL-2B", "Strata-Mix", "Juniper 3", "Ember-Audio-7B", "Atlas-Omni-90B", "Delta"),
)


@asynccontextmanager
async def _believable() -> AsyncIterator[str]:
    with tempfile.TemporaryDirectory() as name:
        async with site(Path(name)) as (gateway, client):
            named = dict(enumerate(_NAMES))
            # Two publications, so that something has moved.
            for seed in (2, 1):
                await asyncio.to_thread(
                    publish_all, gateway.database, boards_of(MODELS, seed, named)
                )

            async def shown() -> bool:
                return (await client.get("/boards/C-text-generation.json")).status_code == 200

            await eventually(shown, 60)
            yield str(client.base_url)


@asynccontextmanager
async def _given(base: str) -> AsyncIterator[str]:
    yield base


async def _shoot(page: Page, address: str, file: Path) -> list[str]:
    """What is wrong with the page."""
    wrong: list[str] = []
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    answer = await page.goto(address, wait_until="load")
    await page.screenshot(path=file, full_page=True)
    wide = await page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    if wide > 0:
        wrong.append(f"scrolls sideways by {wide} px")
    if answer is not None and answer.status >= 400:
        # The browser tells of the answer that was asked for.
        wrong = [text for text in wrong if "Failed to load resource" not in text]
    return wrong


async def _take(browser: Browser, base: str, names: list[str], folder: Path) -> list[str]:
    found: list[str] = []
    for width in WIDTHS:
        for scheme in SCHEMES:
            context = await browser.new_context(
                base_url=base,
                viewport={"width": width, "height": 900},
                color_scheme=scheme,
                reduced_motion="reduce",
            )
            files = {}
            for name in names:
                page = await context.new_page()
                files[name] = folder / f"{name}-{width}-{scheme}.png"
                wrong = await _shoot(page, PAGES[name], files[name])
                found += [f"{name}, {width} px, {scheme}: {what}" for what in wrong]
                await page.close()
            await context.close()
            _sheet(files, width, scheme).save(folder / f"sheet-{width}-{scheme}.png")
    return found


def _sheet(files: dict[str, Path], width: int, scheme: str) -> Image.Image:
    small = round(width * SHEET_SCALE)
    thumbs = []
    for name, file in files.items():
        with Image.open(file) as whole:
            shown = whole.crop((0, 0, whole.width, min(whole.height, SHEET_HEIGHT)))
            thumb = shown.resize((small, round(shown.height * small / shown.width)))
        thumbs.append((name, thumb))
    columns = SHEET_COLUMNS[width]
    rows = [thumbs[first : first + columns] for first in range(0, len(thumbs), columns)]
    gap, title = 12, 18
    heights = [max(thumb.height for _, thumb in row) + title + gap for row in rows]
    ground, ink = ("#888888", "#000000") if scheme == "light" else ("#555555", "#ffffff")
    sheet = Image.new("RGB", (columns * (small + gap) + gap, sum(heights) + gap), ground)
    draw = ImageDraw.Draw(sheet)
    top = gap
    for row, height in zip(rows, heights, strict=True):
        for column, (name, thumb) in enumerate(row):
            left = gap + column * (small + gap)
            draw.text((left, top), name, fill=ink)
            sheet.paste(thumb, (left, top + title))
        top += height
    return sheet


async def _main(folder: Path, base: str | None, wanted: list[str]) -> int:
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        print("Chromium is not installed.", file=sys.stderr)
        return 1
    async with _given(base) if base else _believable() as address, async_playwright() as playwright:
        async with httpx2.AsyncClient(base_url=address) as client:
            there = {
                name: name == "error" or (await client.get(PAGES[name])).status_code == 200
                for name in wanted
            }
        browser = await playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        names = [name for name, is_there in there.items() if is_there]
        found = await _take(browser, address, names, folder)
        await browser.close()
    for name in sorted(set(there) - set(names)):
        print(f"not on this site: {name} ({PAGES[name]})")
    for wrong in found:
        print(wrong)
    shots = len(names) * len(WIDTHS) * len(SCHEMES)
    print(f"{len(names)} pages, {shots} pictures in {folder}; {len(found)} things wrong")
    return 1 if found else 0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("var/screenshots"))
    parser.add_argument("--base", help="a site that runs, such as http://127.0.0.1:8080")
    parser.add_argument("pages", nargs="*", metavar="PAGE", help=", ".join(PAGES))
    options = parser.parse_args()
    if unknown := set(options.pages) - set(PAGES):
        parser.error(f"no such page: {', '.join(sorted(unknown))}")
    options.out.mkdir(parents=True, exist_ok=True)
    logging.disable(logging.INFO)
    sys.exit(asyncio.run(_main(options.out, options.base, options.pages or list(PAGES))))


if __name__ == "__main__":
    main()
