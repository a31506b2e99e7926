"""The portal for labs: its pages put together."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.routing import Route

from general_level.catalogue import Catalogue
from services.gateway.lab_desk import LabDesk
from services.gateway.lab_uploads import LabUploads
from services.gateway.participation import Participation
from services.gateway.storage.database import Database
from services.gateway.web.answers import Answers
from services.gateway.web.finding_pages import FindingPages
from services.gateway.web.newest import Newest
from services.gateway.web.portal_pages import PortalPages
from services.gateway.web.portal_session import Sessions
from services.gateway.web.portal_stream import PortalStream
from services.gateway.web.portal_submission import PortalSubmission
from services.gateway.web.portal_upload import PortalUpload
from services.gateway.web.portal_view import PortalView
from services.gateway.web.rendering import Pages
from services.gateway.web.session_pages import Attempts, SessionPages
from services.kit.clock import Clock


@dataclass(frozen=True, slots=True)
class PortalParts:
    """What the portal works with; ``attempts`` limits attempts to sign in, where there is one."""

    database: Database
    clock: Clock
    desk: LabDesk
    uploads: LabUploads
    participation: Participation
    attempts: Attempts | None = None


class Portal:
    """All of ``/portal`` and ``/sign-in``, and the findings' page that it leads to."""

    def __init__(self, parts: PortalParts, catalogue: Catalogue, newest: Newest) -> None:
        self._parts = parts
        self._catalogue = catalogue
        self._newest = newest
        self._sessions = Sessions(parts.database, parts.clock)
        self._stream = PortalStream(sessions=self._sessions, desk=parts.desk)

    def routes(self, pages: Pages, answers: Answers) -> list[Route]:
        """In the order in which they are tried."""
        parts, sessions = self._parts, self._sessions
        view = PortalView(catalogue=self._catalogue, sessions=sessions, pages=pages)
        return [
            *FindingPages(pages=pages, answers=answers).routes(),
            *SessionPages(
                sessions=sessions, pages=pages, view=view, attempts=parts.attempts
            ).routes(),
            *PortalPages(
                catalogue=self._catalogue,
                clock=parts.clock,
                sessions=sessions,
                desk=parts.desk,
                participation=parts.participation,
                view=view,
            ).routes(),
            *PortalSubmission(
                database=parts.database,
                catalogue=self._catalogue,
                newest=self._newest,
                sessions=sessions,
                desk=parts.desk,
                upload=PortalUpload(sessions=sessions, uploads=parts.uploads),
                stream=self._stream,
                view=view,
            ).routes(),
        ]

    def end(self) -> None:
        """Ends the streams, because the gateway stops."""
        self._stream.end()
