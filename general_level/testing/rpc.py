"""The four services over the world in memory."""
# ruff: noqa: ARG002 - names and parameters are those of the contract

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from general_level.errors import (
    GeneralLevelError,
    IllegalTransition,
    InvalidRequest,
    NotFound,
    Unavailable,
    UnknownBoard,
)
from general_level.fairness import WINDOWS, holds_within, next_slot_time
from general_level.testing import records
from general_level.testing.faults import Faults
from general_level.testing.grading import Worker
from general_level.testing.inputs import EXAMPLE_ITEM_IDS, inputs_bundle
from general_level.testing.publication import KEY_VERSION, commitment_of
from general_level.testing.records import Lab, Record
from general_level.testing.signing import Signer
from general_level.testing.world import World
from general_level.v1 import (
    catalogue_pb2,
    catalogue_pb2_grpc,
    leaderboard_pb2,
    leaderboard_pb2_grpc,
    quota_pb2,
    quota_pb2_grpc,
    submission_pb2_grpc,
)
from general_level.v1 import submission_pb2 as pb
from general_level.wire import status_code, to_timestamp, trailing_metadata

_DEFAULT_PAGE: Final = 20
_LARGEST_PAGE: Final = 100
_CHUNK_BYTES: Final = 256 * 1024
_BEARER: Final = "Bearer "
#: How often a waiting stream looks whether its caller is still there.
_LOOK_SECONDS: Final = 0.2

_Method = TypeVar("_Method", bound=Callable[..., Any])


def _abort(context: Any, error: GeneralLevelError) -> None:
    context.set_trailing_metadata(trailing_metadata(error))
    context.abort(status_code(error), str(error))


def _answers(method: _Method) -> _Method:
    """A handler with one answer whose errors become statuses."""

    @functools.wraps(method)
    def guarded(self: _Service, request: Any, context: Any) -> Any:
        try:
            self.faults.at_call()
            return method(self, request, context)
        except GeneralLevelError as error:
            _abort(context, error)

    return guarded  # type: ignore[return-value]


def _streams(method: _Method) -> _Method:
    """A handler with a stream of answers whose errors become statuses."""

    @functools.wraps(method)
    def guarded(self: _Service, request: Any, context: Any) -> Iterator[Any]:
        try:
            self.faults.at_call()
            yield from method(self, request, context)
        except GeneralLevelError as error:
            _abort(context, error)

    return guarded  # type: ignore[return-value]


class _Service:
    """What the four services share."""

    def __init__(self, world: World, faults: Faults) -> None:
        self.world = world
        self.faults = faults

    def lab(self, context: Any) -> Lab:
        given = dict(context.invocation_metadata()).get("authorization", "")
        token = given.removeprefix(_BEARER) if given.startswith(_BEARER) else None
        return self.world.lab(token)

    def wait_for_change(self) -> None:
        """Waits a moment for a change; Unavailable when the gateway stops. Holds the lock."""
        self.world.changed.wait(_LOOK_SECONDS)
        if self.world.closed:
            raise Unavailable("(the gateway stops)")


