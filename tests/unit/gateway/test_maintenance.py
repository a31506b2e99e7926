"""Rounds end what is overdue and tell who waits, and a failed round is not the last."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

import pytest
from sqlalchemy import Connection, text, update

from services.gateway import agreement, identity, submissions, uploads
from services.gateway.maintenance import Maintenance
from services.gateway.signals import Signals
from services.gateway.states import STATE_AGE_MAX, State
from services.gateway.storage.tables import submissions as submissions_table
from services.gateway.telemetry import Telemetry
from services.kit.clock import ManualClock
from services.kit.objects import ObjectMissing, Objects, Part
from tests.support.gateway import START, archive, create_request, eventually, open_database

pytestmark = pytest.mark.usefixtures("rows")


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
        database=database,
        objects=objects,
        signals=signals,
        clock=clock,
        telemetry=telemetry,
        snapshots_kept=2,
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
    await maintenance.clear()
    assert objects.size(key) == 5
    clock.advance(timedelta(seconds=1))
    await maintenance.clear()
    if gone:
        with pytest.raises(ObjectMissing):
            objects.size(key)
    else:
        assert objects.size(key) == 5
    with database.read() as connection:
        assert uploads.durable_bytes(connection, submission_id) == (0 if gone else 5)


async def test_one_round_removes_a_bounded_number_of_parts(
    database, objects, maintenance, clock, submission_id, monkeypatch
):
    monkeypatch.setattr("services.gateway.maintenance.PARTS_PER_ROUND", 3)
    keys = [uploads.object_key(submission_id, offset) for offset in range(8)]
    with database.write() as connection:
        submissions.move(connection, START, submission_id, State.UPLOADING)
        for offset, key in enumerate(keys):
            objects.put(key, b"1")
            uploads.add_part(connection, START, submission_id, Part(offset, 1, key))
        submissions.move(connection, START, submission_id, State.CANCELLED)
    clock.advance(uploads.DISCARD_AFTER)

    def left() -> tuple[int, int]:
        with database.read() as connection:
            rows = uploads.read_parts(connection, submission_id)
        return len(rows), len(stored_keys(objects, keys))

    seen = []
    for _ in range(4):
        await maintenance.clear()
        seen.append(left())
    assert seen == [(5, 5), (2, 2), (0, 0), (0, 0)]


def stored_keys(objects: Objects, keys: list[str]) -> list[str]:
    found = []
    for key in keys:
        with suppress(ObjectMissing):
            objects.size(key)
            found.append(key)
    return found


async def test_a_store_that_does_not_delete_holds_no_lost_lease_up(
    database, tmp_path, signals, clock, telemetry, submission_id
):
    """Deleting waits for ever; the rounds that end what is overdue go on beside it."""
    begun, let_go = threading.Event(), threading.Event()

    class Stuck(Objects):
        def delete(self, keys: Sequence[str]) -> None:
            begun.set()
            let_go.wait(60)

    maintenance = Maintenance(
        database=database,
        objects=Stuck(f"file://{tmp_path / 'objects'}"),
        signals=signals,
        clock=clock,
        telemetry=telemetry,
        snapshots_kept=2,
    )
    with database.write() as connection:
        other = submissions_of_another_lab(connection)
        submissions.move(connection, START, submission_id, State.UPLOADING)
        uploads.add_part(connection, START, submission_id, Part(0, 1, "key"))
        submissions.move(connection, START, submission_id, State.CANCELLED)
    clock.advance(uploads.DISCARD_AFTER)
    with database.write() as connection:
        # Overdue only after the deleting has begun.
        connection.execute(
            update(submissions_table)
            .where(submissions_table.c.submission_id == other)
            .values(state_deadline=clock.now() + timedelta(seconds=1))
        )
    work = asyncio.create_task(maintenance.run())
    try:
        await eventually(begun.is_set)
        clock.advance(timedelta(seconds=1))
        await eventually(lambda: state(database, other) == State.EXPIRED)
    finally:
        let_go.set()
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


def submissions_of_another_lab(connection: Connection) -> str:
    lab_id = identity.create_lab(connection, START, "Another Lab")
    agreement.accept(connection, START, lab_id, agreement.VERSION)
    return submissions.create(
        connection, START, lab_id, create_request(archive()), catalogue_id="c",
        agreement_version=agreement.VERSION, new_submission_id=lambda: "sub_2",
    )  # fmt: skip
