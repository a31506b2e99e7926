"""What a lab may do with its submissions, whichever way it comes: by gRPC or by the portal.

Each call is one transaction of `submissions` or `views`; a lab sees only its own submissions.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from general_level.catalogue import Catalogue
from general_level.create_request import check_create
from general_level.errors import IllegalTransition, InvalidRequest
from general_level.identifiers import new_id
from general_level.v1 import submission_pb2 as pb
from general_level.wire import from_rfc3339, to_rfc3339
from services.gateway import agreement, ledger, naming, submissions, views
from services.gateway.identity import Caller, Identity
from services.gateway.places import Places
from services.gateway.signals import Signals
from services.gateway.states import State
from services.gateway.storage.database import Database
from services.gateway.telemetry import Telemetry
from services.kit import tracing
from services.kit.clock import Clock
from services.kit.logging import get_logger

PAGE_SIZE_DEFAULT: Final = 20
PAGE_SIZE_MAX: Final = 100
#: Watches that one lab may have open at once.
WATCHES_MAX: Final = 32
#: A watcher reads again this often, so that a change made by another replica is seen.
_WATCH_SECONDS: Final = 1.0


class LabDesk:
    """Knows neither gRPC nor HTTP: it takes who calls, and answers in the contract's messages."""

    def __init__(
        self,
        *,
        database: Database,
        signals: Signals,
        clock: Clock,
        catalogue: Catalogue,
        telemetry: Telemetry,
        trusted_keys: Sequence[bytes],
    ) -> None:
        self._database = database
        self._signals = signals
        self._clock = clock
        self._catalogue = catalogue
        self._telemetry = telemetry
        self._trusted_keys = tuple(trusted_keys)
        self._watches = Places(WATCHES_MAX)

    async def create(
        self,
        identity: Identity,
        request: pb.CreateSubmissionRequest,
        *,
        link: str | None = None,
        rpc_method: str = "",
    ) -> pb.Submission:
        """Reserves a slot and opens a submission.

        Raises what `check_create` and `submissions.create` raise. ``link`` is the caller's
        traceparent, ``rpc_method`` the call's whole name where it is one of gRPC.
        """
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
            link=link,
            board_id=request.board_id,
            **called_by(rpc_method),
        )
        get_logger().info(
            "submission created",
            submission_id=submission.submission_id,
            lab_id=identity.lab_id,
            board_id=request.board_id,
            archive_bytes=request.archive_bytes,
        )
        return submission

    async def view(self, identity: Identity, submission_id: str) -> pb.Submission:
        """One submission as it is now; NotFound also for another lab's."""
        now = self._clock.now()

        def work(connection: Connection) -> pb.Submission:
            row = submissions.read(connection, submission_id, identity.lab_id)
            return views.submission_view(connection, now, row)

        return await self._database.run_read(work)

    async def list_page(
        self, identity: Identity, page_size: int = 0, page_token: str = ""
    ) -> pb.ListSubmissionsResponse:
        """The lab's submissions, newest first; InvalidRequest for a page that cannot be."""
        size = page_size or PAGE_SIZE_DEFAULT
        if not 0 < size <= PAGE_SIZE_MAX:
            raise InvalidRequest(f"page_size is 1 to {PAGE_SIZE_MAX}.", field="page_size")
        before = _parse_page_token(page_token) if page_token else None
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

    async def cancel(self, identity: Identity, submission_id: str) -> pb.Submission:
        """Withdraws a submission that is not finished; IllegalTransition for a finished one."""
        now = self._clock.now()

        def work(connection: Connection) -> pb.Submission:
            submissions.cancel(connection, now, identity.lab_id, submission_id)
            row = submissions.read(connection, submission_id)
            return views.submission_view(connection, now, row)

        view = await self._database.run_write(work)
        self._signals.notify(f"submission/{submission_id}")
        return view

    async def reveal(self, identity: Identity, submission_id: str) -> pb.Submission:
        """Opens an anonymous model's name; once more is no error. Raises as `naming.reveal`."""
        revealed = await self._database.run_write(
            naming.reveal, self._clock.now(), identity.lab_id, submission_id
        )
        for topic in (
            *(f"submission/{one}" for one in revealed),
            *(["ledger"] if revealed else []),
        ):
            self._signals.notify(topic)
        if revealed:
            # Not the name: whoever reads the log need not know it.
            get_logger().info("model revealed", lab_id=identity.lab_id, submissions=len(revealed))
        return await self.view(identity, submission_id)

    async def watch(
        self, caller: Caller, submission_id: str
    ) -> AsyncGenerator[pb.Submission, None]:
        """The submission now and again whenever it changes, until it is finished."""
        lab_id = caller.identity.lab_id

        def work(connection: Connection, seen: int) -> tuple[int, pb.Submission | None]:
            row = submissions.read(connection, submission_id, lab_id)
            if row.revision == seen:
                return seen, None
            return row.revision, views.submission_view(connection, self._clock.now(), row)

        seen = -1
        with self._watches.take(lab_id):
            while True:
                waiter = self._signals.subscribe(f"submission/{submission_id}")
                try:
                    await caller.recheck()
                    seen, view = await self._database.run_read(work, seen)
                    if view is not None:
                        yield view
                        if view.state in views.FINAL_STATES:
                            return
                    await self._signals.wait(waiter, _WATCH_SECONDS)
                finally:
                    # Also for a stranger's id or a watcher that went away: nothing waits for ever.
                    waiter.cancel()

    async def results(self, identity: Identity, submission_id: str) -> list[pb.TaskResult]:
        """What became of each task; values only once the submission is published."""

        def work(connection: Connection) -> list[pb.TaskResult]:
            row = submissions.read(connection, submission_id, identity.lab_id)
            return views.task_results_view(connection, row)

        return await self._database.run_read(work)

    async def receipt(self, identity: Identity, submission_id: str) -> pb.GetReceiptResponse:
        """The signed statements of a published submission; IllegalTransition for another."""

        def work(connection: Connection) -> pb.GetReceiptResponse:
            row = submissions.read(connection, submission_id, identity.lab_id)
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


def called_by(rpc_method: str) -> dict[str, Any]:
    """What a span tells of the call; nothing of one that did not come by gRPC."""
    return {"rpc_method": rpc_method} if rpc_method else {}


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
