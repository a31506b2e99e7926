"""Two gateways on one PostgreSQL and one S3: each job is scored once, whatever breaks."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from general_level import errors
from general_level.client import Client
from general_level.v1 import grading_pb2
from general_level.v1 import submission_pb2 as pb
from services.gateway import uploads
from services.gateway.states import State
from services.gateway.storage.replicas import Together
from services.gateway.storage.tables import jobs, score_ledger, timeline
from services.kit.objects import Objects
from tests.support.gateway import BOARD, archive, eventually, large_archive, running
from tests.support.queue_rig import Rig, ref
from tests.support.queue_world import LEASE, QueueWorld, tasks_of
from tests.support.s3_proxy import IllS3
from tests.support.s3_server import BUCKET
from tests.support.stores import Stores, using

LABS, JOBS_OF_A_LAB = 5, 40
GRADERS = 6
IMAGE = tasks_of("image")[:JOBS_OF_A_LAB]


@pytest.fixture
def stores(postgres_server, moto_server):
    with using(Stores(postgres_server, moto_server)) as chosen:
        yield chosen


@dataclass
class Pair:
    """Two gateways' queues over one database, and the graders' hands."""

    worlds: list[QueueWorld]
    rigs: list[Rig]

    async def grade(self, number: int, scored: Counter[str]) -> None:
        """One grader, until nothing is left to lease: it takes both gateways in turn."""
        turn = number
        while True:
            turn += 1
            rig = self.rigs[turn % 2]
            try:
                leases = await rig.lease(3)
                if not leases:
                    return
                for lease in leases:
                    await self._complete(lease, turn)
                    scored[lease.job_id] += 1
            except errors.LeaseLost:
                continue
            except errors.GeneralLevelError:
                # The database is away: as a grader does, again a little later.
                await asyncio.sleep(0.05)

    async def _complete(self, lease, turn: int) -> None:
        """Says it until it is answered, at one gateway and then at the other."""
        for again in range(200):
            try:
                await self.rigs[(turn + again) % 2].complete(lease)
            except errors.LeaseLost:
                raise
            except errors.GeneralLevelError:
                await asyncio.sleep(0.05)
            else:
                return
        raise AssertionError("no gateway took the score")

    async def grade_all(self, scored: Counter[str]) -> None:
        await asyncio.gather(*(self.grade(number, scored) for number in range(GRADERS)))

    def entries(self) -> tuple[int, int, int]:
        """Scores in the ledger, those of different tasks, and completions."""
        with self.worlds[0].database.read() as connection:
            rows = connection.execute(
                select(score_ledger.c.kind, score_ledger.c.submission_id, score_ledger.c.task_id)
            ).all()
            head = connection.scalar(select(func.max(score_ledger.c.position)))
        scores = [row[1:] for row in rows if row.kind == "score"]
        assert head == len(rows), "positions have no gaps"
        return len(scores), len(set(scores)), len(rows) - len(scores)


@pytest.fixture
async def pair(stores, tmp_path):
    first = QueueWorld(tmp_path)
    second = QueueWorld(tmp_path, first.clock, first.key)
    rigs = [Rig(world, tmp_path) for world in (first, second)]
    ends = [Together(stores.rows_url(tmp_path), rig.signals) for rig in rigs]
    for rig, end in zip(rigs, ends, strict=True):
        await rig.start()
        await end.start()
        await asyncio.wait_for(end.listening.wait(), 10)
    yield Pair([first, second], rigs)
    for rig, end in zip(rigs, ends, strict=True):
        await rig.stop()
        await end.stop()
    first.close()
    second.close()


def fill(world: QueueWorld) -> None:
    for _ in range(LABS):
        world.add_submission(world.add_lab(), IMAGE)


async def test_two_hundred_jobs_of_two_gateways_are_scored_once_each(pair):
    fill(pair.worlds[0])
    scored: Counter[str] = Counter()

    await pair.grade_all(scored)

    assert len(scored) == LABS * JOBS_OF_A_LAB
    assert set(scored.values()) == {1}
    assert pair.entries() == (LABS * JOBS_OF_A_LAB, LABS * JOBS_OF_A_LAB, LABS)


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_a_database_that_is_restarted_in_the_middle_loses_no_job(pair, stores, mode):
    fill(pair.worlds[0])
    scored: Counter[str] = Counter()

    async def restart() -> None:
        for part in (0.2, 0.6):
            await eventually(lambda: len(scored) >= part * LABS * JOBS_OF_A_LAB)  # noqa: B023
            await asyncio.to_thread(stores.postgres.restart, mode)

    await asyncio.gather(pair.grade_all(scored), restart())
    # Leases whose answer was cut off end by the clock, and their jobs are done again.
    pair.worlds[0].clock.advance(LEASE + timedelta(seconds=1))
    pair.worlds[0].expire()
    await pair.grade_all(scored)

    assert pair.entries() == (LABS * JOBS_OF_A_LAB, LABS * JOBS_OF_A_LAB, LABS)
    assert set(scored.values()) == {1}


async def test_connections_that_are_cut_again_and_again_lose_no_job(pair, stores, tmp_path):
    fill(pair.worlds[0])
    scored: Counter[str] = Counter()
    url = stores.rows_url(tmp_path)

    async def cut() -> None:
        for part in (0.1, 0.3, 0.5, 0.7, 0.9):
            await eventually(lambda: len(scored) >= part * LABS * JOBS_OF_A_LAB)  # noqa: B023
            await asyncio.to_thread(stores.postgres.cut_connections, url)

    await asyncio.gather(pair.grade_all(scored), cut())
    pair.worlds[0].clock.advance(LEASE + timedelta(seconds=1))
    pair.worlds[0].expire()
    await pair.grade_all(scored)

    assert pair.entries() == (LABS * JOBS_OF_A_LAB, LABS * JOBS_OF_A_LAB, LABS)
    assert set(scored.values()) == {1}


async def test_a_lease_of_one_gateway_is_kept_and_ended_at_the_other(pair):
    pair.worlds[0].add_submission(pair.worlds[0].add_lab(), IMAGE[:1])
    here, there = pair.rigs
    (lease,) = await here.lease()
    assert await there.kept(lease) == [lease.job_id]
    assert await there.lease() == []
    await there.complete(lease)
    assert await here.kept(lease) == []


async def test_a_grader_that_waits_at_one_gateway_gets_the_job_that_comes_through_the_other(pair):
    """The rigs never look by themselves: what arrives was told by the other gateway."""
    here, there = pair.rigs
    pair.worlds[0].add_submission(pair.worlds[0].add_lab(), IMAGE[:1])
    (lease,) = await here.lease()
    waiting = asyncio.create_task(there.lease(wait=20))
    await there.signals.waited_for("jobs/image")
    request = grading_pb2.ReleaseJobsRequest(leases=[ref(lease)])
    await here.grading.ReleaseJobs(request, metadata=here.token("grader"))
    (again,) = await waiting
    assert again.job_id == lease.job_id


async def test_what_a_lab_does_at_one_gateway_is_seen_at_the_other(stores, tmp_path):
    what = archive()
    async with running(tmp_path) as first, running(tmp_path) as second:
        here = await first.new_lab()
        there = await second.lab(here.token, here.lab_id)
        created = await here.create(what)
        watch = there.watch(created.submission_id)
        assert (await anext(watch)).state == pb.SUBMISSION_STATE_CREATED
        half = len(what.data) // 2
        await here.upload(created.submission_id, what.data[:half])
        assert await there.durable_bytes(created.submission_id) == half
        await there.upload(created.submission_id, what.data, offset=half)
        seen = [message.state async for message in until_queued(watch)]
        assert seen[-1] == pb.SUBMISSION_STATE_QUEUED
        with pytest.raises(errors.SubmissionPending):
            await there.create(what)


async def until_queued(watch):
    async for message in watch:
        yield message
        if message.state == pb.SUBMISSION_STATE_QUEUED:
            return


async def test_of_creates_at_both_gateways_at_once_one_is_taken(stores, tmp_path):
    async with running(tmp_path) as first, running(tmp_path) as second:
        here = await first.new_lab()
        there = await second.lab(here.token, here.lab_id)
        answers = await asyncio.gather(
            *(lab.create(archive()) for lab in (here, there) * 4), return_exceptions=True
        )
    kinds = Counter(type(answer) for answer in answers)
    assert kinds == {pb.Submission: 1, errors.SubmissionPending: 7}


async def test_archives_at_two_gateways_are_queued_once_each(stores, tmp_path):
    async with AsyncExitStack() as stack:
        both = [await stack.enter_async_context(running(tmp_path)) for _ in range(2)]
        labs = [await both[number % 2].new_lab(f"lab {number}") for number in range(4)]
        submitted = await asyncio.gather(*(lab.submit(archive()) for lab in labs))
        for lab, one in zip(labs, submitted, strict=True):
            await lab.when(one.submission_id, pb.SUBMISSION_STATE_QUEUED)
        with both[0].gateway.database.read() as connection:
            made = Counter(connection.scalars(select(jobs.c.submission_id)))
            entered = Counter(
                connection.scalars(
                    select(timeline.c.submission_id).where(timeline.c.state == State.QUEUED)
                )
            )
    once = {one.submission_id: 1 for one in submitted}
    assert made == once
    assert entered == once


async def test_s3_that_is_busy_for_a_while_loses_nothing(stores, tmp_path):
    what = large_archive(2 * uploads.PART_BYTES + 1024)
    with IllS3(stores.s3.endpoint) as ill:
        s3 = stores.s3.options(ill.endpoint, retry_seconds=30)
        async with running(tmp_path, s3=s3) as gateway:
            lab = await gateway.new_lab()
            created = await lab.create(what)
            ill.refuse()
            uploading = asyncio.create_task(lab.upload(created.submission_id, what.data))
            await eventually(lambda: ill.refused(5))
            ill.recover()
            done = await uploading
            assert done.durable_bytes == len(what.data)
            await lab.when(created.submission_id, pb.SUBMISSION_STATE_QUEUED)


async def test_s3_that_stays_busy_is_told_and_the_upload_goes_on_later(stores, tmp_path):
    what = large_archive(2 * uploads.PART_BYTES + 1024)
    path = tmp_path / what.name
    path.write_bytes(what.data)
    with IllS3(stores.s3.endpoint) as ill:
        s3 = stores.s3.options(ill.endpoint, retry_seconds=0.2)
        async with running(tmp_path, s3=s3) as gateway:
            lab = await gateway.new_lab()
            created = await lab.create(what)
            ill.refuse()
            with pytest.raises(errors.Unavailable):
                await lab.upload(created.submission_id, what.data)
            assert await lab.durable_bytes(created.submission_id) == 0
            ill.recover()
            with Client(gateway.target, lab.token, insecure=True) as client:
                await asyncio.to_thread(client.resume, created.submission_id, path)
            await lab.when(created.submission_id, pb.SUBMISSION_STATE_QUEUED)


async def test_a_backup_of_rows_and_bucket_is_a_platform_again(stores, tmp_path):
    """As `docs/operators/stores.md` says: first pg_dump, then the bucket."""
    async with running(tmp_path) as gateway:
        lab = await gateway.new_lab()
        submitted = await lab.submit(archive())
        await lab.when(submitted.submission_id, pb.SUBMISSION_STATE_QUEUED)
    server = stores.postgres
    dump = tmp_path / "rows.dump"
    await asyncio.to_thread(
        server.run_client, "pg_dump", "--format=custom", "--file", dump,
        "--dbname", stores.rows_url(tmp_path),
    )  # fmt: skip
    bucket = stores.stored(tmp_path)

    restored = server.create(f"restored_{tmp_path.name[:40]}".lower())
    await asyncio.to_thread(
        server.run_client, "pg_restore", "--exit-on-error", "--no-owner", "--dbname", restored, dump
    )
    place = f"s3://{BUCKET}/restored-{tmp_path.name}"
    copy = Objects(place, stores.s3.options())
    for key, data in bucket.items():
        copy.put(key, data)
    async with running(tmp_path / "again", database_url=restored, objects_url=place) as gateway:
        again = await gateway.lab(lab.token, lab.lab_id)
        found = await again.get(submitted.submission_id)
        assert (found.board_id, found.state) == (BOARD, pb.SUBMISSION_STATE_QUEUED)
        with gateway.gateway.database.read() as connection:
            parts = uploads.read_parts(connection, submitted.submission_id)
        assert uploads.digest_of(copy, parts) == archive().sha256