class SubmissionService(_Service, submission_pb2_grpc.SubmissionServiceServicer):
    """The life of submissions."""

    def __init__(self, world: World, faults: Faults, worker: Worker, signer: Signer) -> None:
        super().__init__(world, faults)
        self._worker = worker
        self._signer = signer

    def _record(self, request: Any, context: Any) -> Record:
        return self.world.record(self.lab(context), request.submission_id)

    @_answers
    def CreateSubmission(
        self, request: pb.CreateSubmissionRequest, context: Any
    ) -> pb.CreateSubmissionResponse:
        lab = self.lab(context)
        return pb.CreateSubmissionResponse(submission=self.world.create(lab, request))

    @_answers
    def GetUpload(self, request: pb.GetUploadRequest, context: Any) -> pb.GetUploadResponse:
        record = self._record(request, context)
        return pb.GetUploadResponse(
            durable_bytes=record.durable_bytes, archive_bytes=record.message.archive_bytes
        )

    @_answers
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

    @_answers
    def GetSubmission(
        self, request: pb.GetSubmissionRequest, context: Any
    ) -> pb.GetSubmissionResponse:
        record = self._record(request, context)
        return pb.GetSubmissionResponse(submission=self.world.snapshot(record))

    @_answers
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
            submissions=[self.world.snapshot(r) for r in page],
            next_page_token=page[-1].submission_id if more else "",
        )

    @_answers
    def CancelSubmission(
        self, request: pb.CancelSubmissionRequest, context: Any
    ) -> pb.CancelSubmissionResponse:
        cancelled = self.world.cancel(self.lab(context), request.submission_id)
        return pb.CancelSubmissionResponse(submission=cancelled)

    @_streams
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

    @_answers
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

    @_answers
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


class QuotaService(_Service, quota_pb2_grpc.QuotaServiceServicer):
    """The fairness rules and the agreement."""

    def __init__(self, world: World, faults: Faults, agreement_text: str) -> None:
        super().__init__(world, faults)
        self._agreement_text = agreement_text

    @_answers
    def GetQuota(
        self, request: quota_pb2.GetQuotaRequest, context: Any
    ) -> quota_pb2.GetQuotaResponse:
        lab = self.lab(context)
        with self.world.changed:
            now = self.world.now
            holds = self.world.holds(lab)
            pending = self.world.pending(lab)
        return quota_pb2.GetQuotaResponse(
            windows=[
                quota_pb2.QuotaWindow(
                    limit=w.limit,
                    used=len(holds_within(holds, w, now)),
                    window_seconds=int(w.length.total_seconds()),
                )
                for w in WINDOWS
            ],
            holders=[
                quota_pb2.QuotaHolder(
                    submission_id=hold.submission_id, hold_time=to_timestamp(hold.time)
                )
                for hold in holds_within(holds, max(WINDOWS, key=lambda w: w.length), now)
            ],
            next_slot_time=to_timestamp(next_slot_time(holds, now)),
            pending_submission_id=pending.submission_id if pending is not None else "",
        )

    @_answers
    def GetAgreement(
        self, request: quota_pb2.GetAgreementRequest, context: Any
    ) -> quota_pb2.GetAgreementResponse:
        lab = self.lab(context)
        version = self.world.agreement_version
        response = quota_pb2.GetAgreementResponse(version=version, text=self._agreement_text)
        if lab.accepted == version and lab.accept_time is not None:
            response.accepted = True
            response.accept_time.CopyFrom(to_timestamp(lab.accept_time))
        return response

    @_answers
    def AcceptAgreement(
        self, request: quota_pb2.AcceptAgreementRequest, context: Any
    ) -> quota_pb2.AcceptAgreementResponse:
        accepted = self.world.accept(self.lab(context), request.version)
        return quota_pb2.AcceptAgreementResponse(accept_time=to_timestamp(accepted))


