"""Queue, ledger and standings over real sockets: long polls, streams, fencing, redelivery."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import zipfile
from datetime import timedelta

import grpc
import pytest
import structlog

from general_level.errors import (
    InvalidRequest,
    LeaseLost,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    OffsetMismatch,
    ResourceExhausted,
    ScoreRefused,
    UnknownBoard,
)
from general_level.v1 import (
    catalogue_pb2,
    grading_pb2,
    leaderboard_pb2,
    ranking_pb2,
)
from general_level.wire import from_rpc_error
from services.gateway import submissions
from services.gateway.endings import LACKING_WAIT_MAX
from services.gateway.predictions import CHUNK_BYTES
from services.gateway.public_folder import CommitmentsUnreadable
from services.gateway.rpc.leaderboard import LeaderboardServicer
from services.gateway.states import State
from services.kit.logging import configure_logging
from tests.support.queue_rig import IMAGE, Rig, call, ref
from tests.support.queue_world import CATALOGUE, JOB, LEASE, QueueWorld
from tests.support.snapshots import snapshot

pytestmark = pytest.mark.usefixtures("stores")


@pytest.fixture
async def rig(tmp_path):
    world = QueueWorld(tmp_path)
    rig = Rig(world, tmp_path)
    await rig.start()
    yield rig
    await rig.stop()
    world.close()


@pytest.fixture(autouse=True)
def default_logging():
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


class TestTokens:
    async def test_a_token_is_bound_to_its_modality_and_kind(self, rig):
        rig.world.add_submission(rig.world.add_lab(), IMAGE[:1])
        with pytest.raises(NotPermitted):
            await rig.lease(modality="video")
        for kind in ("lab", "ranker"):
            with pytest.raises(NotPermitted):
                await rig.lease(kind=kind)
        with pytest.raises(NotAuthenticated):
            await call(rig.grading.LeaseJobs(grading_pb2.LeaseJobsRequest(modality="image")))
        assert len(await rig.lease()) == 1

    async def test_a_request_without_metrics_is_refused(self, rig):
        request = grading_pb2.LeaseJobsRequest(modality="image", grader_id="grader-1")
        with pytest.raises(InvalidRequest):
            await call(rig.grading.LeaseJobs(request, metadata=rig.token("grader")))


class TestTelemetry:
    async def test_each_call_of_a_grader_is_counted_once(self, rig):
        rig.world.add_submission(rig.world.add_lab(), IMAGE[:3])
        scored, failed, released = await rig.lease(3)
        assert len(await rig.kept(scored, failed)) == 2
        await rig.complete(scored)
        await rig.complete(scored)  # as after an answer that was lost
        fail = grading_pb2.FailJobRequest(
            lease=ref(failed), fault=grading_pb2.JOB_FAULT_OUT_OF_MEMORY
        )
        await call(rig.grading.FailJob(fail, metadata=rig.token("grader")))
        with pytest.raises(LeaseLost):
            await call(rig.grading.FailJob(fail, metadata=rig.token("grader")))
        back = grading_pb2.ReleaseJobsRequest(leases=[ref(released), ref(failed)])
        await call(rig.grading.ReleaseJobs(back, metadata=rig.token("grader")))

        def count(name, **labels):
            labels = {"modality": "image", **labels}
            return rig.telemetry.registry.get_sample_value(f"gateway_{name}", labels)

        assert count("leases_granted_total") == 3
        assert count("job_wait_seconds_count") == 3
        assert count("leases_renewed_total") == 2
        assert count("leases_released_total") == 1
        assert count("job_attempts_total", outcome="scored") == 1
        assert count("job_attempts_total", outcome="out-of-memory") == 1
        assert count("job_attempts_total", outcome="refused") == 0


class TestLongPoll:
    async def test_an_idle_grader_gets_a_new_job_at_once(self, rig):
        lab = rig.world.add_lab()
        waiting = asyncio.create_task(rig.lease(wait=20))
        await rig.signals.waited_for("jobs/image")
        await asyncio.to_thread(rig.world.add_submission, lab, IMAGE[:1])
        rig.signals.notify("jobs/image")

        (lease,) = await asyncio.wait_for(waiting, 10)

        assert lease.lease_duration.ToTimedelta() == LEASE
        assert lease.job_duration.ToTimedelta() == JOB
        assert (lease.attempt, lease.catalogue_id) == (1, CATALOGUE.id)

    async def test_work_of_another_replica_is_seen_without_a_signal(self, rig, tmp_path):
        replica = Rig(rig.world, tmp_path, poll_seconds=0.05)
        await replica.start()
        waiting = asyncio.create_task(replica.lease(wait=20))
        await replica.signals.waited_for("jobs/image")
        await asyncio.to_thread(rig.world.add_submission, rig.world.add_lab(), IMAGE[:1])
        assert len(await asyncio.wait_for(waiting, 10)) == 1
        await replica.stop()

    async def test_a_grader_that_hangs_up_while_it_is_served_costs_no_attempt(self, rig):
        rig.world.add_submission(rig.world.add_lab(), IMAGE[:1])
        with rig.world.database.write():
            # The lease waits for this transaction; the grader does not wait for the lease.
            gone = asyncio.create_task(rig.lease())
            await asyncio.wait_for(rig.world.database.write_asked.wait(), 10)
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)
            await rig.settled()
        (lease,) = await rig.lease(wait=20)
        assert lease.attempt == 1

    async def test_an_empty_answer_after_the_wait(self, rig):
        assert await asyncio.wait_for(rig.lease(wait=0.2), 5) == []


class TestJob:
    async def test_from_lease_to_ranking(self, rig):
        submission = rig.world.add_submission(rig.world.add_lab(), IMAGE[:2])
        first, last = await rig.lease(2)
        assert await rig.kept(first, last) == sorted([first.job_id, last.job_id])
        await rig.complete(first)
        await rig.complete(last)
        assert rig.world.submission(submission).state == State.RANKING

    async def test_an_old_lease_completes_nothing(self, rig):
        submission = rig.world.add_submission(rig.world.add_lab(), IMAGE[:1])
        (old,) = await rig.lease()
        rig.world.clock.advance(LEASE)
        assert await rig.kept(old) == []
        rig.world.expire()
        (new,) = await rig.lease()
        with pytest.raises(LeaseLost):
            await rig.complete(old, 99.0)
        await rig.complete(new, 42.0)
        await rig.complete(new, 42.0)
        with pytest.raises(LeaseLost):
            await rig.complete(old, 99.0)
        assert rig.world.result(submission, new.task_id).value == 42.0
        assert rig.world.submission(submission).tasks_done == 1

    async def test_a_withdrawal_stops_the_work_at_the_next_beat(self, rig):
        lab = rig.world.add_lab()
        submission = rig.world.add_submission(lab, IMAGE[:1])
        leased = await rig.lease()
        with rig.world.database.write() as connection:
            submissions.cancel(connection, rig.world.now, lab, submission)
        assert await rig.kept(*leased) == []

    async def test_a_refusal_names_the_whole_path_in_our_words(self, rig):
        submission = rig.world.add_submission(rig.world.add_lab(), IMAGE[:1])
        (lease,) = await rig.lease()
        request = grading_pb2.CompleteJobRequest(lease=ref(lease))
        request.refused.findings.add(code="GL177", path="a.png", message="leaked", remedy="leaked")
        request.refused.findings.add(code="GL999")
        await call(rig.grading.CompleteJob(request, metadata=rig.token("grader")))

        row = rig.world.submission(submission)
        assert row.state == State.REJECTED
        (finding,) = json.loads(row.findings)
        assert finding["path"] == f"{IMAGE[0].archive_path}/a.png"
        assert b"leaked" not in row.findings

    async def test_a_fault_is_retried_and_a_release_is_free(self, rig):
        rig.world.add_submission(rig.world.add_lab(), IMAGE[:1])
        (lease,) = await rig.lease()
        fault = grading_pb2.FailJobRequest(
            lease=ref(lease), fault=grading_pb2.JOB_FAULT_OUT_OF_MEMORY
        )
        answer = await call(rig.grading.FailJob(fault, metadata=rig.token("grader")))
        assert answer.will_retry
        rig.world.clock.advance(timedelta(minutes=1))
        (again,) = await rig.lease()
        release = grading_pb2.ReleaseJobsRequest(leases=[ref(again)])
        await call(rig.grading.ReleaseJobs(release, metadata=rig.token("grader")))
        assert [(one.job_id, one.attempt) for one in await rig.lease()] == [(lease.job_id, 2)]


class TestPublishedCommitments:
    """The statements of `queue_world` name version 1 and a commitment of 64 letters c."""

    def publish(self, rig, commitment, key_version="1"):
        entry = {
            "task_id": IMAGE[0].id, "key_version": key_version, "commitment": commitment,
            "item_count": 100, "modality": "image",
        }  # fmt: skip
        (rig.public / "commitments.json").write_text(json.dumps([entry]))

    @pytest.mark.parametrize(("commitment", "version"), [("d" * 64, "1"), ("c" * 64, "2")])
    async def test_a_score_of_another_key_is_refused_and_waits_for_the_right_one(
        self, rig, commitment, version
    ):
        logged = io.StringIO()
        configure_logging("test", stream=logged)
        submission = rig.world.add_submission(rig.world.add_lab(), IMAGE[:1])
        self.publish(rig, commitment, version)
        (lease,) = await rig.lease()
        with pytest.raises(ScoreRefused) as caught:
            await rig.complete(lease)
        assert caught.value.metadata["what"] == "key-commitment"
        assert rig.world.result(submission, IMAGE[0].id).value is None
        (line,) = [
            event for event in map(json.loads, logged.getvalue().splitlines())
            if event["event"] == "score of a key that is not the published one"
        ]  # fmt: skip
        assert (line["level"], line["task_id"]) == ("error", IMAGE[0].id)

        # The list is read anew: the attempt was not used, and the right key scores.
        self.publish(rig, "c" * 64)
        assert await rig.lease() == []
        rig.world.clock.advance(LACKING_WAIT_MAX)
        (again,) = await rig.lease()
        assert again.attempt == 1
        await rig.complete(again)
        assert rig.world.submission(submission).state == State.RANKING

    async def test_a_list_that_is_cut_off_takes_no_score_and_loses_none(self, rig):
        rig.world.add_submission(rig.world.add_lab(), IMAGE[:1])
        (lease,) = await rig.lease()
        (rig.public / "commitments.json").write_text("[{")
        with pytest.raises(CommitmentsUnreadable):
            await rig.complete(lease)
        self.publish(rig, "c" * 64)
        await rig.complete(lease)


class TestReadPredictions:
    def archive(self):
        """Two tasks; the first with a member of several chunks, prediction.json not in front."""
        buffer = io.BytesIO()
        big = bytes(range(256)) * 4096
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as file:
            file.writestr(f"{IMAGE[0].archive_path}/media/big.bin", big)
            file.writestr(f"{IMAGE[0].archive_path}/media/empty.bin", b"")
            deflated = zipfile.ZipInfo(f"{IMAGE[0].archive_path}/prediction.json")
            file.writestr(deflated, b"[1]" * 1000, zipfile.ZIP_DEFLATED)
            file.writestr(f"{IMAGE[1].archive_path}/prediction.json", b"[2]")
        return buffer.getvalue(), big

    @pytest.mark.parametrize("part_bytes", [100_003, 10**9])
    async def test_only_the_tasks_members_and_the_predictions_first(self, rig, part_bytes):
        submission = rig.world.add_submission(rig.world.add_lab(), IMAGE[:2])
        archive, big = self.archive()
        rig.store_archive(submission, archive, part_bytes)
        leased = {lease.task_id: lease for lease in await rig.lease(2)}

        members = await rig.read(leased[IMAGE[0].id])

        assert members == [
            ["prediction.json", 3000, b"[1]" * 1000, 1],
            ["media/big.bin", len(big), big, len(big) // CHUNK_BYTES],
            ["media/empty.bin", 0, b"", 1],
        ]
        assert await rig.read(leased[IMAGE[1].id]) == [["prediction.json", 3, b"[2]", 1]]

    async def test_it_needs_the_lease(self, rig):
        submission = rig.world.add_submission(rig.world.add_lab(), IMAGE[:1])
        rig.store_archive(submission, self.archive()[0], 10**9)
        (lease,) = await rig.lease()
        rig.world.clock.advance(LEASE)
        with pytest.raises(LeaseLost):
            await rig.read(lease)

    async def test_a_damaged_member_ends_as_a_finding(self, rig):
        submission = rig.world.add_submission(rig.world.add_lab(), IMAGE[:1])
        archive, big = self.archive()
        broken = bytearray(archive)
        broken[archive.index(big) + len(big) // 2] ^= 0xFF
        rig.store_archive(submission, bytes(broken), 10**9)
        (lease,) = await rig.lease()

        with pytest.raises(LeaseLost):
            await rig.read(lease)

        row = rig.world.submission(submission)
        (finding,) = json.loads(row.findings)
        assert row.state == State.REJECTED
        assert finding["code"] == "GL121"
        assert finding["path"].endswith("media/big.bin")
        assert rig.world.quota(submission) == "refund"


class TestRanking:
    async def test_the_stream_replays_then_follows(self, rig):
        rig.world.add_submission(rig.world.add_lab(), IMAGE[:2])
        one, two = await rig.lease(2)
        await rig.complete(one)
        stream = rig.watch_scores()
        replayed = await asyncio.wait_for(stream.read(), 5)
        assert [entry.position for entry in replayed.entries] == [1]
        assert replayed.head_position == 1

        await rig.complete(two)
        followed = await asyncio.wait_for(stream.read(), 10)
        assert [entry.WhichOneof("entry") for entry in followed.entries] == ["score", "completion"]
        stream.cancel()

    async def test_an_empty_ledger_is_said_at_once(self, rig):
        stream = rig.watch_scores()
        message = await asyncio.wait_for(stream.read(), 5)
        assert (len(message.entries), message.head_position) == (0, 0)
        stream.cancel()

    async def test_a_reader_continues_where_it_was(self, rig):
        rig.world.add_submission(rig.world.add_lab(), IMAGE[:3])
        for lease in await rig.lease(3):
            await rig.complete(lease)
        stream = rig.watch_scores(after=3)
        message = await asyncio.wait_for(stream.read(), 5)
        assert [entry.position for entry in message.entries] == [4]
        stream.cancel()

    async def test_it_shows_that_it_lives(self, rig, tmp_path):
        quick = Rig(rig.world, tmp_path, poll_seconds=0.01)
        await quick.start()
        stream = quick.watch_scores()
        heads = [(await asyncio.wait_for(stream.read(), 10)).head_position for _ in range(3)]
        assert heads == [0, 0, 0]
        stream.cancel()
        await quick.stop()

    async def test_only_a_ranker(self, rig):
        stream = rig.ranking.WatchScores(
            ranking_pb2.WatchScoresRequest(), metadata=rig.token("grader")
        )
        with pytest.raises(NotPermitted):
            await call(stream.read())


class TestLeaderboard:
    async def test_watchers_see_a_publication_at_once(self, rig):
        submission = rig.world.add_submission(rig.world.add_lab(), IMAGE[:1])
        for lease in await rig.lease():
            await rig.complete(lease)
        watch = rig.leaderboard.WatchStandings(
            leaderboard_pb2.WatchStandingsRequest(board_id="A-full")
        )
        reading = asyncio.create_task(watch.read())
        await rig.signals.waited_for("standings/A-full")

        answer = await rig.publish(2, snapshot(position=2), snapshot("A-quick", position=2))
        message = await asyncio.wait_for(reading, 10)

        assert answer.published_submissions == 1
        assert message.standings.ledger_position == 2
        assert rig.world.submission(submission).state == State.PUBLISHED
        await rig.publish(2, snapshot(position=2, tasks=11))
        message = await asyncio.wait_for(watch.read(), 10)
        assert message.standings.task_count == 11
        watch.cancel()

    async def test_watchers_leave_places_for_others(self, rig):
        await rig.publish(0, snapshot())
        leaderboard = LeaderboardServicer(
            database=rig.world.database, signals=rig.signals, catalogue=CATALOGUE, watchers_max=1
        )
        request = leaderboard_pb2.WatchStandingsRequest(board_id="A-full")
        first = leaderboard.WatchStandings(request, None)
        await anext(first)
        with pytest.raises(ResourceExhausted):
            await anext(leaderboard.WatchStandings(request, None))
        await first.aclose()
        again = leaderboard.WatchStandings(request, None)
        await anext(again)
        await again.aclose()

    async def test_get(self, rig):
        request = leaderboard_pb2.GetStandingsRequest(board_id="A-full")
        with pytest.raises(NotFound):
            await call(rig.leaderboard.GetStandings(request))
        with pytest.raises(UnknownBoard):
            await call(
                rig.leaderboard.GetStandings(leaderboard_pb2.GetStandingsRequest(board_id="Z"))
            )
        rig.world.add_submission(rig.world.add_lab(), [])
        board = snapshot()
        await rig.publish(1, board)
        answer = await call(rig.leaderboard.GetStandings(request))
        assert answer.standings.snapshot_sha256 == board.sha256


class TestCatalogue:
    async def test_all_tasks_and_boards(self, rig):
        answer = await call(rig.catalogue.GetCatalogue(catalogue_pb2.GetCatalogueRequest()))
        assert len(answer.tasks) == len(CATALOGUE.tasks)
        (rig.public / "boards" / "B-image.zip").write_bytes(b"x" * 10)
        boards = await call(rig.catalogue.ListBoards(catalogue_pb2.ListBoardsRequest(scope="B")))
        sizes = {board.board_id: board.inputs_bytes for board in boards.boards}
        assert len(sizes) == 7
        assert (sizes["B-image"], sizes["B-video"]) == (10, 0)
        with pytest.raises(InvalidRequest):
            await call(rig.catalogue.ListBoards(catalogue_pb2.ListBoardsRequest(scope="X")))

    async def download(self, rig, board_id="B-image", offset=0, kind="lab"):
        request = catalogue_pb2.DownloadInputsRequest(board_id=board_id, offset=offset)
        try:
            stream = rig.catalogue.DownloadInputs(request, metadata=rig.token(kind))
            return [message async for message in stream]
        except grpc.RpcError as error:
            raise from_rpc_error(error) from error

    async def test_inputs_in_chunks_and_from_an_offset(self, rig):
        data = bytes(range(251)) * 10_000
        (rig.public / "boards" / "B-image.zip").write_bytes(data)

        messages = await self.download(rig)
        rest = await self.download(rig, offset=len(data) - 5)

        assert b"".join(message.data for message in messages) == data
        assert messages[0].total_bytes == len(data)
        assert messages[0].sha256 == hashlib.sha256(data).hexdigest()
        assert [message.data for message in rest] == [data[-5:]]
        assert (await self.download(rig, offset=len(data)))[0].total_bytes == len(data)
        with pytest.raises(OffsetMismatch):
            await self.download(rig, offset=len(data) + 1)

    async def test_a_replaced_file_has_its_own_digest(self, rig):
        path = rig.public / "boards" / "B-image.zip"
        path.write_bytes(b"one")
        await self.download(rig)
        path.write_bytes(b"three")
        (message,) = await self.download(rig)
        assert message.sha256 == hashlib.sha256(b"three").hexdigest()

    async def test_who_and_what_is_refused(self, rig):
        with pytest.raises(NotPermitted):
            await self.download(rig, kind="grader")
        with pytest.raises(UnknownBoard):
            await self.download(rig, board_id="../ids")
        with pytest.raises(NotFound):
            await self.download(rig)

    async def test_commitments(self, rig):
        list_all = catalogue_pb2.ListKeyCommitmentsRequest()
        assert not (await call(rig.catalogue.ListKeyCommitments(list_all))).commitments
        entry = {
            "task_id": IMAGE[0].id,
            "key_version": "1",
            "commitment": "a" * 64,
            "item_count": 3,
            "modality": "image",
        }
        (rig.public / "commitments.json").write_text(json.dumps([entry]))
        (one,) = (await call(rig.catalogue.ListKeyCommitments(list_all))).commitments
        assert (one.task_id, one.commitment, one.item_count) == (IMAGE[0].id, "a" * 64, 3)
