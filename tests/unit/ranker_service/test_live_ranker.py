"""The live ranker against a real gateway over sockets, with real signed statements."""

from __future__ import annotations

import asyncio
import urllib.request
from contextlib import asynccontextmanager

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from general_level.v1 import leaderboard_pb2
from services.gateway import publishing
from services.gateway.states import State
from services.ranker.app import Ranker
from services.ranker.formulas.conventions import Convention
from services.ranker.settings import Settings
from tests.support.queue_rig import IMAGE, Rig, call
from tests.support.queue_world import CATALOGUE, GraderKey, QueueWorld

BOARD = "B-image"


@pytest.fixture
async def rig(tmp_path):
    world = QueueWorld(tmp_path)
    rig = Rig(world, tmp_path)
    await rig.start()
    yield rig
    await rig.stop()
    world.close()


@asynccontextmanager
async def ranking(rig, *keys, checkpoint=None):
    settings = Settings(
        gateway=f"127.0.0.1:{rig.port}",
        token=rig.secret("ranker"),
        trusted_keys=keys or (rig.world.key.public,),
        catalogue=CATALOGUE.id,
        references=None,
        convention=Convention.GENERAL_LEVEL,
        metrics_port=0,
        metrics_host="127.0.0.1",
        tls=None,
        health_address="127.0.0.1:0",
        checkpoint=checkpoint,
    )
    ranker = Ranker(settings, rig.world.clock)
    ranker.metrics_port = await ranker.start()
    yield ranker
    await ranker.stop()


def submit(rig, model="Model", tasks=IMAGE[:2]):
    return rig.world.add_submission(rig.world.add_lab(), tasks, BOARD, model)


async def grade(rig, value=50.0):
    for lease in await rig.lease(10):
        await rig.complete(lease, value)


def watch(rig):
    request = leaderboard_pb2.WatchStandingsRequest(board_id=BOARD)
    return rig.leaderboard.WatchStandings(request)


async def next_standings(stream):
    return (await asyncio.wait_for(stream.read(), 30)).standings


