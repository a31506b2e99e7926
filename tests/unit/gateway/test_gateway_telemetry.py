"""What a gateway counts itself, and what it reads of the one queue."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import insert

from general_level.errors import QuotaExceeded, ResourceExhausted, UnknownBoard
from general_level.submission.findings import Code, FindingSink
from services.gateway import leases, submissions
from services.gateway.endings import ATTEMPTS_MAX, Ended
from services.gateway.state_times import SETTLED
from services.gateway.states import State
from services.gateway.storage.tables import timeline
from services.gateway.telemetry import REFUSALS, Telemetry
from tests.support.queue_world import CATALOGUE, LEASE, QueueWorld, ref_of, tasks_of

pytestmark = pytest.mark.usefixtures("rows")

IMAGE = tasks_of("image")
ONE_MODALITY = next(
    board.id for board in CATALOGUE.boards.values() if board.modalities == (IMAGE[0].modality,)
)


class Narrower(ResourceExhausted):
    """A kind of a refusal that the list of labels does not have."""

    reason = "TEST_NARROWER_LIMIT"


@pytest.fixture
def world(tmp_path):
    world = QueueWorld(tmp_path)
    yield world
    world.close()


@pytest.fixture
def telemetry(world):
    made = Telemetry(CATALOGUE)
    look(world, made)  # as a gateway does when it starts
    return made


def look(world, telemetry):
    with world.database.read() as connection:
        telemetry.refresh(connection, world.now)


def value(telemetry, name, **labels):
    return telemetry.registry.get_sample_value(name, labels)


def state_times(telemetry, state, modality):
    name, labels = "gateway_submission_state_seconds", {"state": state, "modality": modality}
    return value(telemetry, f"{name}_count", **labels), value(telemetry, f"{name}_sum", **labels)


class TestTimesOfStates:
    def test_each_move_is_counted_once_by_the_modality_of_its_board(self, world, telemetry):
        world.add_submission(world.add_lab(), IMAGE[:1], board_id=ONE_MODALITY)
        world.add_submission(world.add_lab(), IMAGE[:1], board_id="A-full")
        world.clock.advance(timedelta(seconds=5))
        first, second = world.lease(2)
        world.clock.advance(timedelta(seconds=20))
        world.complete(first)
        look(world, telemetry)
        assert state_times(telemetry, "queued", "image") == (1, 5)
        assert state_times(telemetry, "queued", "several") == (1, 5)
        assert state_times(telemetry, "grading", "image") == (1, 20)
        assert state_times(telemetry, "grading", "several") == (0, 0)
        world.complete(second)
        for _ in range(3):
            world.clock.advance(SETTLED)
            look(world, telemetry)
        assert state_times(telemetry, "queued", "image") == (1, 5)
        assert state_times(telemetry, "grading", "several") == (1, 20)

    def test_a_gateway_tells_nothing_of_before_its_start(self, world):
        world.add_submission(world.add_lab(), IMAGE[:1])
        (leased,) = world.lease()
        late = Telemetry(CATALOGUE)
        look(world, late)
        assert state_times(late, "queued", "several") == (0, 0)
        world.clock.advance(timedelta(seconds=7))
        world.complete(leased)
        look(world, late)
        assert state_times(late, "queued", "several") == (0, 0)
        assert state_times(late, "grading", "several") == (1, 7)

    def test_an_entry_that_is_committed_after_a_later_one_is_not_missed(self, world, telemetry):
        submission = world.add_submission(world.add_lab(), IMAGE[:1])
        look(world, telemetry)
        with world.database.read() as connection:
            newest = submissions.read_timeline(connection, submission)[-1].entry_id

        def enter(entry_id, state):
            with world.database.write() as connection:
                connection.execute(
                    insert(timeline).values(
                        entry_id=entry_id, submission_id=submission, state=state,
                        enter_time=world.now, note="",
                    )
                )  # fmt: skip

        world.clock.advance(timedelta(seconds=3))
        enter(newest + 5, State.RANKING)
        look(world, telemetry)
        assert state_times(telemetry, "queued", "several") == (1, 3)
        enter(newest + 2, State.GRADING)
        look(world, telemetry)
        assert state_times(telemetry, "queued", "several") == (2, 6)


class TestQueue:
    def test_the_oldest_of_each_state_is_as_old_as_its_entry(self, world, telemetry):
        world.add_submission(world.add_lab(), IMAGE[:1])
        world.clock.advance(timedelta(minutes=3))
        world.add_submission(world.add_lab(), IMAGE[:1])
        world.clock.advance(timedelta(minutes=1))
        look(world, telemetry)
        assert value(telemetry, "gateway_submissions_oldest_seconds", state="queued") == 240
        assert value(telemetry, "gateway_submissions_oldest_seconds", state="grading") == 0
        assert value(telemetry, "gateway_queue_oldest_seconds", modality="image") == 240

    def test_labs_that_wait_and_how_they_are_served(self, world, telemetry):
        def shares():
            look(world, telemetry)
            names = ("queue_labs", "queue_largest_lab_jobs", "queue_share_spread_jobs")
            return tuple(
                value(telemetry, f"gateway_{name}", modality="image") for name in names
            )  # fmt: skip

        assert shares() == (0, 0, 0)
        large, small = world.add_lab(), world.add_lab()
        world.add_submission(large, IMAGE[:3])
        assert shares() == (1, 3, 0)
        world.lease()
        # The other starts where the first one is, and what that was served before is no debt.
        world.add_submission(small, IMAGE[:2])
        assert shares() == (2, 2, 0)
        world.lease()
        assert shares() == (2, 2, 1)

    def test_dead_letters_are_apart_from_what_waits(self, world, telemetry):
        world.add_submission(world.add_lab(), IMAGE[:1])
        for _ in range(ATTEMPTS_MAX):
            world.lease()
            world.clock.advance(LEASE)
            telemetry.expired(world.expire().ended)
        look(world, telemetry)
        assert value(telemetry, "gateway_dead_letter_jobs", modality="image") == 1
        assert value(telemetry, "gateway_queue_jobs", modality="image", state="ready") == 0
        labels = {"modality": "image", "cause": "lease-expired"}
        assert value(telemetry, "gateway_leases_lost_total", **labels) == ATTEMPTS_MAX


class TestOwnCounts:
    def test_leases_with_how_long_their_jobs_waited(self, world, telemetry):
        world.add_submission(world.add_lab(), IMAGE[:2])
        world.clock.advance(timedelta(seconds=4))
        first, second = world.lease(2)
        telemetry.leased("image", world.now, [first, second])
        telemetry.renewed("image", 2)
        with world.database.write() as connection:
            telemetry.released(leases.release(connection, world.now, [ref_of(first)]))
        world.clock.advance(timedelta(seconds=2))
        telemetry.leased("image", world.now, world.lease())
        for name, expected in (
            ("leases_granted_total", 3), ("leases_renewed_total", 2), ("leases_released_total", 1),
            ("job_wait_seconds_count", 3), ("job_wait_seconds_sum", 4 + 4 + 2),
        ):  # fmt: skip
            assert value(telemetry, f"gateway_{name}", modality="image") == expected, name

    def test_attempts_by_how_they_ended_each_once(self, world, telemetry):
        world.add_submission(world.add_lab(), IMAGE[:3])
        one, two, three = world.lease(3)
        telemetry.ended(world.complete(one))
        telemetry.ended(world.complete(one))  # its answer was lost, so it is sent again
        telemetry.ended(world.fail(two, leases.Fault.OUT_OF_MEMORY))
        sink = FindingSink()
        sink.add(Code.EMPTY_LIST, "prediction.json")
        for _ in range(2):
            with world.database.write() as connection:
                refused = leases.complete_refused(
                    connection, world.now, ref_of(three), sink.findings
                )  # fmt: skip
            telemetry.ended(refused)
        found = {
            outcome: value(
                telemetry, "gateway_job_attempts_total", modality="image", outcome=outcome
            )
            for outcome in ("scored", "refused", "out-of-memory", "internal")
        }
        assert found == {"scored": 1, "refused": 1, "out-of-memory": 1, "internal": 0}

    def test_refusals_by_their_kind_and_no_other_error(self, telemetry):
        for error in (QuotaExceeded(), Narrower("no"), UnknownBoard(board_id="x")):
            with pytest.raises(type(error)), telemetry.refusals():
                raise error
        counted = {
            kind.reason: value(telemetry, "gateway_create_refusals_total", reason=kind.reason)
            for kind in REFUSALS
        }
        assert counted == {
            "QUOTA_EXCEEDED": 1, "SUBMISSION_PENDING": 0, "AGREEMENT_REQUIRED": 0,
            "RESOURCE_EXHAUSTED": 1,
        }  # fmt: skip

    def test_findings_of_checks_by_code(self, telemetry):
        sink = FindingSink()
        sink.add(Code.EMPTY_ARCHIVE)
        telemetry.checked(sink.findings)
        assert value(telemetry, "gateway_check_findings_total", code="GL103") == 1
        assert value(telemetry, "gateway_check_findings_total", code="GL102") == 0

    def test_an_ending_that_was_none_counts_nothing(self, telemetry):
        telemetry.ended(Ended("sub-1", "image"))
        samples = [
            sample.value
            for family in telemetry.registry.collect()
            for sample in family.samples
            if sample.name == "gateway_job_attempts_total"
        ]
        assert samples
        assert set(samples) == {0.0}

    def test_what_is_the_same_in_all_gateways_is_what_the_database_says(self, telemetry):
        assert "gateway_queue_jobs" in telemetry.shared
        assert "gateway_submission_state_seconds" in telemetry.shared
        assert "gateway_leases_granted_total" not in telemetry.shared
        assert "gateway_upload_bytes_total" not in telemetry.shared
