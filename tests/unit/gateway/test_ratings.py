"""Ratings make a job for a rated task, and only for one that can take them."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import insert, select, update

from general_level import errors
from general_level.catalogue import load
from services.gateway import agreement, identity, leases, ratings, submissions
from services.gateway.endings import BACKOFF_MAX
from services.gateway.states import Outcome, State
from services.gateway.storage.tables import jobs, task_results
from services.kit.ratings import RatingsInvalid
from tests.support.gateway import START, archive, create_request, open_database
from tests.support.queue_world import CATALOGUE, LEASE, QueueWorld, tasks_of

pytestmark = pytest.mark.usefixtures("rows")

BOARD, RATED, AUTOMATIC = "D-A-C-7", "audio-c-018", "audio-c-019"
GOOD = json.dumps({"ratings": [{"id": "1", "ratings": [4, 5]}]}).encode()


@pytest.fixture
def connection(tmp_path):
    with open_database(tmp_path) as database, database.write() as connection:
        yield connection


@pytest.fixture
def submission_id(connection):
    lab_id = identity.create_lab(connection, START, "Example Lab")
    agreement.accept(connection, START, lab_id, agreement.VERSION)
    made = submissions.create(
        connection, START, lab_id, create_request(archive(BOARD)), catalogue_id="c",
        agreement_version=agreement.VERSION, new_submission_id=lambda: "sub_1",
    )  # fmt: skip
    for state in (State.UPLOADING, State.CHECKING, State.QUEUED):
        submissions.move(connection, START, made, state)
    for task_id, outcome in ((RATED, Outcome.AWAITING_RATINGS), (AUTOMATIC, Outcome.PENDING)):
        connection.execute(
            insert(task_results).values(
                submission_id=made, task_id=task_id, metric_id="m", outcome=outcome,
                prediction_bytes=0, item_count=0, missing_count=0, attempt_count=0,
            )
        )  # fmt: skip
    return made


def take(connection, submission_id, task_id=RATED, data=GOOD, item_ids=None):
    return ratings.import_ratings(connection, START, load(), submission_id, task_id, data, item_ids)


def outcome(connection, submission_id):
    row = connection.execute(
        select(task_results).where(
            task_results.c.submission_id == submission_id, task_results.c.task_id == RATED
        )
    ).one()
    return row.outcome


def test_ratings_make_one_job_and_the_task_pending(connection, submission_id):
    before = submissions.read(connection, submission_id).revision
    assert take(connection, submission_id) == "audio"
    (job,) = connection.execute(select(jobs)).all()
    assert (job.task_id, job.state, job.modality) == (RATED, "ready", "audio")
    assert outcome(connection, submission_id) == Outcome.PENDING
    assert submissions.read(connection, submission_id).revision > before


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"{}", b'{"ratings": {}}', b"\xff", b"[" * 100_000],
    ids=lambda data: repr(data[:16]),
)
def test_what_is_no_list_of_ratings_is_refused(connection, submission_id, data):
    with pytest.raises(errors.InvalidRequest):
        take(connection, submission_id, data=data)
    assert connection.execute(select(jobs)).all() == []


def test_a_task_that_is_not_rated_takes_none(connection, submission_id):
    with pytest.raises(errors.InvalidRequest, match="not rated"):
        take(connection, submission_id, AUTOMATIC)


def test_an_unknown_submission_or_task_is_not_found(connection, submission_id):
    with pytest.raises(errors.NotFound):
        take(connection, "sub_none")
    with pytest.raises(errors.NotFound):
        take(connection, submission_id, "audio-c-020")


def test_ratings_come_once_until_they_are_graded(connection, submission_id):
    take(connection, submission_id)
    with pytest.raises(errors.IllegalTransition):
        take(connection, submission_id)


@pytest.mark.parametrize("graded", [Outcome.SCORED, Outcome.DEAD_LETTER])
def test_graded_or_failed_ratings_may_be_replaced(connection, submission_id, graded):
    take(connection, submission_id)
    connection.execute(update(jobs).values(state="done", sequence=jobs.c.sequence - 1))
    connection.execute(update(task_results).values(outcome=graded))
    take(connection, submission_id)
    assert len(connection.execute(select(jobs)).all()) == 2


def test_a_published_submission_still_takes_ratings(connection, submission_id):
    for state in (State.GRADING, State.RANKING, State.PUBLISHED):
        submissions.move(connection, START, submission_id, state)
    take(connection, submission_id)
    assert submissions.read(connection, submission_id).state == State.PUBLISHED


@pytest.mark.parametrize("ended", [State.FAILED, State.CANCELLED, State.REJECTED])
def test_an_ended_one_takes_none(connection, submission_id, ended):
    submissions.move(connection, START, submission_id, ended)
    with pytest.raises(errors.IllegalTransition):
        take(connection, submission_id)


def test_a_verdict_beyond_the_metrics_range_makes_no_job(connection, submission_id):
    metric = load().metric_of(RATED)
    for verdict in (metric.minimum - 1, metric.maximum + 1):
        data = json.dumps({"ratings": [{"id": "1", "ratings": [verdict]}]}).encode()
        with pytest.raises(RatingsInvalid) as caught:
            take(connection, submission_id, data=data)
        assert caught.value.metadata["problem"] == "range"
    assert connection.execute(select(jobs)).all() == []


def test_a_verdict_on_no_item_of_the_task_makes_no_job(connection, submission_id):
    with pytest.raises(RatingsInvalid) as caught:
        take(connection, submission_id, item_ids={"2"})
    assert caught.value.metadata["problem"] == "unknown-item"
    assert connection.execute(select(jobs)).all() == []
    take(connection, submission_id, item_ids={"1", "2"})


class TestUnusableAtGrading:
    """The gateway cannot know whether every answered item has a verdict: a grader finds that."""

    AUDIO = next(
        task for task in CATALOGUE.tasks.values() if CATALOGUE.metric_of(task.id).id == "mos"
    )
    FILE = json.dumps({"ratings": [{"id": "1", "ratings": [4, 5]}]}).encode()

    @pytest.fixture
    def world(self, tmp_path):
        world = QueueWorld(tmp_path)
        yield world
        world.close()

    def import_into(self, world, submission_id):
        with world.database.write() as connection:
            ratings.import_ratings(
                connection, world.now, CATALOGUE, submission_id, self.AUDIO.id, self.FILE
            )

    def submit(self, world):
        """A submission with an automatic task that waits and a rated one whose ratings came."""
        submission_id = world.add_submission(world.add_lab(), tasks_of("image")[:1])
        with world.database.write() as connection:
            connection.execute(
                insert(task_results).values(
                    submission_id=submission_id, task_id=self.AUDIO.id, metric_id="mos",
                    outcome=Outcome.AWAITING_RATINGS, prediction_bytes=1, item_count=0,
                    missing_count=0, attempt_count=0,
                )
            )  # fmt: skip
        self.import_into(world, submission_id)
        return submission_id

    def bury(self, world, fault):
        for _ in range(leases.ATTEMPTS_MAX):
            world.clock.advance(BACKOFF_MAX)
            (leased,) = world.lease(modality="audio")
            ended = world.fail(leased, fault)
        assert not ended.will_retry
        return ended

    @pytest.mark.parametrize("fault", [leases.Fault.ILLEGAL_SCORE, leases.Fault.SCORER_CRASHED])
    def test_the_submission_goes_on_and_the_task_waits_again(self, world, fault):
        submission_id = self.submit(world)
        self.bury(world, fault)
        assert world.submission(submission_id).state == State.GRADING
        assert world.result(submission_id, self.AUDIO.id).outcome == Outcome.AWAITING_RATINGS
        assert world.quota(submission_id) == "reserve"

        (automatic,) = world.lease()
        world.complete(automatic)
        assert world.submission(submission_id).state == State.RANKING

    def test_the_last_job_to_end_completes_the_submission(self, world):
        submission_id = self.submit(world)
        (automatic,) = world.lease()
        world.complete(automatic)
        assert world.submission(submission_id).state == State.GRADING
        assert self.bury(world, leases.Fault.ILLEGAL_SCORE).ledger_changed
        assert world.submission(submission_id).state == State.RANKING

    def test_other_ratings_are_taken_and_scored(self, world):
        submission_id = self.submit(world)
        self.bury(world, leases.Fault.ILLEGAL_SCORE)
        self.import_into(world, submission_id)
        (again,) = world.lease(modality="audio")
        assert (again.attempt, again.ratings) == (1, self.FILE)
        world.complete(again, 4.5)
        assert world.result(submission_id, self.AUDIO.id).value == 4.5

    def test_an_earlier_imports_score_stays(self, world):
        submission_id = self.submit(world)
        (first,) = world.lease(modality="audio")
        world.complete(first, 4.5)
        world.clock.advance(BACKOFF_MAX)
        self.import_into(world, submission_id)
        self.bury(world, leases.Fault.ILLEGAL_SCORE)
        result = world.result(submission_id, self.AUDIO.id)
        assert (result.outcome, result.value) == (Outcome.SCORED, 4.5)

    def test_a_grader_that_is_gone_at_the_last_attempt_completes_it_too(self, world):
        submission_id = self.submit(world)
        (automatic,) = world.lease()
        world.complete(automatic)
        for _ in range(leases.ATTEMPTS_MAX):
            assert len(world.lease(modality="audio")) == 1
            world.clock.advance(LEASE)
            expired = world.expire()
        assert expired.ledger_changed
        assert world.submission(submission_id).state == State.RANKING