class TestRanker:
    async def test_what_is_graded_appears_on_open_boards(self, rig):
        submission = submit(rig)
        boards = watch(rig)
        async with ranking(rig):
            await grade(rig)
            standings = await next_standings(boards)
            (row,) = standings.standings
            assert (row.submission_id, row.supported_tasks) == (submission, 2)
            assert row.scores.s2 > 0
            assert rig.world.submission(submission).state == State.PUBLISHED

            better = submit(rig, "Better", IMAGE[:3])
            await grade(rig, 90.0)
            standings = await next_standings(boards)
            assert [row.submission_id for row in standings.standings] == [better, submission]
        boards.cancel()

    async def test_at_its_start_it_replays_the_ledger(self, rig):
        submissions = [submit(rig, f"Model {number}") for number in range(3)]
        await grade(rig)
        boards = watch(rig)
        async with ranking(rig):
            standings = await next_standings(boards)
            assert {row.submission_id for row in standings.standings} == set(submissions)
            answer = await call(
                rig.leaderboard.GetStandings(
                    leaderboard_pb2.GetStandingsRequest(board_id="D-I-C-1")
                )
            )
            assert answer.standings.board_id == "D-I-C-1"
        boards.cancel()

    async def test_a_new_start_publishes_only_what_is_new(self, rig):
        submit(rig)
        await grade(rig)
        boards = watch(rig)
        async with ranking(rig):
            first = await next_standings(boards)
        late = submit(rig, "Late")
        await grade(rig)
        async with ranking(rig):
            second = await next_standings(boards)
        boards.cancel()
        assert len(first.standings) == 1
        assert late in {row.submission_id for row in second.standings}
        # The same ledger gives the same bytes: a third start stores nothing.
        with rig.world.database.read() as connection:
            before = publishing.current_publication(connection, BOARD)
        async with ranking(rig) as third:
            await asyncio.wait_for(third.watcher.ready.wait(), 30)
        with rig.world.database.read() as connection:
            assert publishing.current_publication(connection, BOARD) == before

    async def test_a_new_start_verifies_only_what_is_new(self, rig, tmp_path):
        checkpoint = tmp_path / "checkpoint"
        submit(rig)
        await grade(rig)
        async with ranking(rig, checkpoint=checkpoint) as first:
            await asyncio.wait_for(first.watcher.ready.wait(), 30)
            assert first.verifier.count == 2
            position = first.watcher.published_position
        submit(rig, "Late", IMAGE[:3])
        await grade(rig)
        boards = watch(rig)
        async with ranking(rig, checkpoint=checkpoint) as second:
            await next_standings(boards)
            assert len((await next_standings(boards)).standings) == 2
            assert second.verifier.count == 3
            page = await asyncio.to_thread(scrape, second)
        assert f"ranker_checkpoint_position {float(position + 4)}" in page
        boards.cancel()

    @pytest.mark.parametrize("submissions", [1, 2, 3])
    async def test_a_checkpoint_of_another_ledger_is_not_believed(self, rig, tmp_path, submissions):
        """It is shorter than the checkpoint, or as long, or longer: all of it is verified."""
        (tmp_path / "other").mkdir()
        world = QueueWorld(tmp_path / "other")
        other = Rig(world, tmp_path / "other")
        await other.start()
        keys = (rig.world.key.public, world.key.public)
        checkpoint = tmp_path / "checkpoint"
        try:
            for number in range(2):
                submit(other, f"Model {number}")
            await grade(other)
            async with ranking(other, *keys, checkpoint=checkpoint) as first:
                await asyncio.wait_for(first.watcher.ready.wait(), 30)
        finally:
            await other.stop()
            world.close()
        for number in range(submissions):
            submit(rig, f"Model {number}")
        await grade(rig)
        async with ranking(rig, *keys, checkpoint=checkpoint) as second:
            await asyncio.wait_for(second.watcher.ready.wait(), 30)
            assert second.verifier.count >= 2 * submissions
            assert second.watcher.published_position == 3 * submissions

    async def test_an_untrusted_statement_fails_the_submission(self, rig):
        submission = submit(rig)
        await grade(rig)
        changed = asyncio.create_task(
            rig.signals.wait(rig.signals.subscribe(f"submission/{submission}"), 30)
        )
        async with ranking(rig, GraderKey().public) as ranker:
            assert await changed
            row = rig.world.submission(submission)
            assert (row.state, row.failure_reason) == (State.FAILED, "statement-refused")
            page = await asyncio.to_thread(scrape, ranker)
        assert 'ranker_statements_refused_total{what="signature"} 2.0' in page

    async def test_it_connects_again_when_the_gateway_comes_back(self, rig, tmp_path):
        submit(rig)
        await grade(rig)
        boards = watch(rig)
        async with ranking(rig):
            await next_standings(boards)
            await rig.server.stop(0)
            back = Rig(rig.world, tmp_path, port=rig.port)
            await back.start()
            boards = watch(back)
            await next_standings(boards)
            late = submit(back, "Late")
            for lease in await back.lease(10):
                await back.complete(lease)
            standings = await next_standings(boards)
            assert late in {row.submission_id for row in standings.standings}
            boards.cancel()
            await back.stop()

    async def test_it_is_ready_when_it_has_read_the_whole_ledger(self, rig, tmp_path):
        submit(rig)
        await grade(rig)
        await rig.server.stop(0)
        async with (
            ranking(rig) as ranker,
            grpc.aio.insecure_channel(f"127.0.0.1:{ranker.health.port}") as channel,
        ):
            health = health_pb2_grpc.HealthStub(channel)
            alive = await health.Check(health_pb2.HealthCheckRequest(service="live"))
            assert alive.status == health_pb2.HealthCheckResponse.SERVING
            ready = health.Watch(health_pb2.HealthCheckRequest(service="ready"))
            assert (await ready.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
            back = Rig(rig.world, tmp_path, port=rig.port)
            await back.start()
            state = (await asyncio.wait_for(ready.read(), 30)).status
            assert state == health_pb2.HealthCheckResponse.SERVING
            assert ranker.watcher.caught_up.is_set()
            ready.cancel()
        await back.stop()

    async def test_its_telemetry(self, rig):
        submit(rig)
        await grade(rig)
        boards = watch(rig)
        async with ranking(rig) as ranker:
            await next_standings(boards)
            late = submit(rig, "Late")
            await grade(rig)
            await next_standings(boards)
            boards.cancel()
            # The second publication is stored, so the first was counted.
            page = await asyncio.to_thread(scrape, ranker)
        assert late
        assert "ranker_ledger_lag_entries" in page
        assert "ranker_compute_seconds_count" in page
        assert "ranker_publications_total 1.0" in page or "ranker_publications_total 2.0" in page
        assert 'ranker_models_by_level{board_scope="B",level="5"}' in page


def scrape(ranker):
    with urllib.request.urlopen(f"http://127.0.0.1:{ranker.metrics_port}/metrics") as answer:
        return answer.read().decode()
