"""Dead letters go back into the queue where that harms no lab, and no slot is counted twice."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import delete, insert, select, update

from services.gateway import dead_letters, quotas, submissions, uploads
from services.gateway.dead_letters import Chosen
from services.gateway.endings import ATTEMPTS_MAX
from services.gateway.states import Outcome, State
from services.gateway.storage.tables import (
    jobs,
    quota_ledger,
    task_results,
    timeline,
    upload_parts,
)
from tests.support.queue_world import CATALOGUE, QueueWorld, tasks_of

pytestmark = pytest.mark.usefixtures("rows")

IMAGE = tasks_of("image")
AUDIO = tasks_of("audio")


@pytest.fixture
def world(tmp_path):
    world = QueueWorld(tmp_path)
    yield world
    world.close()


def add(world, lab_id, tasks=IMAGE[:3], model="Model"):
    """A submission in the queue whose archive is kept."""
    submission_id = world.add_submission(lab_id, tasks, model=model)
    with world.database.write() as connection:
        connection.execute(
            insert(upload_parts).values(
                submission_id=submission_id, offset=0, size=1, object_key=f"{submission_id}/0"
            )
        )
    return submission_id


def bury(world, leased=None):
    """Fails a job until it is dead; returns its id."""
    leased = leased or world.lease()[0]
    for attempt in range(1, ATTEMPTS_MAX + 1):
        assert world.fail(leased).will_retry == (attempt < ATTEMPTS_MAX)
        world.clock.advance(timedelta(minutes=10))
        if attempt < ATTEMPTS_MAX:
            (leased,) = world.lease()
    return leased.job_id


def letters(world, chosen=None):
    """Job id → obstacle."""
    with world.database.read() as connection:
        return {
            row.job_id: dead_letters.obstacle(connection, row, CATALOGUE.id)
            for row in dead_letters.list_page(connection, chosen or Chosen(), 100)
        }


def requeue(world, limit=100, catalogue_id=CATALOGUE.id, **chosen):
    with world.database.write() as connection:
        return dead_letters.requeue(connection, world.now, Chosen(**chosen), catalogue_id, limit)


def publish(world, submission_id):
    with world.database.write() as connection:
        submissions.move(connection, world.now, submission_id, State.PUBLISHED)


def quota_actions(world, submission_id):
    with world.database.read() as connection:
        return connection.scalars(
            select(quota_ledger.c.action)
            .where(quota_ledger.c.submission_id == submission_id)
            .order_by(quota_ledger.c.entry_id)
        ).all()


def test_a_requeued_submission_goes_to_its_end_and_keeps_what_was_scored(world):
    lab = world.add_lab()
    submission_id = add(world, lab)
    world.complete(world.lease()[0], 40.0)
    job_id = bury(world)
    assert world.submission(submission_id).state == State.FAILED
    assert letters(world) == {job_id: ""}

    (done,), remaining = requeue(world, job_ids=(job_id,))
    assert (done.submission_id, done.jobs, done.obstacle) == (submission_id, 2, "")
    assert done.modalities == ("image",)
    assert remaining == 0
    row = world.submission(submission_id)
    assert (row.state, row.failure_reason) == (State.QUEUED, "")
    assert (row.tasks_total, row.tasks_done) == (3, 1)
    assert row.state_deadline > world.now
    assert letters(world) == {}
    assert world.result(submission_id, IMAGE[1].id).outcome == Outcome.PENDING

    leased = world.lease(5)
    assert [one.attempt for one in leased] == [1, 1]
    for one in leased:
        world.complete(one)
    row = world.submission(submission_id)
    assert (row.state, row.tasks_done) == (State.RANKING, 3)
    assert world.result(submission_id, IMAGE[0].id).value == 40.0
    publish(world, submission_id)
    with world.database.read() as connection:
        states = connection.scalars(
            select(timeline.c.state)
            .where(timeline.c.submission_id == submission_id)
            .order_by(timeline.c.entry_id)
        ).all()
    assert states == ["queued", "grading", "failed", "queued", "grading", "ranking", "published"]


@pytest.mark.parametrize("end", [State.PUBLISHED, State.FAILED, State.CANCELLED, State.REJECTED])
def test_the_slot_that_was_given_back_is_never_taken_or_given_again(world, end):
    lab = world.add_lab()
    submission_id = add(world, lab)
    requeue(world, job_ids=(bury(world),))
    assert quota_actions(world, submission_id) == ["reserve", "refund"]
    if end is State.PUBLISHED:
        for one in world.lease(5):
            world.complete(one)
        publish(world, submission_id)
    elif end is State.FAILED:
        bury(world)
    elif end is State.CANCELLED:
        world.complete(world.lease()[0])
        with world.database.write() as connection:
            submissions.cancel(connection, world.now, lab, submission_id)
    else:
        with world.database.write() as connection:
            submissions.move(connection, world.now, submission_id, end)
    assert world.submission(submission_id).state == end
    assert quota_actions(world, submission_id) == ["reserve", "refund"]
    with world.database.read() as connection:
        assert quotas.holds(connection, lab, world.now) == []


def test_what_dies_again_can_be_requeued_again(world):
    submission_id = add(world, world.add_lab())
    first = bury(world)
    requeue(world, job_ids=(first,))
    second = bury(world)
    assert second == first
    assert world.submission(submission_id).tasks_done == 1
    (done,), _ = requeue(world, job_ids=(second,))
    assert done.jobs == 3
    assert world.submission(submission_id).tasks_done == 0


def test_one_that_waits_is_not_joined_by_a_second_of_the_lab(world):
    lab = world.add_lab()
    add(world, lab)
    job_id = bury(world)
    later = add(world, lab)
    assert letters(world) == {job_id: dead_letters.PENDING}
    (left,), _ = requeue(world, job_ids=(job_id,))
    assert (left.jobs, left.obstacle) == (0, dead_letters.PENDING)
    assert world.submission(later).state == State.QUEUED


def test_of_two_dead_submissions_of_a_lab_the_later_goes_first(world):
    lab, other = world.add_lab(), world.add_lab()
    early = add(world, lab)
    bury(world)
    late = add(world, lab)
    bury(world)
    third = add(world, other)
    bury(world)
    done, remaining = requeue(world, modality="image")
    assert {one.submission_id: one.obstacle for one in done} == {
        third: "", late: "", early: dead_letters.PENDING,
    }  # fmt: skip
    assert remaining == 0


def test_what_the_lab_published_since_is_not_replaced_by_the_older_one(world):
    lab = world.add_lab()
    add(world, lab)
    dead = bury(world)
    for model, obstacle in (("Another", ""), ("Model", dead_letters.WENT_ON)):
        world.clock.advance(timedelta(seconds=1))
        later = add(world, lab, model=model)
        for one in world.lease(5):
            world.complete(one)
        publish(world, later)
        assert letters(world) == {dead: obstacle}


def test_an_archive_that_is_gone_cannot_be_graded_again(world):
    submission_id = add(world, world.add_lab())
    job_id = bury(world)
    with world.database.write() as connection:
        connection.execute(
            delete(upload_parts).where(upload_parts.c.submission_id == submission_id)
        )
    (left,), _ = requeue(world, job_ids=(job_id,))
    assert left.obstacle == dead_letters.ARCHIVE
    assert world.submission(submission_id).state == State.FAILED


def test_an_archive_of_a_failed_submission_is_kept(world):
    submission_id = add(world, world.add_lab())
    bury(world)
    world.clock.advance(timedelta(days=365))
    with world.database.read() as connection:
        assert uploads.discardable(connection, world.now, 100) == {}
        assert uploads.is_retained(connection, submission_id)


def test_another_catalogue_has_other_tasks(world):
    add(world, world.add_lab())
    (left,), _ = requeue(world, catalogue_id="another", job_ids=(bury(world),))
    assert left.obstacle == dead_letters.CATALOGUE


def test_dead_ratings_are_imported_again_instead(world):
    add(world, world.add_lab())
    (leased,) = world.lease()
    with world.database.write() as connection:
        connection.execute(
            update(task_results)
            .where(task_results.c.task_id == leased.task_id)
            .values(ratings=b"{}")
        )
    job_id = bury(world, leased)
    assert letters(world) == {job_id: dead_letters.RATINGS}
    (left,), _ = requeue(world, task_id=leased.task_id)
    assert left.obstacle == dead_letters.RATINGS


def test_a_dead_job_of_ratings_is_no_part_of_a_submissions_way_back(world):
    submission_id = add(world, world.add_lab())
    (leased,) = world.lease()
    with world.database.write() as connection:
        connection.execute(
            update(task_results)
            .where(task_results.c.task_id == leased.task_id)
            .values(ratings=b"{}")
        )
    ratings = bury(world, leased)
    other = bury(world)
    (done,), _ = requeue(world, job_ids=(other,))
    assert done.jobs == 2
    with world.database.read() as connection:
        state = connection.scalar(select(jobs.c.state).where(jobs.c.job_id == ratings))
    assert state == "dead"
    assert world.submission(submission_id).tasks_done == 1


def test_they_are_chosen_by_task_and_modality_and_looked_at_up_to_a_limit(world):
    for number in range(3):
        add(world, world.add_lab(), [IMAGE[number], AUDIO[number]])
    for _ in range(ATTEMPTS_MAX):
        for leased in world.lease(3):
            world.fail(leased)
        world.clock.advance(timedelta(minutes=10))
    assert len(letters(world, Chosen(modality="image"))) == 3
    assert letters(world, Chosen(modality="audio")) == {}
    assert len(letters(world, Chosen(task_id=IMAGE[1].id))) == 1
    done, remaining = requeue(world, limit=2, modality="image")
    assert (len(done), remaining) == (2, 1)
    # The jobs of other modalities come back, too.
    assert {one.modalities for one in done} == {("audio", "image")}
    done, remaining = requeue(world, limit=2, modality="image")
    assert (len(done), remaining) == (1, 0)
    assert requeue(world, modality="image") == ([], 0)


def test_pages_go_on_where_the_one_before_ended(world):
    for _ in range(3):
        add(world, world.add_lab(), IMAGE[:1])
        bury(world)
    with world.database.read() as connection:
        first = dead_letters.list_page(connection, Chosen(), 2)
        last = first[-1]
        rest = dead_letters.list_page(connection, Chosen(), 2, (last.finish_time, last.job_id))
    assert [len(first), len(rest)] == [2, 1]
    assert len({row.job_id for row in (*first, *rest)}) == 3
    assert first[0].finish_time >= first[1].finish_time >= rest[0].finish_time
