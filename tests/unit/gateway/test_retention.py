"""Archives go when their time is over, each with an audit entry, and never while needed."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from sqlalchemy import func, insert, select

from services.gateway import audit, dead_letters, rejudging, retention, submissions, uploads
from services.gateway.dead_letters import Chosen
from services.gateway.endings import ATTEMPTS_MAX
from services.gateway.maintenance import Maintenance
from services.gateway.signals import Signals
from services.gateway.states import State
from services.gateway.storage.tables import upload_parts
from services.gateway.telemetry import Telemetry
from tests.support.queue_world import CATALOGUE, QueueWorld, tasks_of
from tests.support.stores import stores

pytestmark = pytest.mark.usefixtures("rows")

TASK = tasks_of("image")[0]
KEPT = timedelta(days=30)


@pytest.fixture
def world(tmp_path):
    world = QueueWorld(tmp_path)
    yield world
    world.close()


@pytest.fixture
def objects(tmp_path):
    return stores().objects(tmp_path)


def add(world, objects, state=State.PUBLISHED):
    """A submission with an archive of one byte, in this state."""
    submission_id = world.add_submission(world.add_lab(), [TASK])
    objects.put(f"uploads/{submission_id}", b"x")
    with world.database.write() as connection:
        connection.execute(
            insert(upload_parts).values(
                submission_id=submission_id,
                offset=0,
                size=1,
                object_key=f"uploads/{submission_id}",
            )
        )
    if state is State.PUBLISHED:
        world.complete(world.lease()[0])
        with world.database.write() as connection:
            submissions.move(connection, world.now, submission_id, state)
    elif state is State.FAILED:
        for _ in range(ATTEMPTS_MAX):
            world.fail(world.lease()[0])
            world.clock.advance(timedelta(minutes=10))
    return submission_id


def end_time(world):
    with world.database.write() as connection:
        return retention.end_time(connection, world.now, KEPT)


def start(world):
    with world.database.write() as connection:
        return rejudging.start(
            connection, world.now, CATALOGUE, TASK.id, reason="why", operator="Ada"
        )


def entries(world):
    with world.database.read() as connection:
        return audit.list_page(connection, 100, None, "DiscardArchive")


@pytest.mark.parametrize("state", [State.PUBLISHED, State.FAILED])
def test_an_archive_is_kept_for_its_time_after_the_end_and_no_longer(world, objects, state):
    submission_id = add(world, objects, state)
    ended = world.submission(submission_id).update_time
    world.clock.advance(KEPT - (world.now - ended) - timedelta(seconds=1))
    # A change that is no end, such as a score that was superseded, makes it no younger.
    with world.database.write() as connection:
        submissions.touch(connection, world.now, submission_id)
    assert end_time(world) == []
    world.clock.advance(timedelta(seconds=1))
    assert end_time(world) == [submission_id]
    assert end_time(world) == []
    (entry,) = entries(world)
    assert (entry.operator, entry.outcome) == ("gateway", "DONE")
    said = json.loads(entry.parameters)
    assert said["submission_id"] == submission_id
    assert said["archive_sha256"] == world.submission(submission_id).archive_sha256
    with world.database.read() as connection:
        assert not uploads.is_retained(connection, submission_id)
        assert list(uploads.discardable(connection, world.now, 10)) == [submission_id]


def test_one_that_is_on_its_way_is_never_touched(world, objects):
    add(world, objects, State.QUEUED)
    world.clock.advance(10 * KEPT)
    assert end_time(world) == []


def test_an_open_rejudgement_keeps_the_archives_that_it_reads(world, objects):
    submission_id = add(world, objects)
    world.clock.advance(KEPT)
    rejudgement_id = start(world)
    assert end_time(world) == []
    with world.database.write() as connection:
        rejudging.cancel(connection, world.now, rejudgement_id)
    assert end_time(world) == [submission_id]


def test_from_the_decision_on_nothing_is_graded_from_it(world, objects):
    add(world, objects)
    failed = add(world, objects, State.FAILED)
    world.clock.advance(KEPT)
    assert len(end_time(world)) == 2
    # Its bytes are still there, and go in this moment.
    rejudgement_id = start(world)
    with world.database.write() as connection:
        assert rejudging.settle(connection) == [rejudgement_id]
        (left,), _ = dead_letters.requeue(
            connection, world.now, Chosen(task_id=TASK.id), CATALOGUE.id, 10
        )
    assert (left.submission_id, left.obstacle) == (failed, dead_letters.ARCHIVE)


@pytest.mark.parametrize("kept", [None, KEPT])
async def test_rounds_remove_the_bytes_only_where_a_time_is_set(world, objects, tmp_path, kept):
    submission_id = add(world, objects)
    world.clock.advance(KEPT)
    maintenance = Maintenance(
        database=world.database,
        objects=objects,
        signals=Signals(),
        clock=world.clock,
        telemetry=Telemetry(),
        snapshots_kept=1,
        archives_kept=kept,
    )
    await maintenance.clear()
    with world.database.read() as connection:
        parts = connection.scalar(select(func.count()).select_from(upload_parts))
    assert (parts, len(stores().stored(tmp_path)), len(entries(world))) == (
        (1, 1, 0) if kept is None else (0, 0, 1)
    )
    # Scores and the place on the boards stay.
    assert world.submission(submission_id).state == State.PUBLISHED
    assert world.result(submission_id, TASK.id).value == 50.0
