"""Rounds end what is overdue and tell who waits, and a failed round is not the last."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text

from services.gateway import agreement, identity, submissions, uploads
from services.gateway.maintenance import Maintenance
from services.gateway.signals import Signals
from services.gateway.states import STATE_AGE_MAX, State
from services.gateway.telemetry import Telemetry
from services.kit.clock import ManualClock
from services.kit.objects import ObjectMissing, Objects, Part
from tests.support.gateway import START, archive, create_request, eventually, open_database


@pytest.fixture
def database(tmp_path):
    with open_database(tmp_path) as database:
        yield database


@pytest.fixture
def submission_id(database):
    with database.write() as connection:
        lab_id = identity.create_lab(connection, START, "Example Lab")
        agreement.accept(connection, START, lab_id, agreement.VERSION)
        return submissions.create(
            connection, START, lab_id, create_request(archive()), catalogue_id="c",
            agreement_version=agreement.VERSION, new_submission_id=lambda: "sub_1",
        )  # fmt: skip


@pytest.fixture
def clock():
    return ManualClock(START)


@pytest.fixture
def signals():
    return Signals()


@pytest.fixture
def telemetry():
    return Telemetry()


@pytest.fixture
def objects(tmp_path):
    return Objects(f"file://{tmp_path / 'objects'}")


@pytest.fixture
def maintenance(database, objects, signals, clock, telemetry):
    return Maintenance(
        database=database, objects=objects, signals=signals, clock=clock, telemetry=telemetry
    )


def state(database, submission_id):
    with database.read() as connection:
        return submissions.read(connection, submission_id).state


async def test_a_round_ends_the_overdue_and_wakes_its_watchers(
    database, submission_id, clock, signals, maintenance
):
    clock.advance(STATE_AGE_MAX[State.CREATED] - timedelta(microseconds=1))
    waiter = signals.subscribe(f"submission/{submission_id}")
    await maintenance.round()
    assert not waiter.done()
    clock.advance(timedelta(microseconds=1))
    await maintenance.round()
    assert waiter.done()
    assert state(database, submission_id) == State.EXPIRED


async def test_a_round_sets_the_gauges_also_to_zero(submission_id, maintenance, clock, telemetry):
    def gauge(name: str) -> float | None:
        return telemetry.registry.get_sample_value("gateway_submissions", {"state": name})

    await maintenance.round()
    assert (gauge("created"), gauge("expired"), gauge("published")) == (1, 0, 0)
    clock.advance(timedelta(days=1))
    await maintenance.round()
    assert (gauge("created"), gauge("expired")) == (0, 1)


async def test_a_round_that_fails_is_followed_by_the_next(
    database, submission_id, clock, maintenance
):
    clock.advance(timedelta(days=1))
    with database.write() as connection:
        connection.execute(text("ALTER TABLE timeline RENAME TO away"))
    work = asyncio.create_task(maintenance.run())
    await asyncio.sleep(0.2)
    assert state(database, submission_id) == State.CREATED
    assert not work.done()
    with database.write() as connection:
        connection.execute(text("ALTER TABLE away RENAME TO timeline"))
    await eventually(lambda: state(database, submission_id) == State.EXPIRED)
    work.cancel()


@pytest.mark.parametrize(
    ("last", "gone"), [(State.CANCELLED, True), (State.EXPIRED, True), (State.FAILED, False)]
)
async def test_the_bytes_of_what_came_to_nothing_are_removed_after_a_day(
    database, objects, maintenance, clock, submission_id, last, gone
):
    key = uploads.object_key(submission_id, 0)
    objects.put(key, b"12345")
    with database.write() as connection:
        submissions.move(connection, START, submission_id, State.UPLOADING)
        uploads.add_part(connection, START, submission_id, Part(0, 5, key))
        submissions.move(connection, START, submission_id, last)
    clock.advance(uploads.DISCARD_AFTER - timedelta(seconds=1))
    await maintenance.round()
    assert objects.size(key) == 5
    clock.advance(timedelta(seconds=1))
    await maintenance.round()
    if gone:
        with pytest.raises(ObjectMissing):
            objects.size(key)
    else:
        assert objects.size(key) == 5
    with database.read() as connection:
        assert uploads.durable_bytes(connection, submission_id) == (0 if gone else 5)
