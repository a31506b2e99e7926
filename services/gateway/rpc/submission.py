"""SubmissionService: thin; each call is one transaction of `submissions`, `uploads` or `views`."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from general_level.catalogue import Catalogue
from general_level.create_request import check_create
from general_level.errors import DigestMismatch, IllegalTransition, InvalidRequest
from general_level.identifiers import new_id
from general_level.v1 import submission_pb2 as pb
from general_level.v1 import submission_pb2_grpc
from general_level.wire import from_rfc3339, to_rfc3339
from services.gateway import agreement, ledger, naming, submissions, uploads, views
from services.gateway.identity import Authenticator
from services.gateway.places import Places
from services.gateway.signals import Signals
from services.gateway.states import State
from services.gateway.storage.database import Database
from services.gateway.telemetry import Telemetry
from services.gateway.upload_stream import PartStore, UploadStream
from services.kit import tracing
from services.kit.clock import Clock
from services.kit.logging import get_logger

PAGE_SIZE_DEFAULT: Final = 20
PAGE_SIZE_MAX: Final = 100
#: Streams that one lab may have open at once.
UPLOADS_MAX: Final = 16
WATCHES_MAX: Final = 32
_METHOD: Final = "general_level.v1.SubmissionService"
#: A watcher reads again this often, so that a change made by another replica is seen.
_WATCH_SECONDS: Final = 1.0


class SubmissionServicer(submission_pb2_grpc.SubmissionServiceServicer):
    """Needs a lab token for every call; a lab sees only its own submissions."""

    def __init__(
        self,
        *,
        database: Database,
        parts: PartStore,
        signals: Signals,
        clock: Clock,
        catalogue: Catalogue,
        authenticator: Authenticator,
        telemetry: Telemetry,
        trusted_keys: Sequence[bytes],
    ) -> None:
        self._database = database
        self._parts = parts
        self._signals = signals
        self._clock = clock
        self._catalogue = catalogue
        self._authenticator = authenticator
        self._telemetry = telemetry
        self._trusted_keys = tuple(trusted_keys)
        self._uploads = Places(UPLOADS_MAX)
        self._watches = Places(WATCHES_MAX)

    async def CreateSubmission(
        self, request: pb.CreateSubmissionRequest, context: Any
    ) -> pb.CreateSubmissionResponse:
        identity = await self._authenticator.require(context, "lab")
        check_create(request, self._catalogue)
        # One UUID has two spellings; it names one create.
        request.request_id = request.request_id.lower()
        now = self._clock.now()

        def work(connection: Connection) -> pb.Submission:
            submission_id = submissions.create(
                connection,
                now,
                identity.lab_id,
                request,
                catalogue_id=self._catalogue.id,
                agreement_version=agreement.VERSION,
                new_submission_id=lambda: new_id("sub", now),
            )
            row = submissions.read(connection, submission_id)
            return views.submission_view(connection, now, row)

        with self._telemetry.refusals():
            submission = await self._database.run_write(work)
        tracing.record(
            "create",
            submission.submission_id,
            tracing.to_ns(now),
            link=tracing.traceparent_of(context),
            board_id=request.board_id,
            rpc_method=f"{_METHOD}/CreateSubmission",
        )
        get_logger().info(
            "submission created",
            submission_id=submission.submission_id,
            lab_id=identity.lab_id,
            board_id=request.board_id,
            archive_bytes=request.archive_bytes,
        )
        return pb.CreateSubmissionResponse(submission=submission)

    async def GetUpload(self, request: pb.GetUploadRequest, context: Any) -> pb.GetUploadResponse:
        identity = await self._authenticator.require(context, "lab")

        def work(connection: Connection) -> pb.GetUploadResponse:
            row = submissions.read(connection, request.submission_id, identity.lab_id)
            return pb.GetUploadResponse(
                durable_bytes=uploads.durable_bytes(connection, row.submission_id),
                archive_bytes=row.archive_bytes,
            )

        return await self._database.run_read(work)

    async def UploadArchive(
        self, requests: AsyncIterator[pb.UploadArchiveRequest], context: Any
    ) -> pb.UploadArchiveResponse:
        caller = await self._authenticator.follow(context, "lab")
        with self._uploads.take(caller.identity.lab_id):
            link = tracing.traceparent_of(context)
            return await self._upload(caller.messages(requests), caller.identity.lab_id, link)

    async def _upload(
        self, requests: AsyncIterator[pb.UploadArchiveRequest], lab_id: str, link: str | None
    ) -> pb.UploadArchiveResponse:
        first = await anext(requests, None)
        if first is None:
            raise InvalidRequest("The upload has no message.")
        size = await self._database.run_write(
            uploads.begin, self._clock.now(), lab_id, first.submission_id, first.offset
        )
        upload = UploadStream(self._parts, first.submission_id, first.offset, size)
        # Only now is it known that the submission is this lab's.
        with tracing.span(
            "upload", first.submission_id, link=link, rpc_method=f"{_METHOD}/UploadArchive"
        ):
            try:
                await upload.feed(first.data)
                async for message in requests:
                    await upload.feed(message.data)
            finally:
                # Also when the connection broke: what has come is kept.
                await upload.flush()
            if upload.durable == size:
                await self._finish(first.submission_id, await upload.digest())
        view = await self._view(first.submission_id, lab_id)
        return pb.UploadArchiveResponse(durable_bytes=upload.durable, submission=view)

    async def _finish(self, submission_id: str, digest: str) -> None:
        matches = await self._database.run_write(
            uploads.finish, self._clock.now(), submission_id, digest
        )
        self._signals.notify(f"submission/{submission_id}")
        if not matches:
            raise DigestMismatch(
                "The submission was refused without using quota; create it again.",
                received_sha256=digest,
            )
        self._signals.notify("checking")

    async def GetSubmission(
        self, request: pb.GetSubmissionRequest, context: Any
    ) -> pb.GetSubmissionResponse:
        identity = await self._authenticator.require(context, "lab")
        view = await self._view(request.submission_id, identity.lab_id)
        return pb.GetSubmissionResponse(submission=view)

    async def ListSubmissions(
        self, request: pb.ListSubmissionsRequest, context: Any
    ) -> pb.ListSubmissionsResponse:
        identity = await self._authenticator.require(context, "lab")
        size = request.page_size or PAGE_SIZE_DEFAULT
        if not 0 < size <= PAGE_SIZE_MAX:
            raise InvalidRequest(f"page_size is 1 to {PAGE_SIZE_MAX}.", field="page_size")
        before = _parse_page_token(request.page_token) if request.page_token else None
        now = self._clock.now()

        def work(connection: Connection) -> pb.ListSubmissionsResponse:
            rows = submissions.list_page(connection, identity.lab_id, size + 1, before)
            page = rows[:size]
            more = len(rows) > size
            return pb.ListSubmissionsResponse(
                submissions=[
                    views.submission_view(connection, now, row, in_list=True) for row in page
                ],
                next_page_token=(
                    _page_token(page[-1].create_time, page[-1].submission_id) if more else ""
                ),
            )

        return await self._database.run_read(work)

    async def CancelSubmission(
        self, request: pb.CancelSubmissionRequest, context: Any
    ) -> pb.CancelSubmissionResponse:
        identity = await self._authenticator.require(context, "lab")
        now = self._clock.now()

        def work(connection: Connection) -> pb.Submission:
            submissions.cancel(connection, now, identity.lab_id, request.submission_id)
            row = submissions.read(connection, request.submission_id)
            return views.submission_view(connection, now, row)

        view = await self._database.run_write(work)
        self._signals.notify(f"submission/{request.submission_id}")
        return pb.CancelSubmissionResponse(submission=view)

    async def RevealModel(
        self, request: pb.RevealModelRequest, context: Any
    ) -> pb.RevealModelResponse:
        identity = await self._authenticator.require(context, "lab")
        revealed = await self._database.run_write(
            naming.reveal, self._clock.now(), identity.lab_id, request.submission_id
        )
        for topic in (
            *(f"submission/{one}" for one in revealed),
            *(["ledger"] if revealed else []),
        ):
            self._signals.notify(topic)
        if revealed:
            # Not the name: whoever reads the log need not know it.
            get_logger().info("model revealed", lab_id=identity.lab_id, submissions=len(revealed))
        view = await self._view(request.submission_id, identity.lab_id)
        return pb.RevealModelResponse(submission=view)

    async def WatchSubmission(
        self, request: pb.WatchSubmissionRequest, context: Any
    ) -> AsyncIterator[pb.WatchSubmissionResponse]:
        caller = await self._authenticator.follow(context, "lab")
        lab_id = caller.identity.lab_id

        def work(connection: Connection, seen: int) -> tuple[int, pb.Submission | None]:
            row = submissions.read(connection, request.submission_id, lab_id)
            if row.revision == seen:
                return seen, None
            return row.revision, views.submission_view(connection, self._clock.now(), row)

        seen = -1
        with self._watches.take(lab_id):
            while True:
                waiter = self._signals.subscribe(f"submission/{request.submission_id}")
                try:
                    await caller.recheck()
                    seen, view = await self._database.run_read(work, seen)
                    if view is not None:
                        yield pb.WatchSubmissionResponse(submission=view)
                        if view.state in views.FINAL_STATES:
                            return
                    await self._signals.wait(waiter, _WATCH_SECONDS)
                finally:
                    # Also for a stranger's id or a watcher that went away: nothing waits for ever.
                    waiter.cancel()

    async def ListTaskResults(
        self, request: pb.ListTaskResultsRequest, context: Any
    ) -> pb.ListTaskResultsResponse:
        identity = await self._authenticator.require(context, "lab")

        def work(connection: Connection) -> list[pb.TaskResult]:
            row = submissions.read(connection, request.submission_id, identity.lab_id)
            return views.task_results_view(connection, row)

        return pb.ListTaskResultsResponse(results=await self._database.run_read(work))

    async def GetReceipt(
        self, request: pb.GetReceiptRequest, context: Any
    ) -> pb.GetReceiptResponse:
        identity = await self._authenticator.require(context, "lab")

        def work(connection: Connection) -> pb.GetReceiptResponse:
            row = submissions.read(connection, request.submission_id, identity.lab_id)
            if row.state != State.PUBLISHED:
                raise IllegalTransition(
                    "A receipt exists once it is published.",
                    submission_id=row.submission_id,
                    state=row.state,
                )
            scores = ledger.scores_of(connection, row.submission_id)
            every = ledger.all_scores_of(connection, row.submission_id)
            superseded = [score for score in every if score not in scores]
            return pb.GetReceiptResponse(
                submission_id=row.submission_id,
                archive_sha256=row.archive_sha256,
                statements=[
                    pb.SignedStatement(task_id=score.task_id, envelope=score.envelope)
                    for score in scores
                ],
                grader_public_keys=ledger.signers_of(every, self._trusted_keys),
                superseded_statements=[
                    pb.SignedStatement(task_id=score.task_id, envelope=score.envelope)
                    for score in superseded
                ],
            )

        return await self._database.run_read(work)

    async def _view(self, submission_id: str, lab_id: str) -> pb.Submission:
        now = self._clock.now()

        def work(connection: Connection) -> pb.Submission:
            row = submissions.read(connection, submission_id, lab_id)
            return views.submission_view(connection, now, row)

        return await self._database.run_read(work)


def _page_token(create_time: datetime, submission_id: str) -> str:
    return base64.urlsafe_b64encode(f"{to_rfc3339(create_time)} {submission_id}".encode()).decode()


def _parse_page_token(token: str) -> tuple[datetime, str]:
    try:
        time, submission_id = base64.urlsafe_b64decode(token).decode().split(" ")
        return from_rfc3339(time), submission_id
    except (ValueError, OverflowError) as error:
        raise InvalidRequest(
            "Use next_page_token of the page before.", field="page_token"
        ) from error
