"""What a lab does in the portal, in a real browser: over a bad line, and to its publication."""

from __future__ import annotations

import itertools
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import Browser as Chromium
from playwright.async_api import BrowserContext, Page, expect

from general_level.catalogue import load
from general_level.receipts import load_receipt, verify_receipt
from general_level.trusted_keys import read_trusted_keys
from services.gateway import uploads
from tests.browser.accessibility import (
    PATIENCE_MS,
    require_accessible,
    require_nothing_serious,
    telephone,
)
from tests.support.breaking_proxy import BreakingProxy
from tests.support.gateway import BOARD, Archive, Lab, archive, large_archive, of_members
from tests.support.platform import running_platform
from tests.support.portal import browser as http_browser
from tests.support.portal import portal
from tests.support.synthetic import scored_tasks, write_archive

MIB: Final = 1024 * 1024
HOSTILE: Final = "<script>document.title='taken'</script> 🦜 " + "M" * 50
ITEMS: Final = 12
PLACE: Final = re.compile(r"/portal/submissions/sub_\w+$")


@asynccontextmanager
async def opened(
    browser: Chromium, address: str, **options: Any
) -> AsyncIterator[tuple[BrowserContext, Page]]:
    context = await browser.new_context(base_url=address, **options)
    context.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    try:
        yield context, await context.new_page()
    finally:
        await context.close()


async def sign_in(page: Page, token: str | None) -> None:
    assert token is not None
    await page.goto("/")
    await page.get_by_role("link", name="Sign in").click()
    await page.get_by_label("Token of the lab").fill(token)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", name="Your submissions")).to_be_visible()


async def submit(page: Page, path: Path) -> None:
    """Fills in the form of a new submission; its file's name says model and board."""
    await page.get_by_role("link", name="New submission").first.click()
    await page.get_by_label("Archive").set_input_files(path)
    await page.get_by_label("Organisation").fill("Example Lab")
    await page.get_by_role("checkbox", name="Language").check()
    await page.get_by_role("button", name="Submit").click()


def saved(folder: Path, what: Archive) -> Path:
    path = folder / what.name
    path.write_bytes(what.data)
    return path


async def test_an_upload_whose_connection_breaks_goes_on_and_is_withdrawn(
    browser: Chromium, tmp_path: Path
) -> None:
    what = large_archive(10 * MIB, model="Broken Line")
    path = saved(tmp_path, what)
    async with portal(tmp_path) as gateway:
        lab, port = await gateway.new_lab(), gateway.ports.web
        assert port is not None
        # Every connection is cut after some bytes: the upload needs a second one.
        async with (
            BreakingProxy(port, budgets=itertools.repeat(6 * MIB)) as proxy,
            opened(browser, f"http://127.0.0.1:{proxy.port}") as (_, page),
        ):
            await sign_in(page, lab.token)
            await submit(page, path)
            await expect(page.get_by_text("Queued", exact=True).first).to_be_visible()
            assert PLACE.search(page.url)
            assert proxy.cuts >= 1
            submission = await lab.get(page.url.rsplit("/", 1)[1])
            assert submission.archive_sha256 == what.sha256
            assert submission.model.organisation == "Example Lab"
            await page.get_by_role("link", name="Withdraw").click()
            await expect(page.get_by_text("the slot comes back")).to_be_visible()
            await page.get_by_role("button", name="Withdraw it").click()
            await expect(page.get_by_text("You withdrew it.").first).to_be_visible()


