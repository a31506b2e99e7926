"""What the handlers of the portal share: its pages, and who may ask for a change on one of them."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from general_level.catalogue import Catalogue
from services.gateway.web import portal_words
from services.gateway.web.portal_forms import Form, read_form
from services.gateway.web.portal_session import (
    FORM_FIELD,
    Session,
    Sessions,
    require_form_token,
    require_own_page,
)
from services.gateway.web.rendering import Pages


class PortalView:
    """Renders a page for a session, and takes forms only from such a page."""

    def __init__(self, *, catalogue: Catalogue, sessions: Sessions, pages: Pages) -> None:
        self._catalogue = catalogue
        self._sessions = sessions
        self._pages = pages

    def page(self, session: Session, template: str, **values: Any) -> Response:
        """The page, whose forms carry the session's token."""
        page = self._pages.render(
            template,
            form_token=session.form_token,
            words=portal_words,
            catalogue=self._catalogue,
            **values,
        )
        return Response(page, media_type="text/html; charset=utf-8")

    async def changing(self, request: Request) -> tuple[Session, Form]:
        """Who asks for a change on a page of ours, and the form; else CrossSiteRequest."""
        require_own_page(request)
        session = await self._sessions.require(request)
        form = await read_form(request)
        require_form_token(session, form.raw(FORM_FIELD))
        return session, form
