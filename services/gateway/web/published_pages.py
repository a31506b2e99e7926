"""Results that were published before this platform: always with the mark that says so."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from general_level.catalogue import Catalogue
from general_level.errors import NotFound
from services.gateway.web.answers import Answers
from services.gateway.web.printed import Choice, Printed, remarks_at, to_csv
from services.gateway.web.records import Records
from services.gateway.web.rendering import Pages

_CSV: Final = "text/csv; charset=utf-8"


class PublishedPages:
    """Handlers of ``/published``; they read what `Records` holds and never the database."""

    def __init__(
        self, *, catalogue: Catalogue, records: Records, pages: Pages, answers: Answers
    ) -> None:
        self._catalogue = catalogue
        self._records = records
        self._pages = pages
        self._answers = answers

    def routes(self) -> list[Route]:
        """In the order in which they are tried."""
        return [
            Route("/published", self.index),
            Route("/published/{history_id}.json", self.as_json),
            Route("/published/{history_id}.csv", self.as_csv),
            Route("/published/{history_id}/models/{slug}", self.model),
            Route("/published/{history_id}", self.tables),
        ]

    async def index(self, request: Request) -> Response:
        """All historical results."""
        return await self._answer(request, "published.html", found=self._records.printed)

    async def tables(self, request: Request) -> Response:
        """One printed table, as the address asks for it."""
        printed = self._find(request)
        chosen = Choice.from_query(request.query_params, printed)
        return await self._answer(
            request,
            "published_tables.html",
            printed=printed,
            chosen=chosen,
            lines=chosen.apply(printed.tables[chosen.level]),
            remarks_at=remarks_at,
        )

    async def model(self, request: Request) -> Response:
        """What the printed tables tell of one model."""
        printed = self._find(request)
        lines = printed.by_slug.get(request.path_params["slug"])
        if lines is None:
            raise NotFound("The published results have no such model.")
        return await self._answer(request, "published_model.html", printed=printed, lines=lines)

    async def as_json(self, request: Request) -> Response:
        """The document as it was imported."""
        printed = self._find(request)
        headers = _saved_as(printed, "json")
        return await self._answers.answer(
            request, printed.sha256, lambda: printed.data, "application/json", headers
        )

    async def as_csv(self, request: Request) -> Response:
        """All tables for a spreadsheet."""
        printed = self._find(request)
        version = f"{self._pages.version}/{printed.sha256}"
        return await self._answers.answer(
            request, version, lambda: to_csv(printed), _CSV, _saved_as(printed, "csv")
        )

    def _find(self, request: Request) -> Printed:
        printed = self._records.printed.get(request.path_params["history_id"])
        if printed is None:
            raise NotFound("There are no published results of this name.")
        return printed

    async def _answer(self, request: Request, template: str, **values: object) -> Response:
        return await self._answers.answer(
            request,
            f"{self._pages.version}/{self._catalogue.id}/{self._records.version}",
            lambda: self._pages.render(template, catalogue=self._catalogue, **values),
        )


def _saved_as(printed: Printed, suffix: str) -> dict[str, str]:
    return {"content-disposition": f'inline; filename="{printed.id}.{suffix}"'}
