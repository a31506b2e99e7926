"""SubmissionService over the world in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from general_level.errors import IllegalTransition, InvalidRequest, Unavailable
from general_level.testing import records
from general_level.testing.faults import Faults
from general_level.testing.grading import Worker
from general_level.testing.records import Record
from general_level.testing.serving import Service, answers, streams
from general_level.testing.signing import Signer
from general_level.testing.world import World
from general_level.v1 import submission_pb2 as pb
from general_level.v1 import submission_pb2_grpc

_DEFAULT_PAGE: Final = 20
_LARGEST_PAGE: Final = 100


class SubmissionService(Service, submission_pb2_grpc.SubmissionServiceServicer):
    """The life of submissions."""

    def __init__(self, world: World, faults: Faults, worker: Worker, signer: Signer) -> None:
        super().__init__(world, faults)
        self._worker = worker
        self._signer = signer

    def _record(self, request: Any, context: Any) -> Record:
        return self.world.record(self.lab(context), request.submission_id)

    @answers
    def CreateSubmission(
        self, request: pb.CreateSubmissionRequest, context: Any
    ) -> pb.CreateSubmissionResponse:
        lab = self.lab(context)
        return pb.CreateSubmissionResponse(submission=self.world.create(lab, request))

    @answers
    def GetUpload(self, request: pb.GetUploadRequest, context: Any) -> pb.GetUploadResponse:
        record = self._record(request, context)
        return pb.GetUploadResponse(
            durable_bytes=record.durable_bytes, archive_bytes=record.message.archive_bytes
        )

    @answers
    def UploadArchive(
        self, request_iterator: Iterator[pb.UploadArchiveRequest], context: Any
    ) -> pb.UploadArchiveResponse:
        lab = self.lab(context)
        first = next(request_iterator, None)
        if first is None:
            raise InvalidRequest("The first message must name the submission.")
        record = self.world.record(lab, first.submission_id)
        attempt = self.world.begin_upload(record, first.offset)
        left = self.faults.next_upload_break()
        message: pb.UploadArchiveRequest | None = first
        while message is not None:
            data = message.data if left is None else message.data[:left]
            self.world.append(record, attempt, data)
            if left is not None:
                left -= len(data)
                if left == 0:
                    break
            # An upload that has its bytes is complete; it need not wait for the caller's end.
            complete = record.durable_bytes == record.message.archive_bytes
            message = None if complete else next(request_iterator, None)
        if self.world.end_upload(record):
            self._worker.check(record)
        if left is not None:
            raise Unavailable("(the connection broke on purpose)")
        return pb.UploadArchiveResponse(
            durable_bytes=record.durable_bytes, submission=self.world.snapshot(record)
        )

    @answers
    def GetSubmission(
        self, request: pb.GetSubmissionRequest, context: Any
    ) -> pb.GetSubmissionResponse:
        record = self._record(request, context)
        return pb.GetSubmissionResponse(submission=self.world.snapshot(record))

    @answers
    def ListSubmissions(
        self, request: pb.ListSubmissionsRequest, context: Any
    ) -> pb.ListSubmissionsResponse:
        size = request.page_size or _DEFAULT_PAGE
        if not 0 < size <= _LARGEST_PAGE:
            raise InvalidRequest(f"page_size is 1 to {_LARGEST_PAGE}.", field="page_size")
        records_ = self.world.newest_first(self.lab(context))
        start = 0
        if request.page_token:
            ids = [r.submission_id for r in records_]
            if request.page_token not in ids:
                raise InvalidRequest("page_token is not from this list.", field="page_token")
            start = ids.index(request.page_token) + 1
        page = records_[start : start + size]
        more = start + size < len(records_)
        return pb.ListSubmissionsResponse(
            submissions=[_listed(self.world.snapshot(r)) for r in page],
            next_page_token=page[-1].submission_id if more else "",
        )

    @answers
    def CancelSubmission(
        self, request: pb.CancelSubmissionRequest, context: Any
    ) -> pb.CancelSubmissionResponse:
        cancelled = self.world.cancel(self.lab(context), request.submission_id)
        return pb.CancelSubmissionResponse(submission=cancelled)

    @answers
    def RevealModel(self, request: pb.RevealModelRequest, context: Any) -> pb.RevealModelResponse:
        revealed = self.world.reveal(self.lab(context), request.submission_id)
        return pb.RevealModelResponse(submission=revealed)

    @streams
    def WatchSubmission(
        self, request: pb.WatchSubmissionRequest, context: Any
    ) -> Iterator[pb.WatchSubmissionResponse]:
        record = self._record(request, context)
        last: pb.Submission | None = None
        while context.is_active():
            with self.world.changed:
                current = self.world.snapshot(record)
                if current == last:
                    self.wait_for_change()
                    continue
                final = record.is_final
            last = current
            yield pb.WatchSubmissionResponse(submission=current)
            if final:
                return

    @answers
    def ListTaskResults(
        self, request: pb.ListTaskResultsRequest, context: Any
    ) -> pb.ListTaskResultsResponse:
        record = self._record(request, context)
        with self.world.changed:
            known = {r.task_id: r for r in record.results}
            if record.state == records.PUBLISHED:
                return pb.ListTaskResultsResponse(results=record.results)
            board = self.world.catalogue.boards[record.message.board_id]
            return pb.ListTaskResultsResponse(
                results=[self._hidden(task_id, known.get(task_id)) for task_id in board.task_ids]
            )

    def _hidden(self, task_id: str, known: pb.TaskResult | None) -> pb.TaskResult:
        """A result without its value, as it is shown before the publication."""
        result = pb.TaskResult(
            task_id=task_id,
            metric_id=self.world.catalogue.tasks[task_id].metric_id,
            outcome=pb.TASK_OUTCOME_PENDING,
        )
        if known is not None:
            result.CopyFrom(known)
            result.ClearField("value")
            for field in ("standard_error", "item_count", "missing_count"):
                result.ClearField(field)
        return result

    @answers
    def GetReceipt(self, request: pb.GetReceiptRequest, context: Any) -> pb.GetReceiptResponse:
        record = self._record(request, context)
        if record.state != records.PUBLISHED:
            raise IllegalTransition(
                "There is a receipt once it is published.", submission_id=record.submission_id
            )
        return pb.GetReceiptResponse(
            submission_id=record.submission_id,
            archive_sha256=record.message.archive_sha256,
            statements=record.statements,
            grader_public_keys=[self._signer.public_key],
        )


def _listed(submission: pb.Submission) -> pb.Submission:
    """As in a list: without findings, with their number."""
    submission.ClearField("findings")
    return submission
