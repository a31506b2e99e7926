"""The queue on a real SQLite file: fairness, fencing, expiry, retries, completion."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from general_level.errors import LeaseLost, ScoreRefused
from general_level.submission.findings import Code, FindingSink
from services.gateway import leases, ledger, submissions
from services.gateway.endings import (
    ATTEMPTS_MAX,
    BACKOFF_MAX,
    BACKOFF_STEP,
    LACKING,
    LACKING_WAIT_MAX,
    LACKING_WAIT_MIN,
)
from services.gateway.states import State
from services.gateway.storage.tables import score_ledger, task_results
from services.gateway.telemetry import Telemetry
from tests.support.queue_world import CATALOGUE, JOB, LEASE, NOON, QueueWorld, ref_of, tasks_of

pytestmark = pytest.mark.usefixtures("rows")

IMAGE = tasks_of("image")
LANGUAGE = next(task for task in CATALOGUE.tasks.values() if task.modality == "language")
#: Of any metric: for tests that lease and do not score.
MANY = [task for task in CATALOGUE.tasks.values() if task.modality == "image"]


@pytest.fixture
def world(tmp_path):
    world = QueueWorld(tmp_path)
    yield world
    world.close()


def ledger_kinds(world):
    with world.database.read() as connection:
        rows = connection.execute(
            select(score_ledger.c.kind, func.count()).group_by(score_ledger.c.kind)
        )
        return dict(rows.all())


def keep_alive(world, *leased):
    with world.database.write() as connection:
        return leases.keep_alive(connection, world.now, [ref_of(one) for one in leased], LEASE)


class TestFairShare:
    def test_one_job_is_not_behind_anothers_thousand(self, world):
        large, small = world.add_lab(), world.add_lab()
        many = [world.add_submission(large, MANY[:100]) for _ in range(10)]
        world.lease(64)
        one = world.add_submission(small, IMAGE[:1])

        first_two = world.lease(2)

        assert one in {leased.submission_id for leased in first_two}
        assert sum(sum(world.job_states(s).values()) for s in many) == 1_000

    def test_two_busy_labs_take_turns(self, world):
        labs = [world.add_lab(), world.add_lab()]
        owner = {world.add_submission(lab, MANY[:60]): lab for lab in labs}

        served = Counter(owner[leased.submission_id] for leased in world.lease(20))

        assert set(served.values()) == {10}

    def test_time_away_is_no_credit(self, world):
        away, busy = world.add_lab(), world.add_lab()
        world.add_submission(away, IMAGE[:1])
        world.lease(1)
        at_work = world.add_submission(busy, MANY[:100])
        world.lease(50)
        back = world.add_submission(away, IMAGE[:50])

        served = Counter(leased.submission_id for leased in world.lease(20))

        assert served == {at_work: 10, back: 10}

    def test_past_use_is_no_debt(self, world):
        eager, late = world.add_lab(), world.add_lab()
        world.add_submission(eager, IMAGE[:40])
        for leased in world.lease(40):
            world.complete(leased)
        first = world.add_submission(late, IMAGE[:20])
        second = world.add_submission(eager, IMAGE[:20])

        served = Counter(leased.submission_id for leased in world.lease(20))

        assert served == {first: 10, second: 10}

    def test_within_a_lab_the_oldest_goes_first(self, world):
        lab = world.add_lab()
        older = world.add_submission(lab, IMAGE[:2])
        world.clock.advance(timedelta(seconds=1))
        newer = world.add_submission(lab, IMAGE[:2])

        order = [leased.submission_id for leased in world.lease(1) + world.lease(3)]

        assert order == [older, older, newer, newer]

    def test_only_the_asked_modality_and_metrics(self, world):
        lab = world.add_lab()
        world.add_submission(lab, [*IMAGE[:1], LANGUAGE])

        assert [leased.task_id for leased in world.lease(5)] == [IMAGE[0].id]
        with world.database.read() as connection:
            assert not leases.has_ready(connection, world.now, "language", ["fid"])
            assert leases.has_ready(connection, world.now, "language", [LANGUAGE.metric_id])


class TestLease:
    def test_the_first_lease_starts_the_grading(self, world):
        submission = world.add_submission(world.add_lab(), IMAGE[:2])
        assert world.submission(submission).state == State.QUEUED

        leased = world.lease(2)

        assert [one.attempt for one in leased] == [1, 1]
        assert world.submission(submission).state == State.GRADING
        assert world.submission(submission).tasks_total == 2

    def test_eight_threads_lease_four_hundred_jobs_once_each(self, world):
        for _ in range(4):
            world.add_submission(world.add_lab(), MANY[:100])
        taken = []

        def work():
            while leased := world.lease(3):
                taken.extend(one.job_id for one in leased)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(taken) == 400
        assert len(set(taken)) == 400

    def test_a_beat_extends_but_never_past_the_attempts_deadline(self, world):
        world.add_submission(world.add_lab(), IMAGE[:1])
        (leased,) = world.lease()
        beats = 0
        while keep_alive(world, leased):
            beats += 1
            world.clock.advance(LEASE * 0.5)
        assert world.now == NOON + JOB
        assert beats == JOB / (LEASE * 0.5)

    def test_a_withdrawn_submission_loses_its_leases_at_the_next_beat(self, world):
        lab = world.add_lab()
        submission = world.add_submission(lab, IMAGE[:2])
        (leased,) = world.lease()
        assert keep_alive(world, leased)
        with world.database.write() as connection:
            submissions.cancel(connection, world.now, lab, submission)

        assert keep_alive(world, leased) == []
        with pytest.raises(LeaseLost):
            world.complete(leased)
        assert world.job_states(submission) == {"cancelled": 2}
        assert world.quota(submission) == "refund"

    def test_large_ratings_are_handed_out_a_few_at_a_time(self, world):
        submission = world.add_submission(world.add_lab(), IMAGE[:4])
        half = bytes(leases.RATINGS_BYTES_MAX // 2)
        with world.database.write() as connection:
            of_submission = task_results.c.submission_id == submission
            connection.execute(update(task_results).where(of_submission).values(ratings=half))
        assert [len(world.lease(4)) for _ in range(3)] == [2, 2, 0]

    def test_released_jobs_come_back_without_counting(self, world):
        world.add_submission(world.add_lab(), IMAGE[:1])
        (leased,) = world.lease()
        with world.database.write() as connection:
            assert leases.release(connection, world.now, [ref_of(leased)]) == ["image"]

        (again,) = world.lease()

        assert (again.job_id, again.attempt) == (leased.job_id, 1)
        assert again.lease_token != leased.lease_token


class TestFencing:
    def test_a_grader_that_was_thought_dead_changes_nothing(self, world):
        submission = world.add_submission(world.add_lab(), IMAGE[:1])
        (old,) = world.lease()
        world.clock.advance(LEASE)
        world.expire()
        (new,) = world.lease()
        assert (new.job_id, new.attempt) == (old.job_id, 2)

        with pytest.raises(LeaseLost):
            world.complete(old, 99.0)
        with pytest.raises(LeaseLost):
            world.fail(old)
        world.complete(new, 42.0)
        with pytest.raises(LeaseLost):
            world.complete(old, 99.0)

        assert world.result(submission, new.task_id).value == 42.0
        assert ledger_kinds(world) == {"score": 1, "completion": 1}

    def test_an_ended_lease_is_lost_before_anyone_noticed(self, world):
        world.add_submission(world.add_lab(), IMAGE[:1])
        (leased,) = world.lease()
        world.clock.advance(LEASE)

        with pytest.raises(LeaseLost):
            world.complete(leased)
        assert ledger_kinds(world) == {}

    def test_another_token_is_refused(self, world):
        world.add_submission(world.add_lab(), IMAGE[:2])
        one, other = world.lease(2)
        with pytest.raises(LeaseLost):
            world.complete_with(leases.LeaseRef(one.job_id, other.lease_token), world.score(one))
        with pytest.raises(LeaseLost):
            world.complete_with(leases.LeaseRef("job-none", ""), world.score(one))

    def test_completing_twice_counts_once(self, world):
        submission = world.add_submission(world.add_lab(), IMAGE[:2])
        leased, _other = world.lease(2)
        score = world.score(leased)

        world.complete_with(ref_of(leased), score)
        world.clock.advance(LEASE * 3)
        world.complete_with(ref_of(leased), score)

        assert world.submission(submission).tasks_done == 1
        assert ledger_kinds(world) == {"score": 1}

    def test_completing_again_with_another_value_is_refused(self, world):
        world.add_submission(world.add_lab(), IMAGE[:2])
        leased, _other = world.lease(2)
        world.complete(leased, 10.0)
        with pytest.raises(LeaseLost):
            world.complete(leased, 11.0)

    def test_a_refused_score_leaves_the_lease_to_be_failed(self, world):
        world.add_submission(world.add_lab(), IMAGE[:1])
        (leased,) = world.lease()
        with pytest.raises(ScoreRefused):
            world.complete(leased, 101.0)

        assert world.fail(leased, leases.Fault.ILLEGAL_SCORE).will_retry
        assert ledger_kinds(world) == {}


class TestExpiryAndRetries:
    def test_a_silent_graders_job_is_free_at_once_after_its_lease(self, world):
        world.add_submission(world.add_lab(), IMAGE[:1])
        (leased,) = world.lease()
        world.clock.advance(LEASE - timedelta(microseconds=1))
        assert world.expire().ended == ()
        world.clock.advance(timedelta(microseconds=1))

        expired = world.expire()

        assert expired.modalities == ["image"]
        assert expired.submission_ids == [leased.submission_id]
        assert [one.job_id for one in world.lease()] == [leased.job_id]

    def test_a_failed_attempt_waits_longer_each_time(self, world):
        world.add_submission(world.add_lab(), IMAGE[:1])
        waits = []
        for attempt in range(1, ATTEMPTS_MAX):
            (leased,) = world.lease()
            assert world.fail(leased).will_retry
            wait = min(BACKOFF_STEP * 2**attempt, BACKOFF_MAX)
            world.clock.advance(wait - timedelta(microseconds=1))
            assert world.lease() == []
            world.clock.advance(timedelta(microseconds=1))
            waits.append(wait.total_seconds())
        assert waits == [10, 20, 40]

    @pytest.mark.parametrize("fault", sorted(set(leases.Fault) - LACKING))
    def test_the_last_attempt_buries_the_job_and_gives_the_quota_back(self, world, fault):
        submission = world.add_submission(world.add_lab(), IMAGE[:3])
        done, bad, _running = world.lease(3)
        world.complete(done)
        for attempt in range(1, ATTEMPTS_MAX + 1):
            ended = world.fail(bad, fault)
            assert ended.will_retry == (attempt < ATTEMPTS_MAX)
            if ended.will_retry:
                world.clock.advance(timedelta(minutes=5))
                (bad,) = [one for one in world.lease(3) if one.job_id == bad.job_id]

        row = world.submission(submission)
        assert (row.state, row.failure_reason) == (State.FAILED, f"dead-letter:{fault}")
        assert world.job_states(submission) == {"done": 1, "dead": 1, "cancelled": 1}
        assert world.quota(submission) == "refund"
        result = world.result(submission, bad.task_id)
        assert (result.outcome, result.attempt_count) == ("dead-letter", ATTEMPTS_MAX)
        assert "completion" not in ledger_kinds(world)

    @pytest.mark.parametrize("fault", sorted(LACKING))
    def test_what_a_grader_lacks_uses_no_attempt_and_is_asked_for_ever_less_often(
        self, world, fault
    ):
        submission = world.add_submission(world.add_lab(), IMAGE[:1])
        waits = []
        for _ in range(3 * ATTEMPTS_MAX):
            (leased,) = world.lease()
            assert leased.attempt == 1
            world.clock.advance(timedelta(seconds=1))
            assert world.fail(leased, fault).will_retry
            failed_at = world.now
            while not world.lease_ready():
                world.clock.advance(timedelta(seconds=5))
            waits.append(world.now - failed_at)

        assert waits[0] == LACKING_WAIT_MIN
        assert waits == sorted(waits)
        assert waits[-1] == LACKING_WAIT_MAX
        assert (
            timedelta(seconds=10), timedelta(minutes=10)
        ) == (LACKING_WAIT_MIN, LACKING_WAIT_MAX)  # fmt: skip
        assert world.submission(submission).state == State.GRADING
        assert world.result(submission, leased.task_id).attempt_count == 0

        (found,) = world.lease()
        world.complete(found)
        assert world.submission(submission).state == State.RANKING
        assert world.result(submission, found.task_id).attempt_count == 1

    def test_attempts_that_count_still_count_beside_those_that_do_not(self, world):
        submission = world.add_submission(world.add_lab(), IMAGE[:1])
        for attempt in range(1, ATTEMPTS_MAX + 1):
            for fault in (leases.Fault.KEY_UNAVAILABLE, leases.Fault.INTERNAL):
                (leased,) = world.lease()
                assert leased.attempt == attempt
                world.fail(leased, fault)
                world.clock.advance(LACKING_WAIT_MAX)
        assert world.submission(submission).failure_reason == "dead-letter:internal"

    def test_jobs_that_wait_for_a_key_are_counted(self, world):
        telemetry = Telemetry()

        def waiting(fault):
            with world.database.read() as connection:
                telemetry.refresh(connection, world.now)
            labels = {"modality": "image", "fault": fault}
            return telemetry.registry.get_sample_value("gateway_queue_lacking_jobs", labels)

        world.add_submission(world.add_lab(), IMAGE[:3])
        one, two, three = world.lease(3)
        assert waiting("key-unavailable") == 0
        world.fail(one, leases.Fault.KEY_UNAVAILABLE)
        world.fail(two, leases.Fault.KEY_UNAVAILABLE)
        world.fail(three, leases.Fault.WEIGHTS_UNAVAILABLE)
        assert (waiting("key-unavailable"), waiting("weights-unavailable")) == (2, 1)
        world.clock.advance(LACKING_WAIT_MAX)
        world.lease(3)
        assert (waiting("key-unavailable"), waiting("weights-unavailable")) == (0, 0)

    def test_a_job_that_beats_until_its_deadline_fails_by_deadline(self, world):
        submission = world.add_submission(world.add_lab(), IMAGE[:1])
        for _attempt in range(ATTEMPTS_MAX):
            (leased,) = world.lease()
            while keep_alive(world, leased):
                world.clock.advance(LEASE * 0.5)
            world.expire()
            world.clock.advance(BACKOFF_MAX)
        assert world.submission(submission).failure_reason == "dead-letter:deadline"


class TestCompletion:
    def test_the_last_job_completes_the_submission(self, world):
        submission = world.add_submission(world.add_lab(), IMAGE[:2])
        first, last = world.lease(2)
        world.complete(first)
        assert world.submission(submission).state == State.GRADING

        world.complete(last)

        row = world.submission(submission)
        assert (row.state, row.tasks_done, row.ledger_position) == (State.RANKING, 2, 3)
        with world.database.read() as connection:
            *_scores, entry = ledger.read_after(connection, 0)
        assert entry.completion.submission_id == submission
        assert entry.completion.model.model_name == "Model"
        assert entry.completion.model.contact_email == ""

    def test_without_a_job_it_is_complete_at_once(self, world):
        submission = world.add_submission(world.add_lab(), [])
        assert world.submission(submission).state == State.RANKING
        assert ledger_kinds(world) == {"completion": 1}

    def test_a_refused_file_rejects_when_all_findings_are_known(self, world):
        submission = world.add_submission(world.add_lab(), IMAGE[:3])
        one, two, three = world.lease(3)
        for leased in (one, two):
            sink = FindingSink()
            sink.add(Code.CONTENT_DAMAGED, "member.png", reason="it is cut off")
            with world.database.write() as connection:
                leases.complete_refused(connection, world.now, ref_of(leased), sink.findings)
        assert world.submission(submission).state == State.GRADING

        world.complete(three)

        row = world.submission(submission)
        assert (row.state, row.finding_count) == (State.REJECTED, 2)
        assert world.result(submission, one.task_id).outcome == "refused"
        assert world.quota(submission) == "refund"
        assert ledger_kinds(world) == {"score": 1}

    def test_a_refusal_may_be_repeated(self, world):
        submission = world.add_submission(world.add_lab(), IMAGE[:2])
        leased, _other = world.lease(2)
        sink = FindingSink()
        sink.add(Code.NOT_JSON, "prediction.json", reason="it ends early")
        for _time in range(2):
            with world.database.write() as connection:
                leases.complete_refused(connection, world.now, ref_of(leased), sink.findings)
        assert world.submission(submission).finding_count == 1


class TestQueueView:
    def view(self, world, submission):
        with world.database.read() as connection:
            return leases.position_and_estimate(connection, world.now, submission)

    @pytest.mark.parametrize("own", [1, 3])
    def test_the_position_is_what_leasing_then_does(self, world, own):
        labs = sorted(world.add_lab() for _ in range(3))
        world.add_submission(labs[0], IMAGE[:10])
        world.lease(2)
        world.add_submission(labs[2], IMAGE[:2])
        mine = world.add_submission(labs[1], IMAGE[:own])
        told = self.view(world, mine).position

        served = []
        while mine not in served:
            served += [one.submission_id for one in world.lease()]

        assert told == len(served) - 1

    def test_no_pace_no_estimate(self, world):
        submission = world.add_submission(world.add_lab(), IMAGE[:4])
        assert self.view(world, submission).estimated_remaining is None

    def test_the_estimate_follows_the_recent_pace(self, world):
        submission = world.add_submission(world.add_lab(), IMAGE[:40])
        leased = world.lease(10)
        world.clock.advance(timedelta(seconds=20))
        for one in leased:
            world.complete(one)
        # 10 jobs in the 20 seconds since the first was leased, 30 to go.
        assert self.view(world, submission).estimated_remaining == timedelta(seconds=60)
        # Graders that had nothing to do since are not slower.
        world.clock.advance(timedelta(minutes=9))
        assert self.view(world, submission).estimated_remaining == timedelta(seconds=60)
        world.clock.advance(timedelta(minutes=2))
        assert self.view(world, submission).estimated_remaining is None

    def test_nothing_to_tell_once_it_is_graded(self, world):
        submission = world.add_submission(world.add_lab(), IMAGE[:1])
        (leased,) = world.lease()
        assert self.view(world, submission).position is None
        world.complete(leased)
        assert self.view(world, submission) == leases.QueueView(None, None)
