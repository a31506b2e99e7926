"""The gateway as a grader sees it: the calls of GradingService, in the grader's own words."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, cast

import grpc

from general_level.errors import GeneralLevelError
from general_level.v1 import grading_pb2, grading_pb2_grpc, submission_pb2
from general_level.wire import from_rpc_error, to_duration
from services.grader.decode.box import IncomingMember
from services.grader.outcomes import MAX_FINDINGS, Fault, GraderFault, JobFinding, Refused, Scored
from services.grader.pipeline import Job
from services.grader.settings import GraderSettings
from services.kit import tracing
from services.kit.connection import Connection

#: What a call may take on top of the waiting that it asks for.
CALL_SECONDS: Final = 15.0
#: A member's bytes arrive in messages of at most this size, whatever the gateway's own limit.
MESSAGE_BYTES_MAX: Final = 32 * 1024 * 1024
RECONNECT_MS_MAX: Final = 5_000

_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", RECONNECT_MS_MAX),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
)


@dataclass(frozen=True, slots=True)
class Lease:
    """One job that this grader holds, and for how long after each beat."""

    job: Job
    token: str = field(repr=False)
    lease_seconds: float
    job_seconds: float

    @property
    def ref(self) -> grading_pb2.LeaseRef:
        """What every call about the job shows."""
        return grading_pb2.LeaseRef(job_id=self.job.job_id, lease_token=self.token)


class Gateway:
    """Every method raises the error that the server raised, as one of ``general_level.errors``."""

    def __init__(self, settings: GraderSettings, metric_ids: Sequence[str]) -> None:
        self._settings = settings
        self._metric_ids = tuple(metric_ids)
        self._connection = Connection(
            settings.gateway, settings.tls, _OPTIONS, grading_pb2_grpc.GradingServiceStub
        )
        self._metadata = (("authorization", f"Bearer {settings.token.reveal()}"),)

    async def _call(self, method: str, request: object, timeout: float = CALL_SECONDS) -> Any:
        try:
            call = getattr(self._connection.stub(), method)
            metadata = (*self._metadata, *tracing.carrier())
            return await call(request, timeout=timeout, metadata=metadata)
        except grpc.RpcError as error:
            raise from_rpc_error(error) from error

    async def lease(self, max_jobs: int, wait_seconds: float) -> list[Lease]:
        """Up to ``max_jobs`` jobs, as soon as there is one; none after ``wait_seconds``."""
        request = grading_pb2.LeaseJobsRequest(
            modality=self._settings.modality.value,
            max_jobs=max_jobs,
            wait=to_duration(timedelta(seconds=wait_seconds)),
            grader_id=self._settings.grader_id,
            metric_ids=self._metric_ids,
        )
        answer = await self._call("LeaseJobs", request, wait_seconds + CALL_SECONDS)
        return [_lease(lease) for lease in answer.leases]

    async def keep_alive(self, leases: Sequence[Lease]) -> set[tuple[str, str]]:
        """Extends the leases; (job id, token) of those that are still held."""
        request = grading_pb2.KeepLeaseAliveRequest(leases=[lease.ref for lease in leases])
        answer = await self._call("KeepLeaseAlive", request)
        return {(kept.job_id, kept.lease_token) for kept in answer.kept}

    async def members(self, lease: Lease) -> AsyncIterator[IncomingMember]:
        """The members of the job's task, each to be read to its end before the next.

        Raises GraderFault (INTERNAL) where the stream breaks its own form.
        """
        request = grading_pb2.ReadPredictionsRequest(lease=lease.ref)
        call = self._connection.stub().ReadPredictions(
            request,
            timeout=lease.job_seconds,
            metadata=(*self._metadata, *tracing.carrier()),
        )
        try:
            while (first := await _next(call)) is not None:
                if not first.member_path:
                    raise GraderFault(Fault.INTERNAL, "reading-members")
                yield IncomingMember(first.member_path, first.member_bytes, _chunks(call, first))
        finally:
            call.cancel()

    async def complete(self, lease: Lease, outcome: Scored | Refused) -> None:
        """Ends the job with a score or with findings."""
        request = grading_pb2.CompleteJobRequest(lease=lease.ref)
        if isinstance(outcome, Scored):
            request.scored.value = outcome.value
            if outcome.standard_error is not None:
                request.scored.standard_error = outcome.standard_error
            request.scored.item_count = outcome.item_count
            request.scored.missing_count = outcome.missing_count
            request.scored.envelope = outcome.envelope
            request.scored.findings.extend(map(_finding, outcome.findings[:MAX_FINDINGS]))
        else:
            request.refused.findings.extend(map(_finding, outcome.findings[:MAX_FINDINGS]))
        await self._call("CompleteJob", request)

    async def fail(self, lease: Lease, fault: Fault) -> None:
        """Ends the attempt by a fault of ours."""
        request = grading_pb2.FailJobRequest(lease=lease.ref)
        request.fault = cast("grading_pb2.JobFault.ValueType", fault.value)
        await self._call("FailJob", request)

    async def release(self, leases: Sequence[Lease]) -> None:
        """Gives leases back untouched."""
        request = grading_pb2.ReleaseJobsRequest(leases=[lease.ref for lease in leases])
        await self._call("ReleaseJobs", request)

    async def close(self) -> None:
        """Closes the connection."""
        await self._connection.close()


def _lease(lease: grading_pb2.JobLease) -> Lease:
    job = Job(
        job_id=lease.job_id,
        submission_id=lease.submission_id,
        task_id=lease.task_id,
        catalogue_id=lease.catalogue_id,
        archive_sha256=lease.archive_sha256,
        ratings=lease.ratings,
        attempt=lease.attempt,
    )
    return Lease(
        job,
        lease.lease_token,
        lease.lease_duration.ToTimedelta().total_seconds(),
        lease.job_duration.ToTimedelta().total_seconds(),
    )


async def _next(call: Any) -> Any:
    """The next message of a stream, None at its end."""
    try:
        message = await call.read()
    except grpc.RpcError as error:
        raise from_rpc_error(error) from error
    return None if message is grpc.aio.EOF else message


async def _chunks(call: Any, first: Any) -> AsyncIterator[bytes]:
    message = first
    while True:
        if message.data:
            yield message.data
        if message.member_end:
            return
        message = await _next(call)
        if message is None or message.member_path:
            raise GraderFault(Fault.INTERNAL, "reading-members")


def _finding(finding: JobFinding) -> submission_pb2.Finding:
    message = submission_pb2.Finding(code=finding.code, path=finding.path, warning=finding.warning)
    if finding.row is not None:
        message.row = finding.row
    return message


def is_passing(error: GeneralLevelError) -> bool:
    """Whether the same call may succeed later without anything being changed."""
    return error.reason in {"UNAVAILABLE", "RESOURCE_EXHAUSTED", "GENERAL_LEVEL_ERROR", "INTERNAL"}
