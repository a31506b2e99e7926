"""The ledger takes only what a trusted grader signed, in one order without gaps."""

from __future__ import annotations

import threading

import pytest

from general_level.errors import ScoreRefused
from general_level.v1 import ranking_pb2
from services.gateway import ledger
from tests.support.queue_world import CATALOGUE, GraderKey, QueueWorld, statement, tasks_of

pytestmark = pytest.mark.usefixtures("rows")

TASK = tasks_of("image")[0]
OTHER = tasks_of("image")[1]
ARCHIVE = "e" * 64
EXPECTED = ledger.Expected(ARCHIVE, CATALOGUE.id, CATALOGUE.metric_of(TASK.id))


@pytest.fixture
def world(tmp_path):
    world = QueueWorld(tmp_path)
    yield world
    world.close()


def entry(key, value=50.0, signed=None, **changes):
    """A score entry; ``signed`` changes what the statement says, ``changes`` what the entry."""
    said = statement("sub-1", TASK.id, ARCHIVE, 50.0, **(signed or {}))
    fields = {
        "submission_id": "sub-1",
        "task_id": TASK.id,
        "value": value,
        "item_count": 100,
        "missing_count": 0,
        "envelope": key.sign(said),
    }
    return ranking_pb2.ScoreEntry(**(fields | changes))


def append(world, score):
    with world.database.write() as connection:
        return ledger.append_score(connection, world.now, score, EXPECTED, [world.key.public])


def read_all(world):
    with world.database.read() as connection:
        return ledger.read_after(connection, 0)


class TestAppend:
    def test_a_true_score_is_taken(self, world):
        assert append(world, entry(world.key)) == 1
        (taken,) = read_all(world)
        assert (taken.position, taken.score.value, taken.score.task_id) == (1, 50.0, TASK.id)

    @pytest.mark.parametrize(
        ("what", "changes"),
        [
            ("value", {"value": float("nan")}),
            ("value", {"value": float("inf")}),
            ("value", {"value": -1.0}),
            ("value", {"value": 100.1}),
            ("standard-error", {"standard_error": float("nan")}),
            ("standard-error", {"standard_error": -0.5}),
            ("counts", {"item_count": 0}),
            ("counts", {"missing_count": 101}),
            ("envelope", {"envelope": b""}),
            ("envelope", {"envelope": b"{}"}),
            ("signed-value", {"value": 50.1}),
            ("signed-error", {"standard_error": 0.5}),
            ("signed-counts", {"item_count": 99}),
            ("submission", {"submission_id": "sub-2"}),
            ("task", {"task_id": OTHER.id}),
        ],
    )
    def test_an_entry_that_is_not_what_was_signed_is_refused(self, world, what, changes):
        with pytest.raises(ScoreRefused) as refused:
            append(world, entry(world.key, **changes))
        assert refused.value.metadata["what"] == what
        assert read_all(world) == []

    @pytest.mark.parametrize(
        ("what", "signed"),
        [
            ("archive", {"archive_sha256": "f" * 64}),
            ("catalogue", {"catalogue_id": "another"}),
            ("metric", {"metric_id": "another"}),
            ("metric-version", {"metric_version": 99}),
        ],
    )
    def test_a_statement_about_something_else_is_refused(self, world, what, signed):
        with pytest.raises(ScoreRefused) as refused:
            append(world, entry(world.key, signed=signed))
        assert refused.value.metadata["what"] == what

    def test_a_stranger_cannot_sign(self, world):
        with pytest.raises(ScoreRefused) as refused:
            append(world, entry(GraderKey()))
        assert refused.value.metadata["what"] == "signature"

    def test_a_refusal_leaves_no_gap(self, world):
        append(world, entry(world.key))
        with pytest.raises(ScoreRefused):
            append(world, entry(GraderKey()))
        assert append(world, entry(world.key)) == 2

    def test_parallel_writers_leave_no_gap(self, world):
        score = entry(world.key)
        threads = [
            threading.Thread(target=lambda: [append(world, score) for _ in range(10)])
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [one.position for one in read_all(world)] == list(range(1, 81))


class TestRead:
    def test_from_a_position_on_and_in_pages(self, world):
        for _ in range(5):
            append(world, entry(world.key))
        with world.database.read() as connection:
            page = ledger.read_after(connection, 1, limit=2)
            assert ledger.read_head(connection) == 5
        assert [one.position for one in page] == [2, 3]

    def test_the_newest_edition_of_each_task(self, world):
        append(world, entry(world.key))
        append(world, entry(world.key, 60.0, signed={"value": 60.0}))
        with world.database.read() as connection:
            (score,) = ledger.scores_of(connection, "sub-1")
            assert ledger.scores_of(connection, "sub-2") == []
        assert score.value == 60.0

    def test_who_signed(self, world):
        stranger = GraderKey().public
        keys = [stranger, world.key.public]
        assert ledger.signers_of([entry(world.key)], keys) == [world.key.public]

    def test_a_withdrawal_is_an_entry(self, world):
        with world.database.write() as connection:
            ledger.append_withdrawal(connection, world.now, "sub-1", "by-lab")
        (one,) = read_all(world)
        assert (one.withdrawal.submission_id, one.withdrawal.reason) == ("sub-1", "by-lab")
