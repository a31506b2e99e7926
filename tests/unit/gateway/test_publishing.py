"""Publications go forward only, keep what changed, and publish what is complete."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, insert, select

from general_level.errors import DigestMismatch, IllegalTransition, InvalidRequest, UnknownBoard
from general_level.v1 import ranking_pb2
from general_level.wire import to_timestamp
from services.gateway import publishing
from services.gateway.states import State
from services.gateway.storage.tables import publications, standings
from tests.support.gateway import START, running
from tests.support.queue_world import CATALOGUE, QueueWorld, tasks_of
from tests.support.snapshots import ROW, snapshot

pytestmark = pytest.mark.usefixtures("rows")

IMAGE = tasks_of("image")


@pytest.fixture
def world(tmp_path):
    world = QueueWorld(tmp_path)
    yield world
    world.close()


def publish(world, position, *boards, refused=()):
    request = ranking_pb2.PublishStandingsRequest(
        ledger_position=position,
        compute_time=to_timestamp(world.now),
        boards=boards,
        refused_submission_ids=refused,
    )
    with world.database.write() as connection:
        return publishing.publish(connection, world.now, request, CATALOGUE.boards)


def current(world, board_id="A-full"):
    with world.database.read() as connection:
        return publishing.current(connection, board_id)


def graded(world):
    """A submission in RANKING; its completion is the newest entry of the ledger."""
    submission = world.add_submission(world.add_lab(), IMAGE[:1])
    (leased,) = world.lease()
    world.complete(leased)
    return submission


class TestPublish:
    def test_what_is_complete_at_the_position_is_published(self, world):
        early, late = graded(world), graded(world)
        assert world.submission(early).ledger_position == 2

        done = publish(world, 3, snapshot())

        assert done.published_ids == (early,)
        assert world.submission(early).state == State.PUBLISHED
        assert world.submission(late).state == State.RANKING
        assert world.quota(early) == "commit"
        assert publish(world, 4).published_ids == (late,)

    def test_a_refused_statement_fails_the_submission_and_costs_nothing(self, world):
        good, bad = graded(world), graded(world)

        done = publish(world, 4, refused=[bad, "sub-unknown"])

        assert (done.published_ids, done.failed_ids) == ((good,), (bad,))
        assert world.submission(bad).failure_reason == "statement-refused"
        assert world.quota(bad) == "refund"

    def test_an_older_position_is_refused_and_told_the_newest(self, world):
        graded(world)
        publish(world, 2, snapshot(position=2))
        with pytest.raises(IllegalTransition) as refused:
            publish(world, 1, snapshot(position=1))
        assert refused.value.metadata["published_position"] == "2"
        assert publishing.to_standings(current(world)).ledger_position == 2

    def test_the_same_position_may_be_published_again(self, world):
        graded(world)
        publish(world, 2, snapshot(position=2))
        again = publish(world, 2, snapshot(position=2, convention="other"))
        assert again.board_ids == ("A-full",)

    def test_only_changed_snapshots_are_stored(self, world):
        graded(world)
        publish(world, 1, snapshot(), snapshot("A-quick"))
        done = publish(world, 2, snapshot(), snapshot("A-quick", position=2))
        assert done.board_ids == ("A-quick",)
        with world.database.read() as connection:
            assert connection.scalar(select(func.count()).select_from(standings)) == 3

    @pytest.mark.parametrize(
        ("board", "error"),
        [
            (snapshot("E-nothing"), UnknownBoard),
            (ranking_pb2.BoardSnapshot(board_id="A-full", snapshot=b"{}"), DigestMismatch),
            (snapshot(format="general-level/standings/v9"), InvalidRequest),
            (snapshot(rows=[{}]), InvalidRequest),
            (snapshot(rows=[{**ROW, "published_at": "noon"}]), InvalidRequest),
        ],
    )
    def test_a_snapshot_that_nobody_could_read_publishes_nothing(self, world, board, error):
        submission = graded(world)
        with pytest.raises(error):
            publish(world, 2, snapshot(), board)
        assert world.submission(submission).state == State.RANKING
        assert current(world) is None

    def test_a_position_beyond_the_ledger_is_refused(self, world):
        with pytest.raises(InvalidRequest):
            publish(world, 1)


class TestCurrent:
    def test_none_before_the_first(self, world):
        assert current(world) is None
        with world.database.read() as connection:
            assert publishing.current_publication(connection, "A-full") == 0

    def test_the_newest_as_a_message(self, world):
        graded(world)
        publish(world, 1, snapshot(rows=[]))
        world.clock.advance(timedelta(seconds=1))
        newest = snapshot(position=2)
        publish(world, 2, newest)

        stored = current(world)
        message = publishing.to_standings(stored)

        assert stored.publish_time == world.now
        assert (message.snapshot_sha256, message.ledger_position) == (newest.sha256, 2)
        (row,) = message.standings
        assert (row.rank, row.level, row.scores.s3) == (1, 3, 5.0)
        assert not row.scores.HasField("s4")
        assert (row.interval.low, row.interval.high) == (4.0, 6.0)
        assert row.modalities[0].scores.s2 == 10.0
        assert not row.modalities[0].scores.HasField("s4")
        image = row.modalities[0]
        assert (image.supported_tasks, image.task_count, image.winning_tasks) == (2, 6, 1)
        assert row.indistinguishable_from_previous

    def test_a_snapshot_of_the_form_before_has_no_counts(self, world):
        graded(world)
        of = {"s2": 10.0, "s3": 5.0, "s4": None}
        row = {**ROW, "by_modality": {"image": of}}
        publish(world, 1, snapshot(rows=[row], format="general-level/standings/v1"))
        (told,) = publishing.to_standings(current(world)).standings[0].modalities
        assert told.scores.s2 == 10.0
        assert not told.HasField("supported_tasks")

    def test_no_interval_where_there_is_none(self, world):
        graded(world)
        publish(world, 1, snapshot(rows=[{**ROW, "intervals": {}}]))
        (row,) = publishing.to_standings(current(world)).standings
        assert not row.HasField("interval")


class TestPrune:
    def stored(self, world):
        with world.database.read() as connection:
            rows = connection.execute(
                select(standings.c.board_id, standings.c.publication_id).order_by(
                    standings.c.board_id, standings.c.publication_id
                )
            )
            return [tuple(row) for row in rows]

    def publications(self, world):
        with world.database.read() as connection:
            return list(connection.scalars(select(publications.c.publication_id)))

    def prune(self, world, kept, limit=100):
        with world.database.write() as connection:
            return publishing.prune(connection, kept, limit)

    def publish_six(self, world):
        """A-full in the publications 1 to 5, B-image in the first, nothing in the sixth."""
        for _ in range(3):
            graded(world)
        publish(world, 1, snapshot(position=1), snapshot("B-image", position=1))
        for position in range(2, 6):
            publish(world, position, snapshot(position=position))
        publish(world, 6)

    def test_the_newest_of_each_board_stay_and_what_they_refer_to(self, world):
        self.publish_six(world)
        newest = current(world), current(world, "B-image")

        assert self.prune(world, 2) == 3

        assert self.stored(world) == [("A-full", 4), ("A-full", 5), ("B-image", 1)]
        assert self.publications(world) == [1, 4, 5, 6]
        assert (current(world), current(world, "B-image")) == newest
        assert self.prune(world, 2) == 0

    def test_the_position_that_is_published_is_never_forgotten(self, world):
        self.publish_six(world)
        self.prune(world, 1)
        with pytest.raises(IllegalTransition) as refused:
            publish(world, 5)
        assert refused.value.metadata["published_position"] == "6"

    def test_a_round_removes_at_most_so_many_the_oldest_first(self, world):
        self.publish_six(world)
        assert [self.prune(world, 1, limit=3) for _ in range(3)] == [3, 1, 0]
        assert self.stored(world) == [("A-full", 5), ("B-image", 1)]

    def test_nothing_published_is_nothing_to_remove(self, world):
        assert self.prune(world, 1) == 0

    async def test_the_platform_does_it_by_itself_with_the_setting(self, tmp_path):
        async with running(tmp_path, snapshots_kept=1) as gateway:
            with gateway.gateway.database.write() as connection:
                for number in (1, 2):
                    connection.execute(
                        insert(publications).values(
                            publication_id=number, ledger_position=0,
                            compute_time=START, publish_time=START,
                        )
                    )  # fmt: skip
                    connection.execute(
                        insert(standings).values(
                            board_id="A-full", publication_id=number, snapshot=b"{}", sha256="a"
                        )
                    )
            await gateway.gateway.maintenance.clear()
            with gateway.gateway.database.read() as connection:
                assert list(connection.scalars(select(standings.c.publication_id))) == [2]
