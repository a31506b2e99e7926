"""One submission of the lab: its page, which is live, its receipt, and its withdrawal."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from general_level.catalogue import Catalogue
from general_level.client import convert
from general_level.client.models import SubmissionState
from general_level.receipts import dump_receipt
from services.gateway.lab_desk import LabDesk
from services.gateway.modality_progress import read_progress
from services.gateway.storage.database import Database
from services.gateway.web.newest import Newest
from services.gateway.web.portal_session import Sessions
from services.gateway.web.portal_stream import PortalStream
from services.gateway.web.portal_upload import PortalUpload
from services.gateway.web.portal_view import PortalView
from services.gateway.web.session_pages import private

_WITH_PROGRESS: Final = frozenset(
    {SubmissionState.QUEUED, SubmissionState.GRADING, SubmissionState.RANKING}
)


class PortalSubmission:
    """Handlers of ``/portal/submissions/{submission_id}``; another lab's is not found."""

    def __init__(
        self,
        *,
        database: Database,
        catalogue: Catalogue,
        newest: Newest,
        sessions: Sessions,
        desk: LabDesk,
        upload: PortalUpload,
        stream: PortalStream,
        view: PortalView,
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._newest = newest
        self._sessions = sessions
        self._desk = desk
        self._upload = upload
        self._stream = stream
        self._view = view

    def routes(self) -> list[Route]:
        """In the order in which they are tried."""
        one = "/portal/submissions/{submission_id}"
        return [
            Route(one, private(self.page)),
            Route(f"{one}/events", private(self._stream.events)),
            Route(f"{one}/archive", private(self._upload.head), methods=["HEAD"]),
            Route(f"{one}/archive", private(self._upload.patch), methods=["PATCH"]),
            Route(f"{one}/archive", private(self._upload.options), methods=["OPTIONS"]),
            Route(f"{one}/withdraw", private(self.confirm)),
            Route(f"{one}/withdraw", private(self.withdraw), methods=["POST"]),
            Route(f"{one}/reveal", private(self.reveal), methods=["POST"]),
            Route(f"{one}/receipt.json", private(self.receipt)),
        ]

    async def page(self, request: Request) -> Response:
        """The submission as it is now; with ``part`` nothing but what changes by itself."""
        session = await self._sessions.require(request)
        submission_id = request.path_params["submission_id"]
        view = convert.submission(await self._desk.view(session.identity, submission_id))
        progress: tuple[object, ...] = ()
        if view.state in _WITH_PROGRESS:
            progress = await self._database.run_read(
                read_progress, submission_id, session.identity.lab_id
            )
        results = []
        if view.state.is_final:
            told = await self._desk.results(session.identity, submission_id)
            results = [convert.task_result(one) for one in told]
        standings = self._newest.boards_of(submission_id)
        if view.state is SubmissionState.PUBLISHED and not standings:
            # It and its standings were published together; this gateway has not read them yet.
            await self._newest.refresh()
            standings = self._newest.boards_of(submission_id)
        part = "part" in request.query_params
        return self._view.page(
            session,
            "portal/submission_live.html" if part else "portal/submission.html",
            submission=view,
            board=self._catalogue.boards.get(view.board_id),
            progress=progress,
            results=results,
            standings=standings,
        )

    async def confirm(self, request: Request) -> Response:
        """Asks before a withdrawal, and says what becomes of the slot."""
        session = await self._sessions.require(request)
        view = convert.submission(
            await self._desk.view(session.identity, request.path_params["submission_id"])
        )
        return self._view.page(session, "portal/withdraw.html", submission=view)

    async def withdraw(self, request: Request) -> Response:
        """Withdraws it."""
        session, _form = await self._view.changing(request)
        submission_id = request.path_params["submission_id"]
        await self._desk.cancel(session.identity, submission_id)
        return RedirectResponse(f"/portal/submissions/{submission_id}", 303)

    async def reveal(self, request: Request) -> Response:
        """Opens the name of an anonymous model, for good."""
        session, _form = await self._view.changing(request)
        submission_id = request.path_params["submission_id"]
        await self._desk.reveal(session.identity, submission_id)
        return RedirectResponse(f"/portal/submissions/{submission_id}", 303)

    async def receipt(self, request: Request) -> Response:
        """The file that the labs' command line verifies."""
        session = await self._sessions.require(request)
        submission_id = request.path_params["submission_id"]
        signed = await self._desk.receipt(session.identity, submission_id)
        name = f'attachment; filename="receipt-{signed.submission_id}.json"'
        return Response(
            dump_receipt(convert.receipt(signed)),
            media_type="application/json",
            headers={"content-disposition": name},
        )
