"""Creating a submission: idempotent, validated, and only with an accepted agreement."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from general_level.client import ModelMetadata, QuotaStatus, SubmissionState
from general_level.errors import (
    AgreementRequired,
    AlreadyExists,
    GeneralLevelError,
    InvalidRequest,
    SubmissionPending,
    UnknownBoard,
)
from general_level.identifiers import new_request_id
from general_level.v1 import submission_pb2 as pb
from general_level.wire import from_rpc_error
from tests.contract.lab_gateway import REQUEST_ID, UNKNOWN_BOARD, LabGateway, OpenLab, OpenLabs

METADATA = ModelMetadata(
    model_name="A Model",
    organisation="A Lab",
    parameter_count=7_000_000_000,
    description="Says what it is.",
    modalities=("audio", "language"),
    report_url="https://example.org/report",
    contact_email="lab@example.org",
    open_weights=False,
)


def test_a_created_submission_says_what_was_announced(
    lab: OpenLab, lab_gateway: LabGateway, archive: Path
) -> None:
    created = lab.client.create(archive, request_id=REQUEST_ID, metadata=METADATA)
    assert created.state is SubmissionState.CREATED
    assert created.quota_status is QuotaStatus.RESERVED
    assert created.board_id == lab_gateway.board
    assert created.model == METADATA
    assert created.archive_bytes == archive.stat().st_size
    assert created.archive_sha256 == hashlib.sha256(archive.read_bytes()).hexdigest()
    assert [e.state for e in created.timeline] == [SubmissionState.CREATED]
    assert created.create_time == created.timeline[0].entered_time
    assert created.create_time.tzinfo is not None
    assert created.state_deadline is not None
    assert created.state_deadline > created.create_time
    assert lab.client.get(created.submission_id) == created


def test_repeating_a_create_gives_the_first_answer_and_uses_one_slot(
    lab: OpenLab, archive: Path
) -> None:
    first = lab.client.create(archive, request_id=REQUEST_ID, metadata=METADATA)
    second = lab.client.create(archive, request_id=REQUEST_ID, metadata=METADATA)
    assert second.submission_id == first.submission_id
    assert len(list(lab.client.submissions())) == 1
    assert [w.used for w in lab.client.quota().windows] == [1, 1]


def test_repeating_a_create_after_the_upload_gives_the_submission_as_it_is_now(
    lab: OpenLab, lab_gateway: LabGateway, archive: Path
) -> None:
    first = lab.client.submit(archive, request_id=REQUEST_ID)
    lab_gateway.finish(first.submission_id)
    again = lab.client.submit(archive, request_id=REQUEST_ID)
    assert again.submission_id == first.submission_id
    assert again.state is SubmissionState.PUBLISHED


def test_a_request_id_used_for_other_content_is_refused(
    lab: OpenLab, archive: Path, tmp_path: Path
) -> None:
    first = lab.client.create(archive, request_id=REQUEST_ID, metadata=METADATA)
    with pytest.raises(AlreadyExists):
        lab.client.create(archive, request_id=REQUEST_ID, metadata=ModelMetadata("Another"))
    other = tmp_path / archive.name
    other.write_bytes(archive.read_bytes() + b"\0")
    with pytest.raises(AlreadyExists):
        lab.client.create(other, request_id=REQUEST_ID, metadata=METADATA)
    assert [s.submission_id for s in lab.client.submissions()] == [first.submission_id]


def test_an_unknown_board_is_refused_and_costs_nothing(lab: OpenLab, tmp_path: Path) -> None:
    archive = tmp_path / f"Model-{UNKNOWN_BOARD}.zip"
    archive.write_bytes(b"PK")
    with pytest.raises(UnknownBoard):
        lab.client.create(archive, request_id=REQUEST_ID, board=UNKNOWN_BOARD)
    assert [w.used for w in lab.client.quota().windows] == [0, 0]


INVALID = {
    "request_id is no UUID": {"request_id": "once"},
    "request_id is empty": {"request_id": ""},
    "no bytes": {"archive_bytes": 0},
    "negative bytes": {"archive_bytes": -1},
    "more bytes than any archive may have": {"archive_bytes": 2**50},
    "digest too short": {"archive_sha256": "abc"},
    "digest in capitals": {"archive_sha256": "A" * 64},
    "archive name without an ending": {"archive_name": "Model"},
    "archive name of no board": {"archive_name": "Model.zip"},
    "model without a name": {"model": pb.ModelMetadata(model_name="")},
    "model name too long": {"model": pb.ModelMetadata(model_name="m" * 101)},
    "description too long": {
        "model": pb.ModelMetadata(model_name="m", description="d" * 2001),
    },
    "report not on https": {
        "model": pb.ModelMetadata(model_name="m", report_url="javascript:alert(1)"),
    },
    "negative parameters": {"model": pb.ModelMetadata(model_name="m", parameter_count=-1)},
}


@pytest.mark.parametrize("change", INVALID.values(), ids=INVALID.keys())
def test_an_invalid_create_is_refused_and_costs_nothing(
    lab: OpenLab, lab_gateway: LabGateway, change: dict[str, object]
) -> None:
    fields = {
        "request_id": REQUEST_ID,
        "board_id": lab_gateway.board,
        "model": pb.ModelMetadata(model_name="Model"),
        "archive_bytes": 10,
        "archive_sha256": "0" * 64,
        "archive_name": f"Model-{lab_gateway.board}.zip",
    }
    with pytest.raises(grpc.RpcError) as caught:
        lab.raw.create(pb.CreateSubmissionRequest(**(fields | change)))
    assert isinstance(from_rpc_error(caught.value), InvalidRequest)
    assert [w.used for w in lab.client.quota().windows] == [0, 0]
    # The same without the fault is accepted.
    assert lab.raw.create(pb.CreateSubmissionRequest(**fields)).submission_id


def test_an_archive_named_for_another_board_is_refused(
    lab: OpenLab, lab_gateway: LabGateway
) -> None:
    request = pb.CreateSubmissionRequest(
        request_id=REQUEST_ID,
        board_id=lab_gateway.board,
        model=pb.ModelMetadata(model_name="Model"),
        archive_bytes=10,
        archive_sha256="0" * 64,
        archive_name=f"Model-{lab_gateway.unpublished_board}.zip",
    )
    with pytest.raises(grpc.RpcError) as caught:
        lab.raw.create(request)
    assert isinstance(from_rpc_error(caught.value), InvalidRequest)


def test_the_agreement_comes_first(open_labs: OpenLabs, archive: Path) -> None:
    client = open_labs(accept=False).client
    agreement = client.agreement()
    assert not agreement.accepted
    assert agreement.accept_time is None
    assert agreement.text
    with pytest.raises(AgreementRequired) as caught:
        client.submit(archive)
    assert caught.value.metadata["version"] == agreement.version
    assert list(client.submissions()) == []

    client.accept_agreement(agreement.version)
    accepted = client.agreement()
    assert accepted.accepted
    assert accepted.accept_time is not None
    assert client.create(archive, request_id=REQUEST_ID).state is SubmissionState.CREATED


def test_accepting_twice_changes_nothing(open_labs: OpenLabs) -> None:
    client = open_labs(accept=False).client
    version = client.agreement().version
    client.accept_agreement(version)
    first = client.agreement()
    client.accept_agreement(version)
    assert client.agreement() == first


def test_another_version_of_the_agreement_is_refused(open_labs: OpenLabs) -> None:
    client = open_labs(accept=False).client
    with pytest.raises(InvalidRequest):
        client.accept_agreement("no such version")
    assert not client.agreement().accepted


def test_of_parallel_creates_exactly_one_is_accepted(lab: OpenLab, archive: Path) -> None:
    def create(_: int) -> str | GeneralLevelError:
        try:
            return lab.client.create(archive, request_id=new_request_id()).submission_id
        except GeneralLevelError as error:
            return error

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(create, range(16)))
    accepted = [a for a in answers if isinstance(a, str)]
    refused = [a for a in answers if not isinstance(a, str)]
    assert len(accepted) == 1
    assert {type(a) for a in refused} == {SubmissionPending}
    assert {a.metadata["pending_submission_id"] for a in refused} == set(accepted)
    assert [w.used for w in lab.client.quota().windows] == [1, 1]
