"""Every page as readers see it, to be looked at: ``make screenshots``.

    python -m tests.browser.screenshots [--out var/screenshots] [--base URL] [PAGE ...]

Starts a gateway with standings of believable models and a lab that takes part, takes each page at
1280 and 390 px in light and in dark, whole, and lays them together on a sheet for each
(``sheet-1280-light.png``…). Exits with 1 where a page scrolls sideways or the browser's console
tells of an error. With ``--base`` it takes the pages of a site that runs already, those of the
portal with the lab's token in the file ``--token``.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx2
from PIL import Image, ImageDraw
from playwright.async_api import Browser, Page, async_playwright

from general_level.catalogue import load
from services.gateway import history
from services.operations.shipped import shipped_history
from tests.browser.conftest import ARGUMENTS
from tests.support.gateway import BOARD, START, archive, eventually, of_members
from tests.support.portal import Browser as HttpBrowser
from tests.support.portal import browser as http_browser
from tests.support.portal import portal
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
    "model": "/models/s-00002",
    "compare": "/compare?m=s-00002&m=s-00003&m=s-00005",
    "compare-choose": "/compare",
    "skills": "/skills",
    "skill": "/skills/I-C-1",
    "tasks": "/tasks",
    "task": "/tasks/image-c-001",
    "published": "/published",
    "published-table": "/published/general-level-paper",
    "published-model": "/published/general-level-paper/models/emu2-37b",
    "versions": "/versions",
    "rules": "/rules",
    "acknowledgements": "/acknowledgements",
    "take-part": "/take-part",
    "findings": "/findings",
    "sign-in": "/sign-in",
    "portal": "/portal",
    "portal-new": "/portal/new",
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


class _Site(NamedTuple):
    """A site, the token of a lab (none: the portal is not looked at), and pages of its own."""

    base: str
    token: str | None
    pages: dict[str, str]


@asynccontextmanager
async def _believable() -> AsyncIterator[_Site]:
    with tempfile.TemporaryDirectory() as name:
        async with portal(Path(name)) as running:
            gateway = running.gateway
            named = dict(enumerate(_NAMES))
            # Two publications, so that something has moved.
            for seed in (2, 1):
                await asyncio.to_thread(
                    publish_all, gateway.database, boards_of(MODELS, seed, named)
                )
            await gateway.database.run_write(
                history.import_document, START, shipped_history(), replace=False
            )
            lab = await running.new_lab("Example Lab")
            async with http_browser(running, lab) as lab_browser:
                ids = await _submissions(lab_browser)

                async def shown() -> bool:
                    waits_for = ("/boards/C-text-generation.json", PAGES["published-table"])
                    answers = [await lab_browser.get(address) for address in waits_for]
                    return all(answer.status_code == 200 for answer in answers)

                await eventually(shown, 60)
                pages = {
                    "portal-submission": f"/portal/submissions/{ids[0]}",
                    "portal-withdraw": f"/portal/submissions/{ids[0]}/withdraw",
                    "portal-rejected": f"/portal/submissions/{ids[1]}",
                }
                yield _Site(lab_browser.origin, lab.token, pages)


async def _submissions(lab_browser: HttpBrowser) -> tuple[str, str]:
    """One that waits for a grader, after one with findings."""
    rows = [{"id": "1"}, {"id": "2", "prediction": ["no text"]}]
    task = load().tasks[load().boards[BOARD].task_ids[0]]
    broken = of_members({f"{task.archive_path}/prediction.json": rows}, model="Aurora-VL-72B")
    ids = []
    for what in (broken, archive(model="Aurora-VL-72B")):
        ids.append(await lab_browser.create(what, organisation="Example Lab"))
        await lab_browser.patch(ids[-1], 0, what.data)

        async def checked(address: str = f"/portal/submissions/{ids[-1]}") -> bool:
            page = (await lab_browser.get(address)).text
            return "Rejected" in page or "Queued" in page

        await eventually(checked, 60)
    return ids[1], ids[0]


@asynccontextmanager
async def _given(base: str, token: str | None) -> AsyncIterator[_Site]:
    yield _Site(base, token, {})


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


async def _sign_in(page: Page, token: str) -> None:
    await page.goto("/sign-in")
    await page.get_by_label("Token of the lab").fill(token)
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url("**/portal")
    await page.close()


async def _take(
    browser: Browser, where: _Site, pages: Mapping[str, str], folder: Path
) -> list[str]:
    found: list[str] = []
    for width in WIDTHS:
        for scheme in SCHEMES:
            context = await browser.new_context(
                base_url=where.base,
                viewport={"width": width, "height": 900},
                color_scheme=scheme,
                reduced_motion="reduce",
            )
            files = {}
            signed_in = False
            # Those of the portal last: who is signed in is not asked to do so.
            for name, address in sorted(pages.items(), key=lambda one: one[0].startswith("portal")):
                if name.startswith("portal") and where.token is not None and not signed_in:
                    await _sign_in(await context.new_page(), where.token)
                    signed_in = True
                page = await context.new_page()
                files[name] = folder / f"{name}-{width}-{scheme}.png"
                wrong = await _shoot(page, address, files[name])
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


async def _main(folder: Path, given: _Site | None, wanted: list[str]) -> int:
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        print("Chromium is not installed.", file=sys.stderr)
        return 1
    async with (
        _given(given.base, given.token) if given else _believable() as where,
        async_playwright() as playwright,
    ):
        every = PAGES | where.pages
        pages = {}
        reads = {"accept": "text/html"}
        async with httpx2.AsyncClient(base_url=where.base, headers=reads) as client:
            for name in wanted or every:
                status = (await client.get(every[name])).status_code
                # The portal sends who is not signed in to do so.
                is_portal = where.token is not None and name.startswith("portal")
                if name == "error" or status == (303 if is_portal else 200):
                    pages[name] = every[name]
                else:
                    print(f"not on this site: {name} ({every[name]})")
        browser = await playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        found = await _take(browser, where, pages, folder)
        await browser.close()
    for wrong in found:
        print(wrong)
    shots = len(pages) * len(WIDTHS) * len(SCHEMES)
    print(f"{len(pages)} pages, {shots} pictures in {folder}; {len(found)} things wrong")
    return 1 if found else 0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("var/screenshots"))
    parser.add_argument("--base", help="a site that runs, such as http://127.0.0.1:8080")
    parser.add_argument("--token", type=Path, help="a file with the token of a lab of that site")
    parser.add_argument("pages", nargs="*", metavar="PAGE", help=", ".join(PAGES))
    options = parser.parse_args()
    if unknown := set(options.pages) - set(PAGES):
        parser.error(f"no such page: {', '.join(sorted(unknown))}")
    options.out.mkdir(parents=True, exist_ok=True)
    logging.disable(logging.INFO)
    token = options.token.read_text().strip() if options.token else None
    given = _Site(options.base, token, {}) if options.base else None
    sys.exit(asyncio.run(_main(options.out, given, options.pages)))


if __name__ == "__main__":
    main()
