"""The lab's own pages: what it may submit, what it has submitted, and a new submission."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from general_level.catalogue import Catalogue, Modality, limits
from general_level.client import convert, models
from general_level.fairness import WINDOWS, Hold, holds_within
from general_level.identifiers import new_request_id
from general_level.v1 import submission_pb2 as pb
from services.gateway.lab_desk import LabDesk
from services.gateway.participation import Participation
from services.gateway.web.portal_forms import Form
from services.gateway.web.portal_session import Sessions
from services.gateway.web.portal_view import PortalView
from services.gateway.web.session_pages import private
from services.kit.clock import Clock

#: Submissions on one page of the list.
LISTED: Final = 20
_OPEN_WEIGHTS: Final[Mapping[str, bool | None]] = {"yes": True, "no": False, "": None}
_ANONYMOUS: Final = {"yes": True, "": False}
_PAGE_TOKEN_CHARACTERS_MAX: Final = 200


class PortalPages:
    """Handlers of ``/portal`` and of what is created there; every one needs a session."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        clock: Clock,
        sessions: Sessions,
        desk: LabDesk,
        participation: Participation,
        view: PortalView,
    ) -> None:
        self._catalogue = catalogue
        self._clock = clock
        self._sessions = sessions
        self._desk = desk
        self._participation = participation
        self._view = view

    def routes(self) -> list[Route]:
        """In the order in which they are tried."""
        return [
            Route("/portal", private(self.dashboard)),
            Route("/portal/agreement", private(self.accept), methods=["POST"]),
            Route("/portal/new", private(self.new)),
            Route("/portal/submissions", private(self.create), methods=["POST"]),
        ]

    async def dashboard(self, request: Request) -> Response:
        """The quota, the agreement where it is to be accepted, and the lab's submissions."""
        session = await self._sessions.require(request)
        quota = convert.quota(await self._participation.quota(session.identity))
        agreement = convert.agreement(await self._participation.agreement(session.identity))
        token = request.query_params.get("page", "")[:_PAGE_TOKEN_CHARACTERS_MAX]
        listed = await self._desk.list_page(session.identity, LISTED, token)
        now = self._clock.now()
        return self._view.page(
            session,
            "portal/dashboard.html",
            windows=_windows(quota, now),
            next_slot=quota.next_slot_time,
            free=quota.next_slot_time is None or quota.next_slot_time <= now,
            pending=quota.pending_submission_id,
            agreement=agreement,
            submissions=[convert.submission(one) for one in listed.submissions],
            next_page=listed.next_page_token,
            later_page=bool(token),
        )

    async def accept(self, request: Request) -> Response:
        """Accepts the agreement for the lab."""
        session, form = await self._view.changing(request)
        await self._participation.accept(session.identity, form.text("version"))
        return RedirectResponse("/portal", 303)

    async def new(self, request: Request) -> Response:
        """The form of a new submission."""
        session = await self._sessions.require(request)
        boards: dict[str, list[object]] = {}
        for board in self._catalogue.boards.values():
            boards.setdefault(board.scope.value, []).append(board)
        return self._view.page(
            session,
            "portal/new.html",
            boards=boards,
            modalities=[modality.value for modality in Modality],
            request_id=new_request_id(),
            limits=limits,
        )

    async def create(self, request: Request) -> Response:
        """Opens the submission that the form describes; the archive's bytes come after."""
        session, form = await self._view.changing(request)
        created = await self._desk.create(session.identity, _create_request(form))
        address = f"/portal/submissions/{created.submission_id}"
        if "html" in request.headers.get("accept", ""):
            return RedirectResponse(address, 303)
        return JSONResponse(
            {
                "submission_id": created.submission_id,
                "page": address,
                "archive": f"{address}/archive",
            },
            201,
        )


def _create_request(form: Form) -> pb.CreateSubmissionRequest:
    """What the gRPC call would carry; the desk decides whether it can be."""
    model = models.ModelMetadata(
        model_name=form.text("model_name", limits.MAX_MODEL_NAME_CHARS),
        organisation=form.text("organisation", limits.MAX_ORGANISATION_CHARS),
        parameter_count=form.number("parameter_count", limits.MAX_PARAMETER_COUNT),
        description=form.text("description", limits.MAX_DESCRIPTION_CHARS),
        modalities=tuple(form.choices("modalities")),
        report_url=form.text("report_url", limits.MAX_LINK_CHARS),
        contact_email=form.text("contact_email", limits.MAX_EMAIL_CHARS),
        open_weights=form.choice("open_weights", _OPEN_WEIGHTS),
        anonymous=form.choice("anonymous", _ANONYMOUS),
    )
    return pb.CreateSubmissionRequest(
        request_id=form.text("request_id"),
        board_id=form.text("board_id"),
        model=convert.model_metadata_message(model),
        archive_bytes=form.number("archive_bytes", limits.MAX_ARCHIVE_BYTES),
        archive_sha256=form.text("archive_sha256"),
        archive_name=form.text("archive_name", limits.MAX_NAME_BYTES),
    )


def _windows(quota: models.Quota, now: datetime) -> list[Mapping[str, Any]]:
    """Each window with what holds its slots, and when each of them is free again."""
    holds = [Hold(holder.hold_time, holder.submission_id) for holder in quota.holders]
    return [
        {
            "limit": window.limit,
            "used": told.used,
            "hours": int(window.length / timedelta(hours=1)),
            "holds": [
                (hold.submission_id, hold.time, hold.time + window.length)
                for hold in holds_within(holds, window, now)
            ],
        }
        for window, told in zip(WINDOWS, quota.windows, strict=True)
    ]
