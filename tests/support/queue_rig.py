"""The queue's servicers on a real port over a `QueueWorld`, with a stub for each."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import grpc
import msgspec
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sqlalchemy import insert, update

from general_level.submission.archive import index_archive
from general_level.submission.findings import FindingSink
from general_level.v1 import (
    catalogue_pb2_grpc,
    grading_pb2,
    grading_pb2_grpc,
    leaderboard_pb2_grpc,
    ranking_pb2,
    ranking_pb2_grpc,
)
from general_level.wire import from_rpc_error, to_duration, to_timestamp
from services.gateway.identity import Authenticator, create_token
from services.gateway.predictions import CHUNK_BYTES
from services.gateway.public_folder import PublishedCommitments
from services.gateway.rpc.catalogue import CatalogueServicer
from services.gateway.rpc.grading import GradingServicer
from services.gateway.rpc.leaderboard import LeaderboardServicer
from services.gateway.rpc.ranking import RankingServicer
from services.gateway.signals import Signals
from services.gateway.storage.tables import task_results, upload_parts
from services.gateway.telemetry import Telemetry
from services.kit.server import Server
from services.kit.settings import Secret
from tests.support.queue_world import CATALOGUE, JOB, LEASE, QueueWorld, tasks_of
from tests.support.stores import stores

IMAGE = tasks_of("image")
#: Never within a test: what arrives came by a signal.
NEVER: Final = 3_600.0

T = TypeVar("T")


class HeardSignals(Signals):
    """Signals that tell when somebody began to wait for a topic."""

    def __init__(self) -> None:
        super().__init__()
        self._heard: dict[str, asyncio.Event] = {}

    def subscribe(self, *topics: str) -> asyncio.Future[None]:
        for topic in topics:
            self._event(topic).set()
        return super().subscribe(*topics)

    async def waited_for(self, topic: str) -> None:
        await asyncio.wait_for(self._event(topic).wait(), 10)

    def _event(self, topic: str) -> asyncio.Event:
        return self._heard.setdefault(topic, asyncio.Event())


class Rig:
    """The four servicers on one port over a world's database."""

    def __init__(
        self, world: QueueWorld, folder: Path, poll_seconds: float = NEVER, port: int = 0
    ) -> None:
        self.world = world
        self.folder = folder
        self.objects = stores().objects(folder)
        self.signals = HeardSignals()
        self.telemetry = Telemetry(CATALOGUE)
        self._poll_seconds = poll_seconds
        self.port = port
        self.public = folder / "public"
        (self.public / "boards").mkdir(parents=True, exist_ok=True)
        with world.database.write() as connection:
            self._tokens = {
                "grader": create_token(connection, world.now, "grader", modality="image"),
                "ranker": create_token(connection, world.now, "ranker"),
                "lab": create_token(connection, world.now, "lab"),
            }

    async def start(self) -> None:
        world = self.world
        common: dict[str, Any] = {
            "database": world.database,
            "signals": self.signals,
            "poll_seconds": self._poll_seconds,
        }
        authenticator = Authenticator(world.database, world.clock)
        commitments = PublishedCommitments(self.public)
        self.server = Server([])
        grading_pb2_grpc.add_GradingServiceServicer_to_server(
            GradingServicer(
                **common,
                objects=self.objects,
                clock=world.clock,
                catalogue=CATALOGUE,
                authenticator=authenticator,
                trusted_keys=[world.key.public],
                commitments=commitments,
                lease_duration=LEASE,
                job_duration=JOB,
                telemetry=self.telemetry,
            ),
            self.server.grpc,
        )
        ranking_pb2_grpc.add_RankingServiceServicer_to_server(
            RankingServicer(
                **common,
                clock=world.clock,
                catalogue=CATALOGUE,
                authenticator=authenticator,
                sign_of_life_seconds=self._poll_seconds,
            ),
            self.server.grpc,
        )
        leaderboard_pb2_grpc.add_LeaderboardServiceServicer_to_server(
            LeaderboardServicer(**common, catalogue=CATALOGUE), self.server.grpc
        )
        catalogue_pb2_grpc.add_CatalogueServiceServicer_to_server(
            CatalogueServicer(
                catalogue=CATALOGUE,
                public_folder=self.public,
                commitments=commitments,
                authenticator=authenticator,
            ),
            self.server.grpc,
        )
        self.port = self.server.bind(f"127.0.0.1:{self.port}")
        await self.server.start()
        self.channel = grpc.aio.insecure_channel(f"127.0.0.1:{self.port}")
        self.grading: Any = grading_pb2_grpc.GradingServiceStub(self.channel)
        self.ranking: Any = ranking_pb2_grpc.RankingServiceStub(self.channel)
        self.leaderboard: Any = leaderboard_pb2_grpc.LeaderboardServiceStub(self.channel)
        self.catalogue: Any = catalogue_pb2_grpc.CatalogueServiceStub(self.channel)

    async def stop(self) -> None:
        await self.channel.close()
        await self.server.stop(0)

    def secret(self, kind: str) -> Secret:
        return self._tokens[kind]

    def token(self, kind: str) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self._tokens[kind].reveal()}"),)

    async def lease(
        self,
        max_jobs: int = 1,
        wait: float = 0.0,
        modality: str = "image",
        kind: str = "grader",
    ) -> list[grading_pb2.JobLease]:
        request = grading_pb2.LeaseJobsRequest(
            modality=modality,
            max_jobs=max_jobs,
            wait=to_duration(timedelta(seconds=wait)),
            grader_id="grader-1",
            metric_ids=list(CATALOGUE.metrics),
        )
        answer = await call(self.grading.LeaseJobs(request, metadata=self.token(kind)))
        return list(answer.leases)

    async def complete(self, lease: grading_pb2.JobLease, value: float = 50.0) -> None:
        score = self.world.score(lease, value)
        request = grading_pb2.CompleteJobRequest(
            lease=ref(lease),
            scored=grading_pb2.ScoredOutcome(
                value=score.value, item_count=100, missing_count=0, envelope=score.envelope
            ),
        )
        await call(self.grading.CompleteJob(request, metadata=self.token("grader")))

    async def kept(self, *leases: grading_pb2.JobLease) -> list[str]:
        request = grading_pb2.KeepLeaseAliveRequest(leases=[ref(lease) for lease in leases])
        answer = await call(self.grading.KeepLeaseAlive(request, metadata=self.token("grader")))
        return [kept.job_id for kept in answer.kept]

    async def settled(self) -> None:
        """Returns when the server has seen everything that was sent before, cancellations too."""
        stub = health_pb2_grpc.HealthStub(self.channel)
        await stub.Check(health_pb2.HealthCheckRequest())

    def watch_scores(self, after: int = 0) -> Any:
        return self.ranking.WatchScores(
            ranking_pb2.WatchScoresRequest(after_position=after), metadata=self.token("ranker")
        )

    async def publish(
        self, position: int, *boards: ranking_pb2.BoardSnapshot
    ) -> ranking_pb2.PublishStandingsResponse:
        request = ranking_pb2.PublishStandingsRequest(
            ledger_position=position, compute_time=to_timestamp(self.world.now), boards=boards
        )
        return await call(self.ranking.PublishStandings(request, metadata=self.token("ranker")))

    def store_archive(self, submission_id: str, archive: bytes, part_bytes: int) -> None:
        """Keeps the archive as parts, and tells each task its members, as upload and check do."""
        index = index_archive(io.BytesIO(archive), FindingSink())
        with self.world.database.write() as connection:
            for offset in range(0, len(archive), part_bytes):
                part = archive[offset : offset + part_bytes]
                key = f"uploads/{submission_id}/{offset}"
                self.objects.put(key, part)
                connection.execute(
                    insert(upload_parts).values(
                        submission_id=submission_id, offset=offset, size=len(part), object_key=key
                    )
                )
            for task in IMAGE:
                members = [m for m in index.members if m.path.startswith(f"{task.archive_path}/")]
                connection.execute(
                    update(task_results)
                    .where(
                        task_results.c.submission_id == submission_id,
                        task_results.c.task_id == task.id,
                    )
                    .values(members=msgspec.json.encode(members))
                )

    async def read(self, lease: grading_pb2.JobLease) -> list[list[Any]]:
        """The members as (path, announced size, bytes, messages)."""
        members: list[list[Any]] = []
        request = grading_pb2.ReadPredictionsRequest(lease=ref(lease))
        try:
            stream = self.grading.ReadPredictions(request, metadata=self.token("grader"))
            async for message in stream:
                if message.member_path:
                    members.append([message.member_path, message.member_bytes, b"", 0])
                assert len(message.data) <= CHUNK_BYTES
                members[-1][2] += message.data
                members[-1][3] += 1
        except grpc.RpcError as error:
            raise from_rpc_error(error) from error
        return members


async def call(awaited: Awaitable[T]) -> T:
    """The answer, or the error that the server raised."""
    try:
        return await awaited
    except grpc.RpcError as error:
        raise from_rpc_error(error) from error


def ref(lease: grading_pb2.JobLease) -> grading_pb2.LeaseRef:
    return grading_pb2.LeaseRef(job_id=lease.job_id, lease_token=lease.lease_token)
