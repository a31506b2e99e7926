"""Uploads that break: at random bytes, by a second stream, a restart, a SIGKILL, a full disk."""

from __future__ import annotations

import asyncio
import hashlib
import random
import threading
import time

import pytest

from general_level import errors
from general_level.client import Client, RetryPolicy
from general_level.v1 import submission_pb2 as pb
from services.gateway import uploads
from services.kit.objects import PartedFile
from tests.support.breaking_proxy import BreakingProxy
from tests.support.gateway import (
    CHUNK_BYTES,
    Archive,
    Lab,
    archive,
    create_request,
    eventually,
    large_archive,
    running,
    upload_messages,
)
from tests.support.gateway_process import GatewayProcess

pytestmark = pytest.mark.usefixtures("stores")

MIB = 1024 * 1024
#: Patient in number and quick in time.
RETRY = RetryPolicy(attempts=60, first_wait_seconds=0.05, longest_wait_seconds=0.25)


@pytest.fixture
async def gateway(tmp_path):
    async with running(tmp_path) as gateway:
        yield gateway


@pytest.fixture
async def lab(gateway):
    return await gateway.new_lab()


@pytest.fixture(scope="module")
def large():
    """Two full parts and a bit."""
    return large_archive(2 * uploads.PART_BYTES + MIB)


def stored_sha256(gateway, submission_id: str) -> str:
    """SHA-256 over what the gateway keeps."""
    with gateway.gateway.database.read() as connection:
        parts = uploads.read_parts(connection, submission_id)
    file = PartedFile(gateway.gateway._objects, parts)
    digest = hashlib.sha256()
    while chunk := file.read(MIB):
        digest.update(chunk)
    return digest.hexdigest()


# Broken connections.


@pytest.mark.parametrize("seed", [1, 2])
async def test_an_upload_cut_at_random_bytes_goes_on_until_it_is_whole(
    gateway, lab, tmp_path, large, seed
):
    """The labs' own client over connections that are cut like a cable."""
    path = tmp_path / large.name
    path.write_bytes(large.data)
    chance = random.Random(seed)
    # The first cuts come within the handshake and the create.
    budgets = iter([chance.randrange(1, 3_000) for _ in range(3)])
    cuts = iter([*budgets, *(chance.randrange(100_000, 5 * MIB) for _ in range(8))])
    async with BreakingProxy(gateway.ports.public, budgets=cuts) as proxy:

        def submit():
            with Client(f"127.0.0.1:{proxy.port}", lab.token, insecure=True, retry=RETRY) as client:
                return client.submit(path, board=large.board)

        submitted = await asyncio.to_thread(submit)
        assert proxy.cuts >= 5
    assert stored_sha256(gateway, submitted.submission_id) == large.sha256
    states = (pb.SUBMISSION_STATE_CHECKING, pb.SUBMISSION_STATE_QUEUED)
    await lab.when(submitted.submission_id, *states, timeout_seconds=60)


async def test_streams_that_a_lab_ends_early_keep_what_came(lab, gateway, large):
    """Half of the streams end in order after some messages, half are torn off."""
    submission_id = (await lab.create(large)).submission_id
    chance = random.Random(7)
    while (durable := await lab.durable_bytes(submission_id)) < len(large.data):
        messages = list(upload_messages(submission_id, large.data, durable))
        stream = lab.open_upload()
        stream.send(*messages[: chance.randrange(1, 30)])
        if chance.random() < 0.5:
            try:
                assert (await stream.end()).durable_bytes > durable
            except errors.OffsetMismatch:
                continue  # the stream before it was still storing what had come
        else:
            await lab.get(submission_id)
            stream.cancel()
    await finished(lab, submission_id, large)
    assert stored_sha256(gateway, submission_id) == large.sha256


async def finished(lab: Lab, submission_id: str, what: Archive) -> None:
    """Ends an upload of which every byte is durable, if it has not ended yet."""
    if (await lab.get(submission_id)).state == pb.SUBMISSION_STATE_UPLOADING:
        await lab.upload(submission_id, what.data, offset=len(what.data))
    assert (await lab.get(submission_id)).state != pb.SUBMISSION_STATE_UPLOADING


async def test_an_upload_whose_last_byte_came_before_the_break_is_finished_by_an_empty_stream(lab):
    what = archive()
    submission_id = (await lab.create(what)).submission_id

    async def came() -> bool:
        """Sends everything and breaks off without the end of the stream."""
        stream = lab.open_upload()
        stream.send(*upload_messages(submission_id, what.data))
        for _ in range(3):
            await lab.get(submission_id)
        stream.cancel()
        for _ in range(3):
            durable = await lab.durable_bytes(submission_id)
        return durable == len(what.data)

    await eventually(came)
    assert (await lab.get(submission_id)).state == pb.SUBMISSION_STATE_UPLOADING
    await lab.upload(submission_id, what.data, offset=len(what.data))
    await lab.when(submission_id, pb.SUBMISSION_STATE_QUEUED, timeout_seconds=60)


# What a stream may not do.


