"""The quota ledger counts what was reserved and not given back, and names the next slot."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from general_level.errors import QuotaExceeded
from services.gateway import identity, quotas
from services.gateway.storage.tables import submissions
from tests.support.gateway import START, open_database

pytestmark = pytest.mark.usefixtures("rows")

HOUR = timedelta(hours=1)
INSTANT = timedelta(microseconds=1)


@pytest.fixture
def connection(tmp_path):
    with open_database(tmp_path) as database, database.write() as connection:
        yield connection


@pytest.fixture
def lab_id(connection):
    return identity.create_lab(connection, START, "Example Lab")


def reserve(connection, lab_id, name, time=START):
    """A submission's row and its reservation."""
    connection.execute(
        insert(submissions).values(
            submission_id=name, lab_id=lab_id, request_id=name, request_sha256="", board_id="b",
            catalogue_id="c", model=b"", archive_name="", archive_bytes=1, archive_sha256="",
            state="queued", create_time=time, update_time=time, revision=1, tasks_total=0,
            tasks_done=0, finding_count=0, failure_reason="",
        )
    )  # fmt: skip
    quotas.record(connection, time, lab_id, name, quotas.RESERVE)


def test_a_new_lab_has_a_free_slot(connection, lab_id):
    quotas.require_free_slot(connection, lab_id, START)
    assert quotas.holds(connection, lab_id, START) == []


def test_the_refusal_names_the_instant_and_the_holders(connection, lab_id):
    reserve(connection, lab_id, "sub_1", START)
    reserve(connection, lab_id, "sub_2", START + HOUR)
    with pytest.raises(QuotaExceeded) as caught:
        quotas.require_free_slot(connection, lab_id, START + 2 * HOUR)
    assert caught.value.metadata == {
        "next_slot_time": "2026-01-06T09:00:00Z",
        "held_by": "sub_1,sub_2",
        "limit": "2",
        "window_seconds": "86400",
    }
    assert "2026-01-06T09:00:00Z" in str(caught.value)


def test_a_slot_opens_exactly_when_the_refusal_said(connection, lab_id):
    reserve(connection, lab_id, "sub_1", START)
    reserve(connection, lab_id, "sub_2", START + HOUR)
    opens = START + 24 * HOUR
    with pytest.raises(QuotaExceeded):
        quotas.require_free_slot(connection, lab_id, opens - INSTANT)
    quotas.require_free_slot(connection, lab_id, opens)


def test_the_week_is_counted_beside_the_day(connection, lab_id):
    for number in range(4):
        reserve(connection, lab_id, f"sub_{number}", START + number * 30 * HOUR)
    now = START + 130 * HOUR
    with pytest.raises(QuotaExceeded) as caught:
        quotas.require_free_slot(connection, lab_id, now)
    assert caught.value.metadata["next_slot_time"] == "2026-01-12T09:00:00Z"
    assert caught.value.metadata["limit"] == "4"
    quotas.require_free_slot(connection, lab_id, START + timedelta(days=7))


def test_a_refund_frees_the_slot_and_a_commit_does_not(connection, lab_id):
    reserve(connection, lab_id, "sub_1")
    reserve(connection, lab_id, "sub_2")
    quotas.record(connection, START, lab_id, "sub_1", quotas.COMMIT)
    with pytest.raises(QuotaExceeded):
        quotas.require_free_slot(connection, lab_id, START)
    quotas.record(connection, START, lab_id, "sub_2", quotas.REFUND)
    quotas.require_free_slot(connection, lab_id, START)
    assert [hold.submission_id for hold in quotas.holds(connection, lab_id, START)] == ["sub_1"]


def test_labs_do_not_share_slots(connection, lab_id):
    other = identity.create_lab(connection, START, "Another Lab")
    reserve(connection, lab_id, "sub_1")
    reserve(connection, lab_id, "sub_2")
    quotas.require_free_slot(connection, other, START)


@pytest.mark.parametrize("action", [quotas.RESERVE, quotas.COMMIT, quotas.REFUND])
def test_no_action_is_booked_twice_for_one_submission(connection, lab_id, action):
    reserve(connection, lab_id, "sub_1")
    if action != quotas.RESERVE:
        quotas.record(connection, START, lab_id, "sub_1", action)
    with pytest.raises(IntegrityError), connection.begin_nested():
        quotas.record(connection, START, lab_id, "sub_1", action)


def test_the_status_is_the_last_action(connection, lab_id):
    reserve(connection, lab_id, "sub_1")
    assert quotas.status(connection, "sub_1") == quotas.RESERVE
    quotas.record(connection, START, lab_id, "sub_1", quotas.REFUND)
    assert quotas.status(connection, "sub_1") == quotas.REFUND
