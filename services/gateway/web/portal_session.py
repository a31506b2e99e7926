"""A browser's session: its cookie, who it is, and proof that a change was asked for on our pages.

A change (POST, PATCH) must come from a page of this site: its ``Origin`` is ours, a
``Sec-Fetch-Site`` that is sent says the same, and it carries the session's own form token, which
only a page of the session holds. The form token is an HMAC under the cookie's secret, so nothing of
it is stored and a new session has another.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from general_level.errors import NotPermitted
from services.gateway import web_sessions
from services.gateway.identity import Caller, Identity
from services.gateway.storage.database import Database
from services.kit.clock import Clock
from services.kit.settings import Secret

#: The field of a form, and the header of a script's request, that carry the form token.
FORM_FIELD: Final = "form_token"
FORM_HEADER: Final = "x-form-token"
#: A stream asks this often whether its session still is one.
RECHECK: Final = timedelta(seconds=1)
_COOKIE: Final = "general-level-session"
_PURPOSE: Final = b"general-level/form-token/v1"


class CrossSiteRequest(NotPermitted):
    """The change was not asked for on a page of this site, or the page is of an ended session."""

    reason = "CROSS_SITE_REQUEST"


@dataclass(frozen=True, slots=True)
class Session:
    """Who is signed in; ``secret`` is what the cookie holds."""

    identity: Identity
    secret: Secret = field(repr=False)

    @property
    def form_token(self) -> str:
        """What a change must carry, hex."""
        return hmac.new(self.secret.reveal().encode(), _PURPOSE, hashlib.sha256).hexdigest()


class Sessions:
    """Sessions of browsers, over `web_sessions`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def require(self, request: Request) -> Session:
        """The session of a request; NotAuthenticated if it has none."""
        secret = Secret(request.cookies.get(_cookie_name(request), ""))
        found = await self._database.run_read(web_sessions.find, self._clock.now(), secret.reveal())
        return Session(found, secret)

    async def follow(self, session: Session) -> Caller:
        """Who asked for something that lasts: the session may end meanwhile."""

        async def read() -> Identity:
            return await self._database.run_read(
                web_sessions.find, self._clock.now(), session.secret.reveal()
            )

        return Caller(await read(), read, self._clock, RECHECK)

    async def sign_in(self, request: Request, token: str, response: Response) -> None:
        """Opens a session in place of the browser's earlier one; NotAuthenticated."""
        name = _cookie_name(request)
        earlier = request.cookies.get(name, "")
        secret = await self._database.run_write(
            web_sessions.sign_in, self._clock.now(), token, earlier
        )
        response.set_cookie(
            name,
            secret.reveal(),
            max_age=int(web_sessions.SESSION_MAX.total_seconds()),
            path="/",
            secure=_is_secure(request),
            httponly=True,
            samesite="lax",
        )

    async def sign_out(self, request: Request, session: Session, response: Response) -> None:
        """Ends the session, in the table and in the browser."""
        await self._database.run_write(web_sessions.sign_out, session.secret.reveal())
        response.delete_cookie(
            _cookie_name(request),
            path="/",
            secure=_is_secure(request),
            httponly=True,
            samesite="lax",
        )


def require_own_page(request: Request) -> None:
    """CrossSiteRequest unless a page of this site sent it."""
    own = str(request.base_url).rstrip("/")
    sent_from = request.headers.get("sec-fetch-site", "same-origin")
    if request.headers.get("origin") != own or sent_from != "same-origin":
        raise CrossSiteRequest("Open the page again and repeat it there.")


def require_form_token(session: Session, token: str) -> None:
    """CrossSiteRequest unless it is the session's."""
    if not hmac.compare_digest(token.encode(), session.form_token.encode()):
        raise CrossSiteRequest("Open the page again and repeat it there.")


def _is_secure(request: Request) -> bool:
    return request.base_url.scheme == "https"


def _cookie_name(request: Request) -> str:
    # A browser takes a cookie of this prefix from https only, for this very host and all of it.
    return f"__Host-{_COOKIE}" if _is_secure(request) else _COOKIE