@pytest.mark.parametrize("offset", [-1, 1, 100, 2**62])
async def test_a_stream_elsewhere_than_at_the_end_is_told_where_to_go_on(lab, offset):
    what = archive()
    submission_id = (await lab.create(what)).submission_id
    stream = lab.open_upload()
    stream.send(pb.UploadArchiveRequest(submission_id=submission_id, offset=offset, data=b"x"))
    with pytest.raises(errors.OffsetMismatch) as caught:
        await stream.end()
    assert caught.value.metadata == {"durable_bytes": "0", "offset": str(offset)}
    assert (await lab.get(submission_id)).state == pb.SUBMISSION_STATE_CREATED


async def test_of_two_streams_at_once_one_wins_and_nothing_is_interleaved(
    lab, gateway, tmp_path, large, stores
):
    submission_id = (await lab.create(large)).submission_id
    other = bytes(len(large.data))
    first, second = lab.open_upload(), lab.open_upload()
    # Both are let in at 0, before any byte is durable.
    for stream, data in ((first, large.data), (second, other)):
        messages = upload_messages(submission_id, data)
        stream.send(next(messages))
    await lab.when(submission_id, pb.SUBMISSION_STATE_UPLOADING)
    first.send(*list(upload_messages(submission_id, large.data))[1:])
    await eventually(lambda: has_parts(gateway, submission_id))
    second.send(*list(upload_messages(submission_id, other))[1:])
    won = await first.end()
    with pytest.raises((errors.OffsetMismatch, errors.IllegalTransition)):
        await second.end()
    assert won.durable_bytes == len(large.data)
    assert stored_sha256(gateway, submission_id) == large.sha256
    # What the loser had stored is not left lying about.
    kept = stores.stored(tmp_path)
    assert sum(map(len, kept.values())) == len(large.data)
    states = (pb.SUBMISSION_STATE_CHECKING, pb.SUBMISSION_STATE_QUEUED)
    await lab.when(submission_id, *states)


def has_parts(gateway, submission_id: str) -> bool:
    with gateway.gateway.database.read() as connection:
        return uploads.durable_bytes(connection, submission_id) > 0


async def test_more_bytes_than_announced_are_refused_and_the_right_ones_still_taken(lab):
    what = archive()
    submission_id = (await lab.create(what)).submission_id
    with pytest.raises(errors.InvalidRequest, match=f"announced {len(what.data)}"):
        await lab.upload(submission_id, what.data + b"more", chunk_bytes=100)
    durable = await lab.durable_bytes(submission_id)
    assert 0 <= durable <= len(what.data)
    await lab.upload(submission_id, what.data, offset=durable)
    await lab.when(submission_id, pb.SUBMISSION_STATE_QUEUED, timeout_seconds=60)


async def test_fewer_bytes_than_announced_leave_the_upload_open(lab):
    what = archive()
    submission_id = (await lab.create(what)).submission_id
    answer = await lab.upload(submission_id, what.data[:100])
    assert answer.durable_bytes == 100
    assert answer.submission.state == pb.SUBMISSION_STATE_UPLOADING
    assert await lab.durable_bytes(submission_id) == 100


@pytest.mark.parametrize("resumed", [False, True])
async def test_other_bytes_than_announced_reject_the_submission_and_cost_nothing(lab, resumed):
    what = archive()
    wrong = what.data[:-1] + bytes([what.data[-1] ^ 1])
    submission_id = (await lab.create(what)).submission_id
    offset = 0
    if resumed:
        # Then no stream has seen all bytes, and the stored ones are read again.
        offset = (await lab.upload(submission_id, wrong[:50])).durable_bytes
    with pytest.raises(errors.DigestMismatch) as caught:
        await lab.upload(submission_id, wrong, offset=offset)
    assert caught.value.metadata["received_sha256"] == hashlib.sha256(wrong).hexdigest()
    ended = await lab.get(submission_id)
    assert (ended.state, ended.failure_reason) == (
        pb.SUBMISSION_STATE_REJECTED,
        "digest-mismatch",
    )
    assert ended.quota_status == pb.QUOTA_STATUS_REFUNDED
    assert [window.used for window in (await lab.get_quota()).windows] == [0, 0]
    await lab.create(what)


async def test_a_stream_without_messages_and_a_message_too_large_are_refused(lab, large):
    with pytest.raises(errors.InvalidRequest, match="no message"):
        await lab.open_upload().end()
    submission_id = (await lab.create(large)).submission_id
    with pytest.raises(errors.InvalidRequest, match="at most 1048576 bytes"):
        await lab.upload(submission_id, large.data, chunk_bytes=MIB + 1)
    await lab.upload(submission_id, large.data, await lab.durable_bytes(submission_id), MIB)


async def test_a_withdrawal_stops_an_upload_under_way(lab, large):
    submission_id = (await lab.create(large)).submission_id
    stream = lab.open_upload()
    first, *others = upload_messages(submission_id, large.data)
    stream.send(first)
    await lab.when(submission_id, pb.SUBMISSION_STATE_UPLOADING)
    await lab.cancel(submission_id)
    stream.send(*others)
    with pytest.raises(errors.IllegalTransition):
        await stream.end()
    assert (await lab.get(submission_id)).state == pb.SUBMISSION_STATE_CANCELLED


