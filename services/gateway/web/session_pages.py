"""Sign in with the lab's token, and sign out."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from general_level.errors import NotAuthenticated
from services.gateway.web.portal_forms import read_form
from services.gateway.web.portal_session import Sessions, require_own_page
from services.gateway.web.portal_view import PortalView
from services.gateway.web.rendering import Pages
from services.kit.logging import get_logger

#: A token has 101 characters.
TOKEN_CHARACTERS_MAX: Final = 200
PORTAL: Final = "/portal"
#: Where one may be sent after signing in: a page of the portal and nothing else.
_NEXT: Final = re.compile(r"/portal(/[A-Za-z0-9_]+){0,3}")

Handler = Callable[[Request], Awaitable[Response]]


class Attempts(Protocol):
    """Decides who may try to sign in now."""

    def check(self, key: str) -> None:
        """Counts an attempt from an address; raises ResourceExhausted where there were too many."""


class SessionPages:
    """Handlers of ``/sign-in`` and ``/portal/sign-out``."""

    def __init__(
        self, *, sessions: Sessions, pages: Pages, view: PortalView, attempts: Attempts | None
    ) -> None:
        self._sessions = sessions
        self._pages = pages
        self._view = view
        self._attempts = attempts

    def routes(self) -> list[Route]:
        """In the order in which they are tried."""
        return [
            Route("/sign-in", private(self.form)),
            Route("/sign-in", private(self.sign_in), methods=["POST"]),
            Route("/portal/sign-out", private(self.sign_out), methods=["POST"]),
        ]

    async def form(self, request: Request) -> Response:
        """The form; whoever is signed in already goes to the portal."""
        wanted = _next(request.query_params.get("next", ""))
        try:
            await self._sessions.require(request)
        except NotAuthenticated:
            return self._form(wanted)
        return RedirectResponse(wanted, 303)

    async def sign_in(self, request: Request) -> Response:
        """A new session, or the form again."""
        require_own_page(request)
        if self._attempts is not None:
            self._attempts.check(request.client.host if request.client else "")
        form = await read_form(request)
        wanted, token = _next(form.text("next")), form.text("token", TOKEN_CHARACTERS_MAX)
        response = RedirectResponse(wanted, 303)
        try:
            await self._sessions.sign_in(request, token, response)
        except NotAuthenticated:
            return self._form(wanted, failed=True)
        get_logger().info("a lab signed in to the portal")
        return response

    async def sign_out(self, request: Request) -> Response:
        """Ends the session."""
        session, _form = await self._view.changing(request)
        response = RedirectResponse("/", 303)
        await self._sessions.sign_out(request, session, response)
        return response

    def _form(self, wanted: str, *, failed: bool = False) -> Response:
        page = self._pages.render("portal/sign_in.html", wanted=wanted, failed=failed)
        return Response(page, 401 if failed else 200, media_type="text/html; charset=utf-8")


def private(handler: Handler) -> Handler:
    """Nothing of the answer is kept by anyone; who is not signed in is asked to, or told so."""

    async def answer(request: Request) -> Response:
        try:
            response = await handler(request)
        except NotAuthenticated:
            if "html" not in request.headers.get("accept", ""):
                raise
            wanted = request.url.path if request.method == "GET" else PORTAL
            response = RedirectResponse(f"/sign-in?next={_next(wanted)}", 303)
        response.headers["cache-control"] = "no-store"
        return response

    return answer


def _next(wanted: str) -> str:
    return wanted if _NEXT.fullmatch(wanted) else PORTAL
