"""The site as one ASGI application: routes, static files, and errors as pages or JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Final
from urllib.parse import quote

import grpc
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from general_level.catalogue import Catalogue
from general_level.errors import GeneralLevelError, NotFound
from general_level.wire import to_status
from services.gateway.web.about_pages import AboutPages
from services.gateway.web.answers import Answers
from services.gateway.web.board_pages import BoardPages
from services.gateway.web.compare_pages import ComparePages
from services.gateway.web.edge import Edge, RequestTooLarge, WebLimits
from services.gateway.web.model_pages import ModelPages
from services.gateway.web.movements import Movements
from services.gateway.web.newest import Newest
from services.gateway.web.picture_pages import PicturePages
from services.gateway.web.portal import Portal
from services.gateway.web.public_address import PublicAddress
from services.gateway.web.published_pages import PublishedPages
from services.gateway.web.reader import Reader
from services.gateway.web.reading_pages import ReadingPages
from services.gateway.web.records import Records
from services.gateway.web.rendering import FOLDER, Pages
from services.gateway.web.skill_pages import SkillPages
from services.gateway.web.telemetry import WebTelemetry
from services.kit.grpc_errors import Internal
from services.kit.logging import get_logger

#: HTTP's word (RFC 9110) for each status with which gRPC would answer.
HTTP_STATUS: Final = {
    grpc.StatusCode.INVALID_ARGUMENT.value[0]: 400,
    grpc.StatusCode.UNAUTHENTICATED.value[0]: 401,
    grpc.StatusCode.PERMISSION_DENIED.value[0]: 403,
    grpc.StatusCode.NOT_FOUND.value[0]: 404,
    grpc.StatusCode.ALREADY_EXISTS.value[0]: 409,
    grpc.StatusCode.FAILED_PRECONDITION.value[0]: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]: 429,
    grpc.StatusCode.UNAVAILABLE.value[0]: 503,
}

#: Headings of the pages that say why there is no other.
TITLES: Final = {
    400: "This cannot be asked",
    401: "Sign in first",
    403: "This is not yours to see",
    404: "Not found",
    405: "This cannot be asked",
    413: "This is too large",
    429: "One moment",
    500: "Something went wrong here",
    503: "One moment",
}


class _StaticFiles(StaticFiles):
    """Files whose address changes with their content: a browser may keep them for a year."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        """The file, to be kept."""
        response: Response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        response.headers["cache-control"] = "public, max-age=31536000, immutable"
        return response


def make_site(
    catalogue: Catalogue,
    newest: Newest,
    movements: Movements,
    records: Records,
    portal: Portal,
    answers: Answers,
) -> Starlette:
    """All pages: those that need no account, and the portal of the labs."""
    pages = Pages()
    boards = BoardPages(
        catalogue=catalogue, newest=newest, records=records, pages=pages, answers=answers
    )
    reader = Reader(
        catalogue=catalogue, newest=newest, pages=pages, answers=answers, movements=movements
    )

    published = PublishedPages(catalogue=catalogue, records=records, pages=pages, answers=answers)
    about = AboutPages(catalogue=catalogue, records=records, pages=pages, answers=answers)

    def refused(request: Request, error: Exception) -> Response:
        known = error if isinstance(error, GeneralLevelError) else Internal()
        status = HTTP_STATUS.get(to_status(known).code, 500)
        if isinstance(known, RequestTooLarge):
            status = 413
        if status == 500:
            # What an unforeseen error says may be anything: it stays in the log.
            get_logger().error("page failed", error=type(error).__name__, exc_info=error)
        return _error(pages, request, status, known.reason, str(known), _advice(known, status))

    def unknown(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        if status == 404 and len(path := request.url.path.strip("/")) + 1 < len(request.url.path):
            # Within this site: not to another that an address with two slashes would name.
            return RedirectResponse("/" + quote(path), 308)
        known = NotFound("There is no such page.") if status == 404 else Internal()
        text = str(known) if status == 404 else "This page cannot be read in that way."
        headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
        return _error(pages, request, status, known.reason, text, headers)

    site = Starlette(
        routes=[
            Route("/healthz", _healthy),
            *boards.routes(),
            *ReadingPages(reader).routes(),
            *ModelPages(reader).routes(),
            *ComparePages(reader).routes(),
            *SkillPages(reader).routes(),
            *PicturePages(reader).routes(),
            *published.routes(),
            *about.routes(),
            *portal.routes(pages, answers),
            Mount("/static", _StaticFiles(directory=FOLDER / "static")),
        ],
        exception_handlers={
            GeneralLevelError: refused,
            HTTPException: unknown,
            Exception: refused,
        },
    )
    # It would make whole addresses of what a reader says that this host is called.
    site.router.redirect_slashes = False
    return site


def guarded(
    site: Starlette,
    limits: WebLimits,
    told: WebTelemetry,
    trusted: Iterable[IPv4Network | IPv6Network],
    origin: str | None,
) -> Edge:
    """The site as the world may reach it, at its own address if it has one."""
    refuse: Any = site.exception_handlers[GeneralLevelError]
    # Within the edge: what a proxy says of the scheme never comes over the setting.
    known = PublicAddress(site, origin)
    return Edge(known, refuse=refuse, limits=limits, told=told, trusted=trusted)


async def _healthy(_request: Request) -> Response:
    return PlainTextResponse("ok\n", headers={"cache-control": "no-store"})


def _advice(error: GeneralLevelError, status: int) -> dict[str, str]:
    if status == 413:
        # What is left of the body is not read.
        return {"connection": "close"}
    seconds = error.metadata.get("retry_after_seconds")
    return {"retry-after": seconds} if seconds else {}


def _error(
    pages: Pages,
    request: Request,
    status: int,
    reason: str,
    text: str,
    headers: Mapping[str, str],
) -> Response:
    sent = {**headers, "cache-control": "no-store"}
    if "html" not in request.headers.get("accept", ""):
        return JSONResponse({"reason": reason, "message": text}, status, sent)
    title = TITLES.get(status, TITLES[500] if status >= 500 else TITLES[400])
    page = pages.render("error.html", status=status, reason=reason, text=text, title=title)
    return Response(page, status, sent, media_type="text/html; charset=utf-8")