async def test_an_upload_goes_on_after_the_page_was_closed_with_the_same_file_only(
    browser: Chromium, tmp_path: Path
) -> None:
    what = large_archive(uploads.PART_BYTES + MIB, model="Closed Page")
    other = Archive(what.name, what.data[:-1] + b"x")
    async with portal(tmp_path) as gateway:
        lab = await gateway.new_lab()
        async with http_browser(gateway, lab) as earlier:
            submission_id = await earlier.create(what)
            await earlier.patch(submission_id, 0, what.data[: 2 * MIB])
        async with opened(browser, f"http://127.0.0.1:{gateway.ports.web}") as (_, page):
            sent: list[int] = []
            page.on("request", lambda r: sent.append(_offset(r)) if r.method == "PATCH" else None)
            await sign_in(page, lab.token)
            await page.goto(f"/portal/submissions/{submission_id}")
            file = page.get_by_label("Choose the same file again")
            onward = page.get_by_role("button", name="Go on with the upload")
            await file.set_input_files(saved(tmp_path, other))
            await onward.click()
            await expect(page.get_by_text("This is another file")).to_be_visible()
            assert sent == []
            await file.set_input_files(saved(tmp_path, what))
            await onward.click()
            await expect(page.get_by_text("Queued", exact=True).first).to_be_visible()
            assert sent == [2 * MIB]


@pytest.mark.parametrize("then", ["goes on", "is read again"])
async def test_an_upload_that_is_paused_keeps_what_came(
    browser: Chromium, tmp_path: Path, then: str
) -> None:
    what = large_archive(3 * uploads.PART_BYTES, model="Paused")
    path = saved(tmp_path, what)
    async with portal(tmp_path) as gateway:
        lab, port = await gateway.new_lab(), gateway.ports.web
        assert port is not None
        # Nothing more passes from the middle of the archive on: the page is found at work.
        async with (
            BreakingProxy(port, part_after=2 * uploads.PART_BYTES) as proxy,
            opened(browser, f"http://127.0.0.1:{proxy.port}") as (_, page),
        ):
            offsets: list[int] = []
            page.on(
                "request",
                lambda one: offsets.append(_offset(one)) if one.method == "PATCH" else None,
            )
            await sign_in(page, lab.token)
            await submit(page, path)
            await proxy.parted.wait()
            await expect(page.locator("#upload-figures")).to_have_text(
                re.compile(r"^[\d.]+ MB of [\d.]+ MB(, [\d.]+ [kM]?B/s)?$")
            )
            await page.get_by_role("button", name="Pause").click()
            await expect(page.get_by_text("Paused. What came is kept.")).to_be_visible()
            proxy.heal()
            if then == "goes on":
                await page.get_by_role("button", name="Go on").click()
            else:
                await page.reload()
                await page.get_by_label("Choose the same file again").set_input_files(path)
                await page.get_by_role("button", name="Go on with the upload").click()
            await expect(page.get_by_text("Queued", exact=True).first).to_be_visible()
            assert PLACE.search(page.url)
            assert offsets[0] == 0
            assert offsets[-1] >= uploads.PART_BYTES
            submission = await lab.get(page.url.rsplit("/", 1)[1])
            assert submission.archive_sha256 == what.sha256


def _offset(request: Any) -> int:
    return int(request.headers["upload-offset"])


async def test_the_findings_of_a_bad_archive_are_shown_and_explained(
    browser: Chromium, tmp_path: Path
) -> None:
    folder = load().tasks[load().boards[BOARD].task_ids[0]].archive_path
    bad = of_members({f"{folder}/prediction.json": [{"id": "1"}]}, model="Bad Archive")
    async with portal(tmp_path) as gateway:
        lab = await gateway.new_lab()
        async with opened(browser, f"http://127.0.0.1:{gateway.ports.web}") as (_, page):
            await sign_in(page, lab.token)
            await submit(page, saved(tmp_path, bad))
            await expect(page.get_by_role("heading", name="Rejected")).to_be_visible()
            await expect(page.get_by_text(f"{folder}/prediction.json").first).to_be_visible()
            await expect(page.get_by_text("row 0").first).to_be_visible()
            await page.get_by_role("link", name="GL160").first.click()
            await expect(page.locator("#GL160")).to_be_in_viewport()


