"""GradingService as a small honest queue in memory: leases, fences, retries, real gRPC.

Time is the event loop's. It keeps what a test wants to know: every outcome, every refused stale
write, and how often each job was leased.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from general_level import catalogue
from general_level.errors import LeaseLost, NotAuthenticated
from general_level.v1 import grading_pb2, grading_pb2_grpc
from general_level.wire import to_duration
from services.kit.server import Server

TOKEN = "grader-token-of-the-tests"
MAX_ATTEMPTS = 2

BENCH = catalogue.load()


@dataclass(eq=False)
class FakeJob:
    """One job and its history."""

    job_id: str
    submission_id: str
    task_id: str
    members: Mapping[str, bytes]
    ratings: bytes = b""
    token: str = ""
    expires_at: float = 0.0
    attempts: int = 0
    beaten: bool = False
    reads: int = 0
    faults: list[str] = field(default_factory=list)
    releases: int = 0
    outcomes: list[grading_pb2.CompleteJobRequest] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        return bool(self.outcomes) or len(self.faults) >= MAX_ATTEMPTS

    @property
    def scored(self) -> grading_pb2.ScoredOutcome:
        (outcome,) = self.outcomes
        assert outcome.WhichOneof("outcome") == "scored"
        return outcome.scored

    @property
    def refused(self) -> grading_pb2.RefusedOutcome:
        (outcome,) = self.outcomes
        assert outcome.WhichOneof("outcome") == "refused"
        return outcome.refused


class FakeGrading(grading_pb2_grpc.GradingServiceServicer):
    """The service, its server and its queue; the queue outlives a stopped server."""

    def __init__(self, *, lease_seconds: float = 10.0, job_seconds: float = 60.0) -> None:
        self.lease_seconds = lease_seconds
        self.job_seconds = job_seconds
        self.chunk_bytes = 64 * 1024
        self.jobs: list[FakeJob] = []
        self.stale_writes = 0
        self.unauthenticated = 0
        self.beats = 0
        self.metric_ids: set[str] = set()
        self.broken_reads = 0  # so many ReadPredictions stand still half-way, for ``stop`` to cut
        self.lying_reads = 0  # so many announce one byte less than they send
        self._news = asyncio.Event()
        self._server: Server | None = None
        self.port = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listens, on the port of the last time if there was one."""
        self._server = Server([])
        grading_pb2_grpc.add_GradingServiceServicer_to_server(self, self._server.grpc)
        self.port = self._server.bind(f"127.0.0.1:{self.port}")
        await self._server.start()

    async def stop(self) -> None:
        """Closes every connection at once."""
        if self._server is not None:
            server, self._server = self._server, None
            await server.stop(0)

    def add(
        self,
        task_id: str,
        prediction: bytes,
        *,
        submission_id: str = "submission-1",
        media: Mapping[str, bytes] | None = None,
        ratings: bytes = b"",
    ) -> FakeJob:
        """Puts one job into the queue."""
        members = {"prediction.json": prediction, **(media or {})}
        job = FakeJob(f"job-{len(self.jobs)}", submission_id, task_id, members, ratings)
        self.jobs.append(job)
        self._news.set()
        return job

    def take_away(self, job: FakeJob) -> None:
        """Gives the job to another grader, which keeps it."""
        job.token = "of-another-grader"
        job.expires_at = float("inf")

    # The service.

    def _authenticate(self, context: Any) -> None:
        if ("authorization", f"Bearer {TOKEN}") not in context.invocation_metadata():
            self.unauthenticated += 1
            raise NotAuthenticated

    def _find(self, ref: grading_pb2.LeaseRef) -> FakeJob | None:
        now = asyncio.get_running_loop().time()
        for job in self.jobs:
            same = job.job_id == ref.job_id and job.token == ref.lease_token
            if same and not job.ended and job.expires_at > now:
                return job
        return None

    def _write(self, ref: grading_pb2.LeaseRef) -> FakeJob:
        job = self._find(ref)
        if job is None:
            self.stale_writes += 1
            raise LeaseLost
        return job

    def _free(self) -> list[FakeJob]:
        now = asyncio.get_running_loop().time()
        return [
            job
            for job in self.jobs
            if not job.ended
            and job.expires_at <= now
            and BENCH.tasks[job.task_id].metric_id in self.metric_ids
        ]

    async def LeaseJobs(self, request: Any, context: Any) -> grading_pb2.LeaseJobsResponse:
        self._authenticate(context)
        self.metric_ids = set(request.metric_ids)
        loop = asyncio.get_running_loop()
        until = loop.time() + request.wait.ToTimedelta().total_seconds()
        while not self._free() and loop.time() < until:
            self._news.clear()
            # An expired lease is news that nobody announces.
            try:
                await asyncio.wait_for(self._news.wait(), min(0.05, until - loop.time()))
            except TimeoutError:
                continue
        leases = []
        for job in self._free()[: request.max_jobs]:
            job.token = secrets.token_hex(8)
            job.expires_at = loop.time() + self.lease_seconds
            job.attempts += 1
            job.beaten = False
            leases.append(
                grading_pb2.JobLease(
                    job_id=job.job_id,
                    submission_id=job.submission_id,
                    task_id=job.task_id,
                    lease_token=job.token,
                    lease_duration=to_duration(timedelta(seconds=self.lease_seconds)),
                    attempt=job.attempts,
                    archive_sha256=hashlib.sha256(job.submission_id.encode()).hexdigest(),
                    catalogue_id="general-bench",
                    job_duration=to_duration(timedelta(seconds=self.job_seconds)),
                    ratings=job.ratings,
                )
            )
        return grading_pb2.LeaseJobsResponse(leases=leases)

    async def KeepLeaseAlive(self, request: Any, context: Any) -> Any:
        self._authenticate(context)
        self.beats += 1
        answer = grading_pb2.KeepLeaseAliveResponse()
        for ref in request.leases:
            job = self._find(ref)
            if job is not None:
                job.beaten = True
                job.expires_at = asyncio.get_running_loop().time() + self.lease_seconds
                answer.kept.append(ref)
        return answer

    async def ReadPredictions(self, request: Any, context: Any) -> AsyncIterator[Any]:
        self._authenticate(context)
        job = self._write(request.lease)
        assert job.beaten, "work began before the first beat"
        job.reads += 1
        broken, self.broken_reads = self.broken_reads > 0, max(0, self.broken_reads - 1)
        lying, self.lying_reads = self.lying_reads > 0, max(0, self.lying_reads - 1)
        for path, content in job.members.items():
            yield grading_pb2.ReadPredictionsResponse(
                member_path=path, member_bytes=len(content) - lying
            )
            if broken:
                await asyncio.Event().wait()  # until the connection is cut; never a clean end
            for start in range(0, len(content), self.chunk_bytes):
                part = content[start : start + self.chunk_bytes]
                yield grading_pb2.ReadPredictionsResponse(data=part)
            yield grading_pb2.ReadPredictionsResponse(member_end=True)

    async def CompleteJob(self, request: Any, context: Any) -> Any:
        self._authenticate(context)
        self._write(request.lease).outcomes.append(request)
        return grading_pb2.CompleteJobResponse()

    async def FailJob(self, request: Any, context: Any) -> Any:
        self._authenticate(context)
        job = self._write(request.lease)
        job.faults.append(grading_pb2.JobFault.Name(request.fault).removeprefix("JOB_FAULT_"))
        job.token, job.expires_at = "", 0.0
        self._news.set()
        return grading_pb2.FailJobResponse(will_retry=not job.ended)

    async def ReleaseJobs(self, request: Any, context: Any) -> Any:
        self._authenticate(context)
        for ref in request.leases:
            job = self._find(ref)
            if job is not None:
                job.releases += 1
                job.token, job.expires_at = "", 0.0
        self._news.set()
        return grading_pb2.ReleaseJobsResponse()
