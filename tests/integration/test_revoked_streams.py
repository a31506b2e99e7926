"""A call that lasts ends soon after its token was revoked, and no other call does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from general_level.errors import NotAuthenticated
from general_level.v1 import (
    catalogue_pb2,
    catalogue_pb2_grpc,
    grading_pb2,
    grading_pb2_grpc,
    ranking_pb2,
    ranking_pb2_grpc,
)
from general_level.v1 import submission_pb2 as pb
from general_level.wire import from_rpc_error, to_duration
from services.gateway import identity, submissions
from services.gateway.identity import RECHECK
from services.kit.clock import ManualClock
from tests.support.gateway import BOARD, START, Lab, Running, archive, eventually, running

INSTANT = timedelta(microseconds=1)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
async def gateway(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Running]:
    boards = tmp_path / "public" / "boards"
    boards.mkdir(parents=True)
    # More than the windows of the connection hold: the server waits for its reader.
    (boards / f"{BOARD}.zip").write_bytes(bytes(64 * 1024 * 1024))
    async with running(tmp_path, clock, public_folder=tmp_path / "public") as gateway:
        yield gateway


async def revoke(gateway: Running, metadata: Any) -> None:
    token_id = "_".join(metadata[0][1].split("_")[1:3])
    await gateway.gateway.database.run_write(
        identity.revoke_token, gateway.gateway.clock.now(), token_id
    )


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


async def ends(turn: Callable[[], Awaitable[object]]) -> None:
    """The stream ends with UNAUTHENTICATED, however many messages were on their way."""

    async def to_the_end() -> None:
        while await turn() is not grpc.aio.EOF:
            pass

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await asyncio.wait_for(to_the_end(), 20)
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert isinstance(from_rpc_error(caught.value), NotAuthenticated)


async def test_watching_a_submission(gateway: Running, clock: ManualClock) -> None:
    lab = await gateway.new_lab()
    created = await lab.create(archive())
    request = pb.WatchSubmissionRequest(submission_id=created.submission_id)
    kept = await gateway.lab(await gateway.token("lab", lab_id=lab.lab_id), lab.lab_id)
    streams = [
        one.submission.WatchSubmission(request, metadata=one.metadata) for one in (lab, kept)
    ]
    for stream in streams:
        await stream.read()
    await revoke(gateway, lab.metadata)

    # Not yet read again: a change still reaches both, and by then both have taken a turn.
    clock.advance(RECHECK - INSTANT)
    await gateway.gateway.database.run_write(submissions.touch, START, created.submission_id)
    for stream in streams:
        await asyncio.wait_for(stream.read(), 20)

    clock.advance(INSTANT)
    await ends(streams[0].read)
    await gateway.gateway.database.run_write(submissions.touch, START, created.submission_id)
    await asyncio.wait_for(streams[1].read(), 20)
    streams[1].cancel()


async def test_an_upload_of_which_nothing_comes(gateway: Running, clock: ManualClock) -> None:
    lab = await gateway.new_lab()
    created = await lab.create(archive())
    stream = lab.submission.UploadArchive(metadata=lab.metadata)
    await stream.write(
        pb.UploadArchiveRequest(submission_id=created.submission_id, data=archive().data[:10])
    )
    await lab.when(created.submission_id, pb.SUBMISSION_STATE_UPLOADING)
    kept = await gateway.lab(await gateway.token("lab", lab_id=lab.lab_id), lab.lab_id)
    await revoke(gateway, lab.metadata)
    clock.advance(RECHECK)
    assert await asyncio.wait_for(stream.code(), 20) is grpc.StatusCode.UNAUTHENTICATED
    # What came is kept.
    assert await durable(kept, created.submission_id) == 10


async def durable(lab: Lab, submission_id: str) -> int:
    answer = await lab.call(
        lab.submission.GetUpload, pb.GetUploadRequest(submission_id=submission_id)
    )
    return int(answer.durable_bytes)


async def test_a_download(gateway: Running, clock: ManualClock) -> None:
    lab = await gateway.new_lab()
    stub: Any = catalogue_pb2_grpc.CatalogueServiceStub(await gateway.channel())
    stream = stub.DownloadInputs(
        catalogue_pb2.DownloadInputsRequest(board_id=BOARD), metadata=lab.metadata
    )
    await stream.read()
    await revoke(gateway, lab.metadata)
    clock.advance(RECHECK)
    await ends(stream.read)


async def test_the_ledger(gateway: Running, clock: ManualClock) -> None:
    metadata = bearer(await gateway.token("ranker"))
    channel = await gateway.channel(gateway.internal_target)
    stub: Any = ranking_pb2_grpc.RankingServiceStub(channel)
    stream = stub.WatchScores(ranking_pb2.WatchScoresRequest(), metadata=metadata)
    await stream.read()
    await revoke(gateway, metadata)
    clock.advance(RECHECK)
    await ends(stream.read)


async def test_a_grader_that_waits_for_work(gateway: Running, clock: ManualClock) -> None:
    metadata = bearer(await gateway.token("grader", modality="image"))
    channel = await gateway.channel(gateway.internal_target)
    stub: Any = grading_pb2_grpc.GradingServiceStub(channel)
    request = grading_pb2.LeaseJobsRequest(
        modality="image", grader_id="g", metric_ids=["accuracy"],
        wait=to_duration(timedelta(seconds=30)),
    )  # fmt: skip
    waiting = asyncio.ensure_future(stub.LeaseJobs(request, metadata=metadata))
    await eventually(lambda: gateway.gateway.signals.waiting("jobs/image"))
    await revoke(gateway, metadata)
    clock.advance(RECHECK)
    await ends(lambda: waiting)