async def test_a_submission_is_watched_to_its_publication_while_an_open_board_shows_it(
    browser: Chromium, tmp_path: Path, axe: str
) -> None:
    tasks = scored_tasks(load(), BOARD)
    with running_platform(tmp_path, tasks, ITEMS, pages=True) as platform:
        path = write_archive(tmp_path, "Good Model", BOARD, tasks, ITEMS)
        address = f"http://127.0.0.1:{platform.ports.web}"
        async with (
            opened(browser, address) as (_, board),
            opened(browser, address, bypass_csp=True) as (_, page),
        ):
            async with board.expect_response("**/events"):
                await board.goto(f"/boards/{BOARD}")
            await sign_in(page, platform.home.new_lab("browser lab"))
            await page.get_by_role("button", name="Accept it for the whole lab").click()
            await submit(page, path)
            await expect(page.get_by_role("heading", name="Published")).to_be_visible()
            # It came by itself, to both.
            await expect(board.locator("tbody th a").first).to_have_text("Good Model")
            for word in ("Created", "Uploading", "Checking", "Queued", "Grading", "Ranking"):
                await expect(page.locator(".timeline").get_by_text(word)).to_be_visible()
            row = page.locator("tbody tr").first
            await expect(row).to_contain_text("scored")
            await expect(row).to_contain_text(f"of {ITEMS}")
            await require_nothing_serious(page, axe)
            async with page.expect_download() as download:
                await page.get_by_role("link", name="Receipt").click()
            await (await download.value).save_as(tmp_path / "receipt.json")
            receipt = load_receipt((tmp_path / "receipt.json").read_bytes())
            report = verify_receipt(
                receipt,
                archive=path,
                trusted_keys=read_trusted_keys(platform.home.trusted_keys),
            )
            assert len(report.statements) == len(tasks)
            await page.get_by_role("link", name="The model's public page").click()
            await expect(page.locator("h1")).to_have_text("Good Model")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_serious_on_small_screens_with_and_without_submissions(
    browser: Chromium, tmp_path: Path, axe: str, scheme: Any
) -> None:
    async with portal(tmp_path) as gateway:
        address = f"http://127.0.0.1:{gateway.ports.web}"
        async with telephone(browser, address, scheme) as page:
            lab = await gateway.new_lab(accept=False)
            await page.goto("/portal")
            await require_accessible(page, axe)
            await sign_in(page, lab.token)
            await require_accessible(page, axe)
            await lab.accept()
            rejected, waiting = await _submissions(gateway, lab)
            for place in (
                "/portal",
                "/portal/new",
                rejected,
                waiting,
                f"{waiting}/withdraw",
                f"{rejected}/withdraw",
                "/findings",
            ):
                await page.goto(place)
                assert await page.title() != "taken"
                await require_accessible(page, axe)


async def _submissions(gateway: Any, lab: Lab) -> tuple[str, str]:
    """Pages of one that was rejected and of one that waits for bytes."""
    bad = of_members({f"{'x' * 200}/prediction.json": [], "\u202ebad.json": []})
    async with http_browser(gateway, lab) as one:
        rejected = await one.create(bad, model_name=HOSTILE, organisation=HOSTILE)
        await one.patch(rejected, 0, bad.data)
        await lab.when(rejected, 8, timeout_seconds=60)
        waiting = await one.create(archive())
    return f"/portal/submissions/{rejected}", f"/portal/submissions/{waiting}"


async def test_without_a_script_all_but_the_upload_works(browser: Chromium, tmp_path: Path) -> None:
    async with portal(tmp_path) as gateway:
        lab = await gateway.new_lab(accept=False)
        address = f"http://127.0.0.1:{gateway.ports.web}"
        async with opened(browser, address, java_script_enabled=False) as (_, page):
            await sign_in(page, lab.token)
            await page.get_by_role("button", name="Accept it for the whole lab").click()
            await page.get_by_role("link", name="New submission").first.click()
            await expect(page.get_by_text("The upload needs a script")).to_be_visible()
            await expect(page.get_by_text('general-level submit "My Model')).to_be_visible()
            created = await lab.create(archive())
            await page.goto(f"/portal/submissions/{created.submission_id}")
            await page.get_by_role("link", name="Withdraw").click()
            await page.get_by_role("button", name="Withdraw it").click()
            await expect(page.get_by_text("You withdrew it.").first).to_be_visible()
            await page.get_by_role("button", name="Sign out").click()
            await page.goto("/portal")
            await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
