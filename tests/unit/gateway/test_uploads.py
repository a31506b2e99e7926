"""Parts follow each other without a gap, the digest decides, and a race has one winner."""

from __future__ import annotations

import hashlib

import pytest
from sqlalchemy import insert

from general_level import errors
from services.gateway import agreement, identity, quotas, submissions, uploads
from services.gateway.states import State
from services.gateway.storage.tables import upload_parts
from services.kit.objects import Objects, Part
from tests.support.gateway import START, archive, create_request, open_database

pytestmark = pytest.mark.usefixtures("rows")

DATA = bytes(range(256)) * 4


@pytest.fixture
def connection(tmp_path):
    with open_database(tmp_path) as database, database.write() as connection:
        yield connection


@pytest.fixture
def lab_id(connection):
    lab_id = identity.create_lab(connection, START, "Example Lab")
    agreement.accept(connection, START, lab_id, agreement.VERSION)
    return lab_id


@pytest.fixture
def submission_id(connection, lab_id):
    request = create_request(archive())
    request.archive_bytes = len(DATA)
    request.archive_sha256 = hashlib.sha256(DATA).hexdigest()
    return submissions.create(
        connection, START, lab_id, request, catalogue_id="c",
        agreement_version=agreement.VERSION, new_submission_id=lambda: "sub_1",
    )  # fmt: skip


def state(connection, submission_id):
    return submissions.read(connection, submission_id).state


def add(connection, submission_id, offset, size, key="k"):
    return uploads.add_part(connection, START, submission_id, Part(offset, size, key))


def test_the_first_stream_opens_the_upload_and_says_the_size(connection, lab_id, submission_id):
    assert uploads.durable_bytes(connection, submission_id) == 0
    assert uploads.begin(connection, START, lab_id, submission_id, 0) == len(DATA)
    assert state(connection, submission_id) == State.UPLOADING


def test_parts_add_up_in_order(connection, lab_id, submission_id):
    uploads.begin(connection, START, lab_id, submission_id, 0)
    assert add(connection, submission_id, 0, 100, "a") == 100
    assert add(connection, submission_id, 100, 24, "b") == 124
    assert uploads.durable_bytes(connection, submission_id) == 124
    assert uploads.read_parts(connection, submission_id) == [Part(0, 100, "a"), Part(100, 24, "b")]
    assert uploads.begin(connection, START, lab_id, submission_id, 124) == len(DATA)


@pytest.mark.parametrize("offset", [-1, 0, 99, 101, 1024])
def test_a_stream_elsewhere_than_at_the_durable_bytes_is_refused(
    connection, lab_id, submission_id, offset
):
    uploads.begin(connection, START, lab_id, submission_id, 0)
    add(connection, submission_id, 0, 100)
    with pytest.raises(errors.OffsetMismatch) as caught:
        uploads.begin(connection, START, lab_id, submission_id, offset)
    assert caught.value.metadata == {"durable_bytes": "100", "offset": str(offset)}
    with pytest.raises(errors.OffsetMismatch):
        add(connection, submission_id, offset, 10)
    assert uploads.durable_bytes(connection, submission_id) == 100


def test_of_two_streams_at_one_place_the_second_is_refused(connection, lab_id, submission_id):
    for _ in range(2):
        uploads.begin(connection, START, lab_id, submission_id, 0)
    add(connection, submission_id, 0, 100, "winner")
    with pytest.raises(errors.OffsetMismatch):
        add(connection, submission_id, 0, 100, "loser")
    assert [part.key for part in uploads.read_parts(connection, submission_id)] == ["winner"]


def test_keys_of_one_place_never_collide():
    keys = {uploads.object_key("sub_1", 0) for _ in range(50)}
    assert len(keys) == 50
    assert all(key.startswith("uploads/sub_1/") for key in keys)


def test_more_than_was_announced_is_refused(connection, lab_id, submission_id):
    uploads.begin(connection, START, lab_id, submission_id, 0)
    with pytest.raises(errors.InvalidRequest, match="announced 1024"):
        add(connection, submission_id, 0, len(DATA) + 1)
    assert add(connection, submission_id, 0, len(DATA)) == len(DATA)


def test_another_labs_submission_takes_no_bytes(connection, submission_id):
    other = identity.create_lab(connection, START, "Another Lab")
    with pytest.raises(errors.NotFound):
        uploads.begin(connection, START, other, submission_id, 0)


@pytest.mark.parametrize("ended", [State.CANCELLED, State.EXPIRED, State.FAILED])
def test_an_ended_submission_takes_no_bytes(connection, lab_id, submission_id, ended):
    uploads.begin(connection, START, lab_id, submission_id, 0)
    submissions.move(connection, START, submission_id, ended)
    with pytest.raises(errors.IllegalTransition):
        uploads.begin(connection, START, lab_id, submission_id, 0)
    with pytest.raises(errors.IllegalTransition):
        add(connection, submission_id, 0, 10)


def test_the_right_digest_goes_to_the_check(connection, lab_id, submission_id):
    uploads.begin(connection, START, lab_id, submission_id, 0)
    assert uploads.finish(connection, START, submission_id, hashlib.sha256(DATA).hexdigest())
    assert state(connection, submission_id) == State.CHECKING
    assert quotas.status(connection, submission_id) == quotas.RESERVE


def test_a_wrong_digest_rejects_without_using_quota(connection, lab_id, submission_id):
    uploads.begin(connection, START, lab_id, submission_id, 0)
    assert not uploads.finish(connection, START, submission_id, "0" * 64)
    row = submissions.read(connection, submission_id)
    assert (row.state, row.failure_reason) == (State.REJECTED, "digest-mismatch")
    assert quotas.status(connection, submission_id) == quotas.REFUND


def test_the_digest_is_over_all_parts_in_order(tmp_path):
    objects = Objects(f"file://{tmp_path}")
    parts = []
    for start in range(0, len(DATA), 300):
        piece = DATA[start : start + 300]
        objects.put(f"p{start}", piece)
        parts.append(Part(start, len(piece), f"p{start}"))
    assert uploads.digest_of(objects, parts[::-1]) == hashlib.sha256(DATA).hexdigest()
    assert uploads.digest_of(objects, []) == hashlib.sha256().hexdigest()


def test_an_archive_in_too_many_pieces_is_refused_before_the_next(
    connection, lab_id, submission_id
):
    uploads.begin(connection, START, lab_id, submission_id, 0)
    rows = [
        {"submission_id": submission_id, "offset": number, "size": 0, "object_key": "k"}
        for number in range(uploads.PARTS_MAX)
    ]
    connection.execute(insert(upload_parts), rows[:-1])
    assert uploads.begin(connection, START, lab_id, submission_id, 0) == len(DATA)
    connection.execute(insert(upload_parts), rows[-1:])
    with pytest.raises(errors.InvalidRequest):
        uploads.begin(connection, START, lab_id, submission_id, 0)


def test_an_archive_that_is_whole_is_finished_however_many_pieces_it_has(
    connection, lab_id, submission_id
):
    uploads.begin(connection, START, lab_id, submission_id, 0)
    add(connection, submission_id, 0, len(DATA))
    connection.execute(
        insert(upload_parts),
        [
            {"submission_id": submission_id, "offset": -number, "size": 0, "object_key": "k"}
            for number in range(1, uploads.PARTS_MAX)
        ],
    )
    assert uploads.begin(connection, START, lab_id, submission_id, len(DATA)) == len(DATA)