# Restarts.


async def test_a_gateway_that_is_restarted_in_the_middle_goes_on_where_it_was(tmp_path, large):
    async with running(tmp_path) as before:
        lab = await before.new_lab()
        submission_id = (await lab.create(large)).submission_id
        stream = lab.open_upload()
        messages = list(upload_messages(submission_id, large.data))
        stream.send(*messages[: 3 + uploads.PART_BYTES // CHUNK_BYTES])
        await eventually(lambda: has_parts(before, submission_id))
        token = lab.token
        # It stops with the stream open: its bytes that came are kept.
    async with running(tmp_path) as after:
        lab = await after.lab(token)
        durable = await lab.durable_bytes(submission_id)
        # The full part, and whatever had come of the next one by then.
        assert durable >= uploads.PART_BYTES
        assert (await lab.get(submission_id)).state == pb.SUBMISSION_STATE_UPLOADING
        await lab.upload(submission_id, large.data, offset=durable)
        assert stored_sha256(after, submission_id) == large.sha256
        await lab.when(submission_id, pb.SUBMISSION_STATE_QUEUED, timeout_seconds=60)


async def test_an_archive_that_waits_for_its_check_is_checked_after_a_restart(tmp_path):
    async with running(tmp_path) as before:
        lab = await before.new_lab()
        submission_id = (await lab.submit(archive())).submission_id
        token = lab.token
    async with running(tmp_path) as after:
        lab = await after.lab(token)
        await lab.when(submission_id, pb.SUBMISSION_STATE_QUEUED, timeout_seconds=60)


@pytest.fixture
def process(tmp_path):
    process = GatewayProcess(tmp_path)
    process.start()
    yield process
    process.stop()


def client_of(process: GatewayProcess, token: str) -> Client:
    return Client(process.target, token, insecure=True, retry=RETRY)


def wait_for(predicate, timeout_seconds: float = 60.0) -> None:
    end = time.monotonic() + timeout_seconds
    while not predicate():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


@pytest.mark.slow
def test_a_gateway_killed_in_the_middle_of_an_upload_loses_no_durable_byte(
    process, tmp_path, large
):
    path = tmp_path / large.name
    path.write_bytes(large.data)
    token = process.new_lab()
    killed = threading.Event()

    def progress(so_far) -> None:
        # The client's own thread reports what it hands over; the kill comes from outside of it.
        if so_far.done_bytes > uploads.PART_BYTES + MIB and not killed.is_set():
            killed.set()
            threading.Thread(target=restart).start()

    def restart() -> None:
        process.kill()
        process.start()

    with client_of(process, token) as client:
        submitted = client.submit(path, board=large.board, progress=progress)
        assert killed.is_set()
        wait_for(lambda: client.get(submitted.submission_id).state.value == "QUEUED")
        assert client.get(submitted.submission_id).archive_sha256 == large.sha256
        assert len(list(client.submissions())) == 1


@pytest.mark.slow
@pytest.mark.parametrize("stores", ["one-machine"], indirect=True)
def test_a_full_disk_is_told_as_ours_and_the_upload_goes_on_when_there_is_room(
    process, tmp_path, large
):
    path = tmp_path / large.name
    path.write_bytes(large.data)
    token = process.new_lab()
    with client_of(process, token) as client:
        created = client.create(path, request_id="0b6f5d0e-5d2b-4c39-9a51-0d6f7a2f8c11",
                                board=large.board)  # fmt: skip
        process.limit_files_to(MIB)
        hasty = Client(process.target, token, insecure=True, retry=RetryPolicy(attempts=1))
        with hasty, pytest.raises(errors.Unavailable) as caught:
            hasty.resume(created.submission_id, path)
        assert caught.value.reason in {"OBJECT_STORE_FAILED", "UNAVAILABLE"}
        assert "canary" not in str(caught.value)
        # Nothing half-written is left, and the gateway still answers.
        assert client.get(created.submission_id).state.value == "UPLOADING"
        kept = [file for file in (tmp_path / "objects").rglob("*") if file.is_file()]
        assert sum(file.stat().st_size for file in kept) == 0
        process.limit_files_to()
        finished = client.resume(created.submission_id, path)
        wait_for(lambda: client.get(finished.submission_id).state.value == "QUEUED")
        assert client.quota().pending_submission_id == created.submission_id


@pytest.mark.slow
def test_a_gateway_ends_in_order_when_it_is_asked_to(tmp_path):
    process = GatewayProcess(tmp_path)
    process.start()
    assert process.stop() == 0


def test_the_helpers_announce_what_they_hold():
    request = create_request(Archive("A B-D-L-11.zip", b"123"))
    assert (request.board_id, request.model.model_name) == ("D-L-11", "A B")
    assert Lab.__doc__