class CatalogueService(_Service, catalogue_pb2_grpc.CatalogueServiceServicer):
    """The benchmark as data, with placeholder inputs."""

    @functools.cache  # noqa: B019 - lives as long as its one gateway
    def bundle(self, board_id: str) -> bytes:
        """The inputs of a board."""
        board = self.world.catalogue.boards[board_id]
        return inputs_bundle(self.world.catalogue, board, self.world.item_ids or {})

    @_answers
    def GetCatalogue(
        self, request: catalogue_pb2.GetCatalogueRequest, context: Any
    ) -> catalogue_pb2.GetCatalogueResponse:
        catalogue = self.world.catalogue
        references = catalogue.references()
        return catalogue_pb2.GetCatalogueResponse(
            catalogue_id=catalogue.id,
            reference_list_id=references.id,
            tasks=[
                catalogue_pb2.Task(
                    task_id=task.id,
                    name=task.name,
                    modality=task.modality,
                    paradigm=task.paradigm,
                    skill_id=task.skill_id,
                    metric_id=task.metric_id,
                    answer_kind=task.answer_kind,
                    archive_folder=task.archive_path,
                    reference_score=references.references[task.id].score,
                    grading=catalogue.metric_of(task.id).grading,
                )
                for task in catalogue.tasks.values()
            ],
        )

    @_answers
    def ListBoards(
        self, request: catalogue_pb2.ListBoardsRequest, context: Any
    ) -> catalogue_pb2.ListBoardsResponse:
        if request.scope not in {"", "A", "B", "C", "D"}:
            raise InvalidRequest("scope must be A, B, C, D or empty.", field="scope")
        return catalogue_pb2.ListBoardsResponse(
            catalogue_id=self.world.catalogue.id,
            boards=[
                catalogue_pb2.Board(
                    board_id=board.id,
                    name=board.name,
                    scope=board.scope,
                    modalities=[m.value for m in board.modalities],
                    task_count=len(board.task_ids),
                    highest_level=board.highest_level,
                    inputs_bytes=len(self.bundle(board.id)),
                )
                for board in self.world.catalogue.boards.values()
                if request.scope in {"", board.scope.value}
            ],
        )

    @_streams
    def DownloadInputs(
        self, request: catalogue_pb2.DownloadInputsRequest, context: Any
    ) -> Iterator[catalogue_pb2.DownloadInputsResponse]:
        self.lab(context)
        if request.board_id not in self.world.catalogue.boards:
            raise UnknownBoard(board_id=request.board_id)
        bundle = self.bundle(request.board_id)
        if not 0 <= request.offset <= len(bundle):
            raise InvalidRequest("The offset is beyond the file.", total_bytes=len(bundle))
        yield catalogue_pb2.DownloadInputsResponse(
            total_bytes=len(bundle), sha256=hashlib.sha256(bundle).hexdigest()
        )
        for start in range(request.offset, len(bundle), _CHUNK_BYTES):
            yield catalogue_pb2.DownloadInputsResponse(data=bundle[start : start + _CHUNK_BYTES])

    @_answers
    def ListKeyCommitments(
        self, request: catalogue_pb2.ListKeyCommitmentsRequest, context: Any
    ) -> catalogue_pb2.ListKeyCommitmentsResponse:
        return catalogue_pb2.ListKeyCommitmentsResponse(
            commitments=[
                catalogue_pb2.KeyCommitment(
                    task_id=task_id,
                    key_version=KEY_VERSION,
                    commitment=commitment_of(task_id),
                    item_count=self.world.item_count(task_id) or len(EXAMPLE_ITEM_IDS),
                    publish_time=to_timestamp(self.world.start),
                )
                for task_id in self.world.catalogue.tasks
            ]
        )


class LeaderboardService(_Service, leaderboard_pb2_grpc.LeaderboardServiceServicer):
    """The published standings."""

    @_answers
    def GetStandings(
        self, request: leaderboard_pb2.GetStandingsRequest, context: Any
    ) -> leaderboard_pb2.GetStandingsResponse:
        standings = self.world.standings_of(request.board_id)
        if standings is None:
            raise NotFound("The board has not been published yet.", board_id=request.board_id)
        return leaderboard_pb2.GetStandingsResponse(standings=standings)

    @_streams
    def WatchStandings(
        self, request: leaderboard_pb2.WatchStandingsRequest, context: Any
    ) -> Iterator[leaderboard_pb2.WatchStandingsResponse]:
        last: leaderboard_pb2.Standings | None = None
        while context.is_active():
            with self.world.changed:
                current = self.world.standings_of(request.board_id)
                if current is last:
                    self.wait_for_change()
                    continue
            last = current
            if current is not None:
                yield leaderboard_pb2.WatchStandingsResponse(standings=current)
