"""GradingService: the queue, for graders; each call is a transaction of `leases`."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection

from general_level.catalogue.model import Catalogue
from general_level.errors import InvalidRequest, LeaseLost, NotPermitted, ScoreRefused
from general_level.submission.findings import Finding, FindingSink
from general_level.submission.members import MemberDamaged
from general_level.v1 import grading_pb2 as pb
from general_level.v1 import grading_pb2_grpc, submission_pb2
from general_level.wire import to_duration
from services.gateway import findings, leases, ledger, predictions, rejudge_queue, rejudged
from services.gateway.fencing import JobRow
from services.gateway.identity import Authenticator
from services.gateway.leases import Ended, Fault, Leased, LeaseRef
from services.gateway.public_folder import PublishedCommitments
from services.gateway.signals import Signals
from services.gateway.storage.database import Database
from services.gateway.telemetry import Telemetry
from services.kit import tracing
from services.kit.clock import Clock
from services.kit.logging import get_logger
from services.kit.objects import Objects

#: The longest that one LeaseJobs waits for work.
WAIT_MAX: Final = timedelta(seconds=30)
#: The queue is read again this often, so that work from another replica, and a job whose backoff
#: has passed, are seen.
POLL_SECONDS: Final = 1.0
#: Leases that one call may name.
REFS_MAX: Final = 1_000
GRADER_ID_CHARS_MAX: Final = 100
#: Findings of one outcome; the contract's limit.
FINDINGS_MAX: Final = 100
_METHOD: Final = "general_level.v1.GradingService"

_FAULTS: Final = {
    pb.JOB_FAULT_SCORER_CRASHED: Fault.SCORER_CRASHED,
    pb.JOB_FAULT_DECODER_CRASHED: Fault.DECODER_CRASHED,
    pb.JOB_FAULT_OUT_OF_MEMORY: Fault.OUT_OF_MEMORY,
    pb.JOB_FAULT_DEADLINE: Fault.DEADLINE,
    pb.JOB_FAULT_KEY_UNAVAILABLE: Fault.KEY_UNAVAILABLE,
    pb.JOB_FAULT_ILLEGAL_SCORE: Fault.ILLEGAL_SCORE,
    pb.JOB_FAULT_INTERNAL: Fault.INTERNAL,
    pb.JOB_FAULT_WEIGHTS_UNAVAILABLE: Fault.WEIGHTS_UNAVAILABLE,
}

#: What is said of scores that another grader has to compute, by their `ScoreRefused.what`.
_WRONG_GRADERS: Final = {
    ledger.KEY_COMMITMENT: "score of a key that is not the published one",
    rejudged.OTHER_GRADER: "score by another grader than the rejudgement asks for",
}


class GradingServicer(grading_pb2_grpc.GradingServiceServicer):
    """Needs a grader token for every call; the token says which modality may be leased."""

    def __init__(
        self,
        *,
        database: Database,
        objects: Objects,
        signals: Signals,
        clock: Clock,
        catalogue: Catalogue,
        authenticator: Authenticator,
        trusted_keys: Sequence[bytes],
        commitments: PublishedCommitments,
        lease_duration: timedelta,
        job_duration: timedelta,
        telemetry: Telemetry,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._database = database
        self._objects = objects
        self._signals = signals
        self._clock = clock
        self._catalogue = catalogue
        self._authenticator = authenticator
        self._trusted_keys = tuple(trusted_keys)
        self._commitments = commitments
        self._lease_duration = lease_duration
        self._job_duration = job_duration
        self._telemetry = telemetry
        self._poll_seconds = poll_seconds
        self._returns: set[asyncio.Task[None]] = set()

    async def LeaseJobs(self, request: pb.LeaseJobsRequest, context: Any) -> pb.LeaseJobsResponse:
        caller = await self._authenticator.follow(context, "grader")
        modality = caller.identity.modality
        if request.modality != modality:
            raise NotPermitted("This token leases jobs of another modality.", modality=modality)
        _check_lease_request(request)
        loop = asyncio.get_running_loop()
        ends = loop.time() + min(request.wait.ToTimedelta(), WAIT_MAX).total_seconds()
        while True:
            waiter = self._signals.subscribe(f"jobs/{request.modality}")
            try:
                await caller.recheck()
                leased = await self._try_lease(request)
            except BaseException:
                waiter.cancel()
                raise
            left = ends - loop.time()
            if leased or left <= 0:
                waiter.cancel()
                if context.cancelled():
                    refs = [LeaseRef(one.job_id, one.lease_token) for one in leased]
                    await self._release(refs)
                return pb.LeaseJobsResponse(leases=[self._lease_message(one) for one in leased])
            await self._signals.wait(waiter, min(left, self._poll_seconds))

    async def _try_lease(self, request: pb.LeaseJobsRequest) -> list[Leased]:
        metric_ids = tuple(request.metric_ids)
        asked = (self._clock.now(), request.modality, metric_ids)
        if await self._database.run_read(leases.has_ready, *asked):
            lease = leases.lease
        elif await self._database.run_read(rejudge_queue.has_waiting, *asked):
            # Only where no lab's job is left.
            lease = rejudge_queue.lease
        else:
            return []
        work = asyncio.ensure_future(
            self._database.run_write(
                lease,
                self._clock.now(),
                modality=request.modality,
                metric_ids=metric_ids,
                max_jobs=request.max_jobs or 1,
                grader_id=request.grader_id,
                new_token=_new_token,
                lease_duration=self._lease_duration,
                job_duration=self._job_duration,
            )
        )
        try:
            leased = await asyncio.shield(work)
        except asyncio.CancelledError:
            # The grader hung up in the same moment: nobody holds these leases.
            task = asyncio.create_task(self._take_back(request.modality, work))
            self._returns.add(task)
            task.add_done_callback(self._returns.discard)
            raise
        self._telemetry.leased(request.modality, self._clock.now(), leased)
        for one in leased:
            get_logger().info(
                "job leased",
                job_id=one.job_id,
                submission_id=one.submission_id,
                task_id=one.task_id,
                attempt=one.attempt,
                grader_id=request.grader_id,
            )
            tracing.record(
                "queue",
                one.submission_id,
                tracing.to_ns(one.available_time),
                job_id=one.job_id,
                task_id=one.task_id,
                modality=request.modality,
                attempt=one.attempt,
            )
        for submission_id in {one.submission_id for one in leased if one.first_of_submission}:
            self._signals.notify(f"submission/{submission_id}")
        return leased

    async def _take_back(self, modality: str, work: asyncio.Future[list[Leased]]) -> None:
        leased = await work
        self._telemetry.leased(modality, self._clock.now(), leased)
        await self._release([LeaseRef(one.job_id, one.lease_token) for one in leased])

    async def KeepLeaseAlive(
        self, request: pb.KeepLeaseAliveRequest, context: Any
    ) -> pb.KeepLeaseAliveResponse:
        identity = await self._authenticator.require(context, "grader")
        kept = await self._database.run_write(
            leases.keep_alive, self._clock.now(), _refs(request.leases), self._lease_duration
        )
        self._telemetry.renewed(identity.modality, len(kept))
        return pb.KeepLeaseAliveResponse(
            kept=[pb.LeaseRef(job_id=ref.job_id, lease_token=ref.lease_token) for ref in kept]
        )

    async def ReadPredictions(
        self, request: pb.ReadPredictionsRequest, context: Any
    ) -> AsyncIterator[pb.ReadPredictionsResponse]:
        caller = await self._authenticator.follow(context, "grader")
        ref = _ref(request.lease)
        job, located = await self._database.run_read(self._locate, self._clock.now(), ref)
        try:
            with tracing.span(
                "read",
                job.submission_id,
                parent=tracing.traceparent_of(context),
                rpc_method=f"{_METHOD}/ReadPredictions",
            ):
                async for message in predictions.stream(self._objects, located):
                    await caller.recheck()
                    yield message
        except MemberDamaged as damaged:
            # The archive's own fault, found only here: it ends as a finding, with our words.
            sink = FindingSink()
            sink.add(damaged.code, damaged.path, **damaged.data)
            ended = await self._database.run_write(
                leases.complete_refused, self._clock.now(), ref, sink.findings
            )
            self._tell(ended)
            raise LeaseLost(
                "The archive is damaged; the job has ended.", job_id=ref.job_id
            ) from damaged

    def _locate(
        self, connection: Connection, now: datetime, ref: LeaseRef
    ) -> tuple[JobRow, predictions.Predictions]:
        job = leases.read_held(connection, now, ref)
        task = self._catalogue.tasks[job.task_id]
        return job, predictions.locate(connection, job.submission_id, task)

    async def CompleteJob(
        self, request: pb.CompleteJobRequest, context: Any
    ) -> pb.CompleteJobResponse:
        began = tracing.now_ns()
        await self._authenticator.require(context, "grader")
        ref = _ref(request.lease)
        outcome = request.WhichOneof("outcome")
        if outcome is None:
            raise InvalidRequest("A job ends with a score or with findings.", field="outcome")
        work = self._complete_scored if outcome == "scored" else self._complete_refused
        writes = tracing.now_ns()
        try:
            ended = await self._database.run_write(work, self._clock.now(), ref, request)
        except ScoreRefused as refused:
            if (said := _WRONG_GRADERS.get(refused.metadata.get("what", ""))) is not None:
                await self._take_from_wrong_grader(ref, refused.metadata.get("task_id", ""), said)
            raise
        written = tracing.now_ns()
        get_logger().info(
            "job completed", job_id=ref.job_id, submission_id=ended.submission_id, outcome=outcome
        )
        complete = tracing.record(
            "complete",
            ended.submission_id,
            began,
            parent=tracing.traceparent_of(context),
            rpc_method=f"{_METHOD}/CompleteJob",
            outcome=outcome,
        )
        tracing.record("record", ended.submission_id, writes, written, parent=complete)
        self._tell(ended)
        return pb.CompleteJobResponse()

    async def _take_from_wrong_grader(self, ref: LeaseRef, task_id: str, said: str) -> None:
        """Ends the attempt of a grader that opened another key than the one committed to, or is
        not the one that a rejudgement asks for.

        It lacks the key of this task as one that has none: the job waits for a grader that has it.
        """
        get_logger().error(said, job_id=ref.job_id, task_id=task_id)
        ended = await self._database.run_write(
            leases.fail, self._clock.now(), ref, Fault.KEY_UNAVAILABLE
        )
        self._tell(ended)

    def _complete_scored(
        self, connection: Connection, now: datetime, ref: LeaseRef, request: pb.CompleteJobRequest
    ) -> Ended:
        scored = request.scored
        score = leases.Score(
            value=scored.value,
            standard_error=scored.standard_error if scored.HasField("standard_error") else None,
            item_count=scored.item_count,
            missing_count=scored.missing_count,
            envelope=scored.envelope,
            findings=self._findings(connection, ref, scored.findings),
        )
        return leases.complete_scored(
            connection,
            now,
            ref,
            score,
            catalogue=self._catalogue,
            trusted_keys=self._trusted_keys,
            commitments=self._commitments.by_key(),
        )

    def _complete_refused(
        self, connection: Connection, now: datetime, ref: LeaseRef, request: pb.CompleteJobRequest
    ) -> Ended:
        found = self._findings(connection, ref, request.refused.findings)
        if not found:
            raise InvalidRequest("A refusal needs a finding of a known code.", field="findings")
        return leases.complete_refused(connection, now, ref, found)

    def _findings(
        self, connection: Connection, ref: LeaseRef, found: Sequence[submission_pb2.Finding]
    ) -> tuple[Finding, ...]:
        """The grader's findings with the members' whole paths, as the lab knows them."""
        if len(found) > FINDINGS_MAX:
            raise InvalidRequest(f"At most {FINDINGS_MAX} findings.", field="findings")
        task = self._catalogue.tasks[leases.read_job(connection, ref.job_id).task_id]
        placed = []
        for finding in found:
            one = submission_pb2.Finding()
            one.CopyFrom(finding)
            one.path = f"{task.archive_path}/{finding.path or 'prediction.json'}"
            placed.append(one)
        return findings.from_grader(placed)

    async def FailJob(self, request: pb.FailJobRequest, context: Any) -> pb.FailJobResponse:
        await self._authenticator.require(context, "grader")
        ref = _ref(request.lease)
        # A fault of a newer grader that this gateway cannot name is still a fault of ours.
        fault = _FAULTS.get(request.fault, Fault.INTERNAL)
        ended = await self._database.run_write(leases.fail, self._clock.now(), ref, fault)
        get_logger().warning(
            "attempt failed",
            job_id=ref.job_id,
            submission_id=ended.submission_id,
            fault=str(fault),
            will_retry=ended.will_retry,
        )
        self._tell(ended)
        return pb.FailJobResponse(will_retry=ended.will_retry)

    async def ReleaseJobs(
        self, request: pb.ReleaseJobsRequest, context: Any
    ) -> pb.ReleaseJobsResponse:
        await self._authenticator.require(context, "grader")
        await self._release(_refs(request.leases))
        return pb.ReleaseJobsResponse()

    async def _release(self, refs: Sequence[LeaseRef]) -> None:
        released = await self._database.run_write(leases.release, self._clock.now(), refs)
        self._telemetry.released(released)
        for modality in set(released):
            self._signals.notify(f"jobs/{modality}")

    def _tell(self, ended: Ended) -> None:
        """Counts the ending and wakes who waits, after the commit."""
        self._telemetry.ended(ended)
        self._signals.notify(f"submission/{ended.submission_id}")
        if ended.ledger_changed:
            self._signals.notify("ledger")
        if ended.will_retry:
            self._signals.notify(f"jobs/{ended.modality}")

    def _lease_message(self, one: Leased) -> pb.JobLease:
        return pb.JobLease(
            job_id=one.job_id,
            submission_id=one.submission_id,
            task_id=one.task_id,
            lease_token=one.lease_token,
            lease_duration=to_duration(self._lease_duration),
            attempt=one.attempt,
            archive_sha256=one.archive_sha256,
            prediction_bytes=one.prediction_bytes,
            catalogue_id=one.catalogue_id,
            job_duration=to_duration(self._job_duration),
            ratings=one.ratings,
            rejudgement_id=one.rejudgement_id,
        )


def _new_token() -> str:
    return secrets.token_hex(16)


def _check_lease_request(request: pb.LeaseJobsRequest) -> None:
    if request.max_jobs < 0:
        raise InvalidRequest("max_jobs is not negative.", field="max_jobs")
    if not 0 < len(request.grader_id) <= GRADER_ID_CHARS_MAX:
        raise InvalidRequest(
            f"grader_id has 1 to {GRADER_ID_CHARS_MAX} characters.", field="grader_id"
        )
    if not request.metric_ids:
        raise InvalidRequest("Name the metrics that this grader computes.", field="metric_ids")


def _ref(ref: pb.LeaseRef) -> LeaseRef:
    return LeaseRef(ref.job_id, ref.lease_token)


def _refs(refs: Iterable[pb.LeaseRef]) -> list[LeaseRef]:
    found = [_ref(ref) for ref in refs]
    if len(found) > REFS_MAX:
        raise InvalidRequest(f"A call names at most {REFS_MAX} leases.", field="leases")
    return found
