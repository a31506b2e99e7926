"""The upload: resumed at any byte, in order, with the announced size and digest."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from general_level.client import QuotaStatus, SubmissionState
from general_level.errors import (
    DigestMismatch,
    GeneralLevelError,
    IllegalTransition,
    InvalidRequest,
    OffsetMismatch,
)
from general_level.v1 import submission_pb2 as pb
from general_level.wire import from_rpc_error
from tests.contract.lab_gateway import REQUEST_ID, TIMEOUT_SECONDS, OpenLab, messages

ARRIVED = {"CHECKING", "QUEUED", "GRADING", "RANKING", "PUBLISHED"}


@pytest.fixture
def created(lab: OpenLab, archive: Path) -> str:
    return lab.client.create(archive, request_id=REQUEST_ID).submission_id


def refusal(lab: OpenLab, submission_id: str, chunks: list[bytes], offset: int) -> Exception:
    with pytest.raises(grpc.RpcError) as caught:
        lab.raw.upload(submission_id, chunks, offset)
    return from_rpc_error(caught.value)


def test_a_whole_upload_goes_to_the_check(lab: OpenLab, archive: Path, created: str) -> None:
    response = lab.raw.upload(created, [archive.read_bytes()], 0)
    assert response.durable_bytes == archive.stat().st_size
    assert lab.client.get(created).state in ARRIVED
    states = [e.state for e in lab.client.get(created).timeline]
    assert states[:3] == ["CREATED", "UPLOADING", "CHECKING"]


@pytest.mark.parametrize("seed", range(4))
def test_an_upload_in_pieces_of_any_size_is_the_same_archive(
    lab: OpenLab, archive: Path, created: str, seed: int
) -> None:
    data = archive.read_bytes()
    cuts = sorted(random.Random(seed).sample(range(1, len(data)), 5))
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        assert lab.raw.durable_bytes(created) == start
        half = (start + end) // 2
        response = lab.raw.upload(created, [data[start:half], data[half:end]], start)
        assert response.durable_bytes == end
    assert lab.client.get(created).state in ARRIVED


@pytest.mark.parametrize("part", [0.0, 0.3, 0.999])
def test_a_broken_connection_loses_at_most_what_was_not_durable(
    lab: OpenLab, archive: Path, created: str, part: float
) -> None:
    data = archive.read_bytes()
    sent = data[: max(1, int(part * len(data)))]

    begun = threading.Event()

    def breaking() -> Iterator[pb.UploadArchiveRequest]:
        yield from messages(created, [sent], 0)
        assert begun.wait(TIMEOUT_SECONDS)
        call.cancel()

    call = lab.raw.stub.UploadArchive.future(
        breaking(), metadata=lab.raw.metadata, timeout=TIMEOUT_SECONDS
    )
    begun.set()
    with pytest.raises(grpc.FutureCancelledError):
        call.result()
    assert lab.raw.durable_bytes(created) <= len(sent)
    assert lab.client.resume(created, archive).state in ARRIVED
    assert lab.raw.durable_bytes(created) == len(data)


@pytest.mark.parametrize("offset", [1, 10_000_000, -1])
def test_an_upload_must_begin_where_the_durable_bytes_end(
    lab: OpenLab, archive: Path, created: str, offset: int
) -> None:
    error = refusal(lab, created, [archive.read_bytes()], offset)
    assert isinstance(error, OffsetMismatch)
    assert error.metadata["durable_bytes"] == "0"
    assert lab.raw.durable_bytes(created) == 0


def test_bytes_are_not_taken_twice(lab: OpenLab, archive: Path, created: str) -> None:
    data = archive.read_bytes()
    lab.raw.upload(created, [data[:100]], 0)
    error = refusal(lab, created, [data], 0)
    assert isinstance(error, OffsetMismatch)
    assert error.metadata["durable_bytes"] == "100"


def test_a_wrong_digest_is_refused_and_costs_nothing(
    lab: OpenLab, archive: Path, created: str
) -> None:
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    error = refusal(lab, created, [bytes(data)], 0)
    assert isinstance(error, DigestMismatch)
    after = lab.client.get(created)
    assert after.state is SubmissionState.REJECTED
    assert after.quota_status is QuotaStatus.REFUNDED
    assert after.failure_reason == "digest-mismatch"


def test_more_bytes_than_announced_are_refused(lab: OpenLab, archive: Path, created: str) -> None:
    error = refusal(lab, created, [archive.read_bytes() + b"more"], 0)
    assert isinstance(error, InvalidRequest)
    assert lab.client.get(created).state in {"CREATED", "UPLOADING"}


def test_a_complete_archive_takes_no_more_bytes(lab: OpenLab, archive: Path, created: str) -> None:
    data = archive.read_bytes()
    lab.raw.upload(created, [data], 0)
    assert isinstance(refusal(lab, created, [data], 0), IllegalTransition)
    assert isinstance(refusal(lab, created, [b""], len(data)), IllegalTransition)
    # The client knows that there is nothing left to do.
    assert lab.client.resume(created, archive).state in ARRIVED


def test_a_withdrawn_submission_takes_no_bytes(lab: OpenLab, archive: Path, created: str) -> None:
    lab.client.cancel(created)
    assert isinstance(refusal(lab, created, [archive.read_bytes()], 0), IllegalTransition)
    assert lab.client.resume(created, archive).state is SubmissionState.CANCELLED


def test_an_upload_of_nothing_is_refused(lab: OpenLab) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        lab.raw.stub.UploadArchive(iter([]), metadata=lab.raw.metadata, timeout=TIMEOUT_SECONDS)
    assert isinstance(from_rpc_error(caught.value), GeneralLevelError)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_another_file_is_not_uploaded_for_a_submission(
    lab: OpenLab, archive: Path, created: str, tmp_path: Path
) -> None:
    other = tmp_path / archive.name
    other.write_bytes(b"something else")
    with pytest.raises(InvalidRequest):
        lab.client.resume(created, other)
    assert lab.raw.durable_bytes(created) == 0
