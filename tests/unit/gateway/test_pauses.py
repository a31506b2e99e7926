"""A paused modality leases nothing, and the wait costs nobody anything."""

from __future__ import annotations

from datetime import timedelta

import pytest

from general_level.v1 import submission_pb2 as pb
from services.gateway import leases, pauses, submissions, views
from services.gateway.states import STATE_AGE_MAX, State
from services.gateway.telemetry import Telemetry
from tests.support.queue_world import QueueWorld, tasks_of

pytestmark = pytest.mark.usefixtures("rows")

IMAGE = tasks_of("image")
AUDIO = tasks_of("audio")


@pytest.fixture
def world(tmp_path):
    world = QueueWorld(tmp_path)
    yield world
    world.close()


def pause(world, modality="image"):
    with world.database.write() as connection:
        return pauses.pause(connection, world.now, modality, "a new scorer", "Ada")


def resume(world, modality="image"):
    with world.database.write() as connection:
        return pauses.resume(connection, world.now, modality)


def end_overdue(world):
    with world.database.write() as connection:
        return submissions.end_overdue(connection, world.now)


def view(world, submission_id):
    with world.database.read() as connection:
        row = submissions.read(connection, submission_id)
        return views.submission_view(connection, world.now, row)


def test_nothing_of_a_paused_modality_is_leased_and_others_are(world):
    world.add_submission(world.add_lab(), [IMAGE[0], AUDIO[0]])
    pause(world)
    assert not world.lease_ready()
    assert world.lease() == []
    assert len(world.lease(modality="audio")) == 1
    resume(world)
    assert world.lease_ready()
    assert len(world.lease()) == 1


def test_jobs_that_run_end_as_ever(world):
    submission_id = world.add_submission(world.add_lab(), IMAGE[:2])
    first, second = world.lease(2)
    pause(world)
    world.complete(first)
    # One whose attempt failed waits for the end of the pause like the others.
    assert world.fail(second).will_retry
    world.clock.advance(timedelta(hours=1))
    assert world.lease() == []
    resume(world)
    world.complete(world.lease()[0])
    assert world.submission(submission_id).state == State.RANKING


@pytest.mark.parametrize("graded", [False, True])
def test_the_maximum_age_of_a_state_ends_nobody_while_it_is_paused(world, graded):
    submission_id = world.add_submission(world.add_lab(), IMAGE[:2])
    if graded:
        world.complete(world.lease()[0])
    state = State.GRADING if graded else State.QUEUED
    deadline = world.submission(submission_id).state_deadline
    world.clock.advance(timedelta(hours=1))
    pause(world)
    world.clock.advance(10 * STATE_AGE_MAX[state])
    assert end_overdue(world) == []
    assert resume(world) == [submission_id]
    row = world.submission(submission_id)
    assert row.state == state
    # The hour before the pause counts, the pause itself does not.
    assert row.state_deadline == deadline + 10 * STATE_AGE_MAX[state]
    assert row.state_deadline == world.now + STATE_AGE_MAX[state] - timedelta(hours=1)
    assert end_overdue(world) == []
    world.clock.advance(STATE_AGE_MAX[state])
    assert end_overdue(world) == [submission_id]
    assert world.submission(submission_id).state == State.FAILED


def test_two_pauses_at_once_give_no_more_than_a_whole_age(world):
    submission_id = world.add_submission(world.add_lab(), [IMAGE[0], AUDIO[0]])
    pause(world)
    pause(world, "audio")
    world.clock.advance(timedelta(days=30))
    resume(world)
    assert end_overdue(world) == []
    resume(world, "audio")
    row = world.submission(submission_id)
    assert row.state_deadline == world.now + STATE_AGE_MAX[State.QUEUED]


def test_a_submission_without_jobs_of_the_modality_is_not_held(world):
    other = world.add_submission(world.add_lab(), AUDIO[:1])
    done = world.add_submission(world.add_lab(), [IMAGE[0], AUDIO[1]])
    world.complete(world.lease()[0])
    pause(world)
    world.clock.advance(STATE_AGE_MAX[State.QUEUED])
    assert end_overdue(world) == sorted([other, done])
    assert resume(world) == []


def test_a_pause_holds_no_state_but_those_of_the_queue(world):
    submission_id = world.add_submission(world.add_lab(), IMAGE[:1])
    world.complete(world.lease()[0])
    pause(world)
    world.clock.advance(STATE_AGE_MAX[State.RANKING])
    assert end_overdue(world) == [submission_id]


def test_pausing_again_keeps_the_first_and_resuming_again_changes_nothing(world):
    first = pause(world)
    world.clock.advance(timedelta(hours=1))
    assert pause(world) == first
    submission_id = world.add_submission(world.add_lab(), IMAGE[:1])
    assert resume(world) == [submission_id]
    revision = world.submission(submission_id).revision
    assert resume(world) == []
    assert world.submission(submission_id).revision == revision


def test_a_lab_reads_that_it_waits_for_a_pause(world):
    submission_id = world.add_submission(world.add_lab(), IMAGE[:2])
    world.complete(world.lease()[0])
    before = view(world, submission_id)
    assert before.progress.HasField("estimated_remaining")
    assert before.HasField("state_deadline")
    pause(world)
    now = view(world, submission_id)
    assert list(now.progress.paused_modalities) == ["image"]
    assert now.progress.position == 0
    assert not now.progress.HasField("estimated_remaining")
    assert not now.HasField("state_deadline")
    assert now.state == pb.SUBMISSION_STATE_GRADING


def test_telemetry_shows_what_is_paused(world):
    pause(world, "3d")
    telemetry = Telemetry()
    with world.database.read() as connection:
        telemetry.refresh(connection, world.now)
    shown = {
        modality: telemetry.registry.get_sample_value(
            "gateway_modality_paused", {"modality": modality}
        )
        for modality in ("3d", "image")
    }
    assert shown == {"3d": 1, "image": 0}


def test_a_lease_of_several_modalities_is_each_its_own(world):
    """Lost leases of a paused modality come back and wait."""
    world.add_submission(world.add_lab(), IMAGE[:1])
    world.lease()
    pause(world)
    world.clock.advance(timedelta(minutes=1))
    assert len(world.expire().ended) == 1
    assert world.lease() == []
    with world.database.read() as connection:
        assert not leases.has_ready(connection, world.now, "image", [IMAGE[0].metric_id])
