"""The browser's upload over real sockets, by the tus protocol's core: it breaks and goes on."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from general_level.receipts import dump_receipt, load_receipt
from general_level.v1 import submission_pb2 as pb
from services.gateway import uploads
from services.gateway.lab_uploads import UPLOADS_MAX
from services.gateway.states import State
from services.kit.objects import PartedFile
from tests.support.gateway import Archive, Running, archive, eventually, large_archive
from tests.support.portal import TUS, Browser, browser, portal

pytestmark = pytest.mark.usefixtures("stores")

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def large() -> Archive:
    return large_archive(uploads.PART_BYTES + MIB)


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Running]:
    async with portal(tmp_path) as gateway:
        yield gateway


@pytest.fixture
async def one(gateway: Running) -> AsyncIterator[Browser]:
    async with browser(gateway, await gateway.new_lab()) as one:
        yield one


def stored_sha256(gateway: Running, submission_id: str) -> str:
    with gateway.gateway.database.read() as connection:
        parts = uploads.read_parts(connection, submission_id)
    file = PartedFile(gateway.gateway._objects, parts)
    digest = hashlib.sha256()
    while chunk := file.read(MIB):
        digest.update(chunk)
    return digest.hexdigest()


async def test_the_protocol_s_core(gateway: Running, one: Browser) -> None:
    what = archive()
    place = f"/portal/submissions/{await one.create(what)}/archive"
    told = await one.client.options(place)
    assert (told.status_code, told.headers["tus-version"]) == (204, "1.0.0")
    head = await one.client.head(place)
    assert head.headers["tus-resumable"] == "1.0.0"
    assert (head.headers["upload-offset"], head.headers["upload-length"]) == (
        "0",
        str(len(what.data)),
    )
    assert head.headers["cache-control"] == "no-store"
    submission_id = place.split("/")[3]
    first = await one.patch(submission_id, 0, what.data[:100])
    assert (first.status_code, first.headers["upload-offset"]) == (204, "100")
    second = await one.patch(submission_id, 100, what.data[100:])
    assert (second.status_code, second.headers["x-submission-state"]) == (204, "CHECKING")
    assert second.headers["upload-offset"] == str(len(what.data))
    assert stored_sha256(gateway, submission_id) == what.sha256
    again = await one.patch(submission_id, len(what.data), b"")
    assert (again.status_code, again.json()["reason"]) == (409, "ILLEGAL_TRANSITION")


async def test_what_the_protocol_forbids_is_refused_and_nothing_is_stored(one: Browser) -> None:
    what = archive()
    submission_id = await one.create(what)
    cases: list[tuple[int, bytes, dict[str, str], int, str]] = [
        (1, b"x", {}, 409, "OFFSET_MISMATCH"),
        (0, what.data + b"x", {}, 400, "INVALID_REQUEST"),
        (0, b"x", {"upload-offset": "-1"}, 400, "INVALID_REQUEST"),
        (0, b"x", {"upload-offset": "9" * 40}, 400, "INVALID_REQUEST"),
        (0, b"x", {"upload-offset": ""}, 400, "INVALID_REQUEST"),
        (0, b"x", {"tus-resumable": "0.2.2"}, 412, "INVALID_REQUEST"),
        (0, b"x", {"content-type": "text/plain"}, 415, "INVALID_REQUEST"),
    ]
    for offset, body, headers, status, reason in cases:
        answer = await one.patch(submission_id, offset, body, **headers)
        assert (answer.status_code, answer.json()["reason"]) == (status, reason), headers
        assert answer.json()["message"]
        assert await one.offset(submission_id) == 0


async def test_an_archive_with_another_digest_is_refused(one: Browser) -> None:
    what = archive()
    submission_id = await one.create(what)
    answer = await one.patch(submission_id, 0, bytes(len(what.data)))
    assert (answer.status_code, answer.json()["reason"]) == (400, "DIGEST_MISMATCH")
    page = (await one.get(f"/portal/submissions/{submission_id}")).text
    assert "do not have the SHA-256 that was announced" in page


async def test_a_body_that_breaks_off_is_kept_and_the_rest_is_sent_later(
    gateway: Running, one: Browser, large: Archive
) -> None:
    submission_id = await one.create(large)
    came = uploads.PART_BYTES + 1000

    async def breaking() -> AsyncIterator[bytes]:
        for start in range(0, came, MIB):
            yield large.data[start : min(came, start + MIB)]
        # The last bytes are on their way; the connection is not used for anything else.
        await eventually(lambda: _reached(one, submission_id, uploads.PART_BYTES), 60)
        raise ConnectionError

    length = {"content-length": str(len(large.data))}
    with pytest.raises((ConnectionError, httpx2.TransportError)):
        await one.patch(submission_id, 0, breaking(), **length)
    # All that the gateway received before the break, which may be less than was sent.
    await eventually(lambda: _idle(gateway), 60)
    durable = await one.offset(submission_id)
    assert uploads.PART_BYTES <= durable <= came
    rest = await one.patch(submission_id, durable, large.data[durable:])
    assert (rest.status_code, rest.headers["x-submission-state"]) == (204, "CHECKING")
    assert stored_sha256(gateway, submission_id) == large.sha256


async def _reached(one: Browser, submission_id: str, offset: int) -> bool:
    return await one.offset(submission_id) >= offset


def _idle(gateway: Running) -> bool:
    """Whether no upload runs and nothing of one is being stored."""
    lab_uploads = gateway.gateway._uploads
    return not lab_uploads._uploads._taken and not gateway.gateway._parts._storing


async def test_a_lab_s_uploads_by_browser_and_by_grpc_share_their_places_and_their_bytes(
    gateway: Running, large: Archive
) -> None:
    lab = await gateway.new_lab()
    async with browser(gateway, lab) as one:
        submission_id = await one.create(large)
        sent = await one.patch(submission_id, 0, large.data[:MIB])
        assert sent.status_code == 204
        # The command line goes on where the browser stopped.
        held = [lab.open_upload() for _ in range(UPLOADS_MAX)]
        places = gateway.gateway._uploads._uploads
        await eventually(lambda: places.taken(lab.lab_id) == UPLOADS_MAX, 60)
        refused = await one.patch(submission_id, MIB, large.data[MIB:])
        assert (refused.status_code, refused.json()["reason"]) == (429, "RESOURCE_EXHAUSTED")
        for stream in held:
            stream.cancel()
        done = await lab.upload(submission_id, large.data, MIB)
        assert done.submission.state == pb.SUBMISSION_STATE_CHECKING


async def test_a_waiting_body_ends_with_its_session(gateway: Running, large: Archive) -> None:
    lab = await gateway.new_lab()
    async with browser(gateway, lab) as one:
        submission_id = await one.create(large)
        ended = asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            yield large.data[:MIB]
            await ended.wait()

        waiting = asyncio.create_task(one.patch(submission_id, 0, slow(), **TUS))
        places = gateway.gateway._uploads._uploads
        await eventually(lambda: places.taken(lab.lab_id) == 1, 60)
        async with browser(gateway) as other:
            other.client.cookies.update(one.client.cookies)
            other.form_token = one.form_token
            assert (await other.post("/portal/sign-out")).status_code == 303
        # Nothing more is taken, though nothing more came; what came is kept.
        await eventually(lambda: places.taken(lab.lab_id) == 0, 60)
        ended.set()
        await asyncio.gather(waiting, return_exceptions=True)
        assert await lab.durable_bytes(submission_id) == MIB


async def test_the_receipt_is_the_file_that_the_command_line_writes(gateway: Running) -> None:
    lab = await gateway.new_lab()
    what = archive()
    async with browser(gateway, lab) as one:
        submission_id = await one.create(what)
        await one.patch(submission_id, 0, what.data)
        await lab.when(submission_id, pb.SUBMISSION_STATE_QUEUED, timeout_seconds=60)
        await gateway.move(submission_id, State.RANKING, State.PUBLISHED)
        answer = await one.get(f"/portal/submissions/{submission_id}/receipt.json")
        assert answer.headers["content-disposition"] == (
            f'attachment; filename="receipt-{submission_id}.json"'
        )
        receipt = load_receipt(answer.content)
        assert dump_receipt(receipt) == answer.content
        assert (receipt.submission_id, receipt.archive_sha256) == (submission_id, what.sha256)
