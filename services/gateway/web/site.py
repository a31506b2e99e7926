"""The site as one ASGI application: routes, static files, and errors as pages or JSON."""

from __future__ import annotations

from typing import Final

import grpc
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from general_level.catalogue import Catalogue
from general_level.errors import GeneralLevelError, NotFound
from general_level.wire import to_status
from services.gateway.web.about_pages import AboutPages
from services.gateway.web.answers import Answers
from services.gateway.web.board_pages import BoardPages
from services.gateway.web.compare_pages import ComparePages
from services.gateway.web.model_pages import ModelPages
from services.gateway.web.movements import Movements
from services.gateway.web.newest import Newest
from services.gateway.web.picture_pages import PicturePages
from services.gateway.web.portal import Portal
from services.gateway.web.published_pages import PublishedPages
from services.gateway.web.reader import Reader
from services.gateway.web.reading_pages import ReadingPages
from services.gateway.web.records import Records
from services.gateway.web.rendering import FOLDER, Pages
from services.gateway.web.security import SecurityHeaders
from services.gateway.web.skill_pages import SkillPages
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
) -> Starlette:
    """All pages: those that need no account, and the portal of the labs."""
    pages, answers = Pages(), Answers()
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
        if status == 500:
            # What an unforeseen error says may be anything: it stays in the log.
            get_logger().error("page failed", error=type(error).__name__, exc_info=error)
        return _error(pages, request, status, known.reason, str(known))

    def unknown(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        known = NotFound("There is no such page.") if status == 404 else Internal()
        text = str(known) if status == 404 else "This page cannot be read in that way."
        return _error(pages, request, status, known.reason, text)

    return Starlette(
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
        middleware=[Middleware(SecurityHeaders)],
        exception_handlers={
            GeneralLevelError: refused,
            HTTPException: unknown,
            Exception: refused,
        },
    )


async def _healthy(_request: Request) -> Response:
    return PlainTextResponse("ok\n", headers={"cache-control": "no-store"})


def _error(pages: Pages, request: Request, status: int, reason: str, text: str) -> Response:
    headers = {"cache-control": "no-store"}
    if "html" not in request.headers.get("accept", ""):
        return JSONResponse({"reason": reason, "message": text}, status, headers)
    page = pages.render("error.html", status=status, reason=reason, text=text)
    return Response(page, status, headers, media_type="text/html; charset=utf-8")
