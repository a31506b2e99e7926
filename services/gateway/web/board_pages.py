"""A board: its table, its downloads, and the stream that tells an open page of new standings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from general_level.catalogue import Board, Catalogue
from general_level.errors import NotFound, ResourceExhausted, UnknownBoard
from services.gateway.places import Places
from services.gateway.web.answers import Answers
from services.gateway.web.downloads import to_atom, to_csv
from services.gateway.web.newest import Newest, Sheet
from services.gateway.web.records import Records
from services.gateway.web.rendering import Pages
from services.gateway.web.selection import MODALITIES, SIZES, WEIGHTS, Selection, modalities

#: Rows that a board shows before a reader asks for all: a browser lays out so many at once quickly.
ROWS_FIRST: Final = 250
#: Streams of news that this gateway keeps open.
STREAMS_MAX: Final = 1_000
#: A comment is sent this often where there is no news, so that a broken connection is noticed.
PING_SECONDS: Final = 15.0
#: How long a browser waits before it comes back after a broken stream.
RETRY_MS: Final = 2_000
_CSV: Final = "text/csv; charset=utf-8"
_ATOM: Final = "application/atom+xml"


class BoardPages:
    """Handlers of ``/boards``; they read what `Newest` holds and never the database."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        newest: Newest,
        records: Records,
        pages: Pages,
        answers: Answers,
    ) -> None:
        self._catalogue = catalogue
        self._newest = newest
        self._records = records
        self._pages = pages
        self._answers = answers
        self._streams = Places(STREAMS_MAX)

    def routes(self) -> list[Route]:
        """In the order in which they are tried."""
        return [
            Route("/boards", self.index),
            Route("/boards/{board_id}.json", self.as_json),
            Route("/boards/{board_id}.csv", self.as_csv),
            Route("/boards/{board_id}.atom", self.as_atom),
            Route("/boards/{board_id}/events", self.events),
            Route("/boards/{board_id}", self.board),
        ]

    async def index(self, request: Request) -> Response:
        """All boards by scope, with who leads."""
        sheets = self._newest.sheets()
        position = max((sheet.publication_id for sheet in sheets.values()), default=0)
        return await self._answers.answer(
            request,
            f"{self._pages.version}/{position}",
            lambda: self._pages.render("boards.html", catalogue=self._catalogue, sheets=sheets),
        )

    async def board(self, request: Request) -> Response:
        """The table as the address asks for it; with ``part`` nothing but the table."""
        board, sheet = self._find(request)
        chosen = Selection.from_query(request.query_params, sheet)
        template = "board_table.html" if "part" in request.query_params else "board.html"
        return await self._answers.answer(
            request,
            f"{self._pages.version}/{sheet.sha256 if sheet else ''}/{self._records.version}",
            lambda: self._pages.render(template, **self._values(board, sheet, chosen)),
        )

    async def as_json(self, request: Request) -> Response:
        """The canonical snapshot, whose SHA-256 the client prints as well."""
        board, sheet = self._published(request)
        snapshot = await self._newest.snapshot(sheet)
        return await self._answers.answer(
            request,
            sheet.sha256,
            lambda: snapshot,
            "application/json",
            {"x-snapshot-sha256": sheet.sha256, **_saved_as(board, "json")},
        )

    async def as_csv(self, request: Request) -> Response:
        """The board for a spreadsheet."""
        board, sheet = self._published(request)
        version = f"{self._pages.version}/{sheet.sha256}"
        return await self._answers.answer(
            request,
            version,
            lambda: to_csv(sheet, self._newest.facts),
            _CSV,
            _saved_as(board, "csv"),
        )

    async def as_atom(self, request: Request) -> Response:
        """The newest models of the board, for feed readers."""
        board, sheet = self._published(request)
        base = str(request.base_url).rstrip("/")
        return await self._answers.answer(
            request,
            f"{self._pages.version}/{base}/{sheet.sha256}",
            lambda: to_atom(board, sheet, base),
            _ATOM,
        )

    async def events(self, request: Request) -> Response:
        """Server-sent events: one for each publication of the board, its number as data."""
        board, sheet = self._find(request)
        if self._streams.taken("all") >= STREAMS_MAX:
            raise ResourceExhausted("Too many pages listen here; this one will come back.")
        seen = sheet.publication_id if sheet else 0
        told = request.headers.get("last-event-id", "")
        if told.isascii() and told.isdigit() and len(told) < 16:
            seen = min(seen, int(told))
        return StreamingResponse(
            self._news(board.id, seen),
            media_type="text/event-stream",
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )

    async def _news(self, board_id: str, seen: int) -> AsyncIterator[str]:
        with self._streams.take("all"):
            yield f"retry: {RETRY_MS}\n\n"
            async for position in self._newest.changes(board_id, seen, PING_SECONDS):
                if position > seen:
                    seen = position
                    yield f"id: {seen}\nevent: standings\ndata: {seen}\n\n"
                else:
                    yield ": still here\n\n"

    def _find(self, request: Request) -> tuple[Board, Sheet | None]:
        board_id = request.path_params["board_id"]
        board = self._catalogue.boards.get(board_id)
        if board is None:
            raise UnknownBoard(board_id=board_id)
        return board, self._newest.sheet(board_id)

    def _published(self, request: Request) -> tuple[Board, Sheet]:
        board, sheet = self._find(request)
        if sheet is None:
            raise NotFound("This board has no publication yet.", board_id=board.id)
        return board, sheet

    def _values(self, board: Board, sheet: Sheet | None, chosen: Selection) -> Mapping[str, Any]:
        shown = modalities(sheet)
        found = chosen.apply(sheet.rows, self._newest.facts) if sheet else []
        return {
            "board": board,
            "catalogue": self._catalogue,
            "history": self._records.of_board(board.id),
            "sheet": sheet,
            "chosen": chosen,
            "found": len(found),
            "rows": found if chosen.everything else found[:ROWS_FIRST],
            "facts_of": self._newest.facts,
            "choices": {"modality": MODALITIES, "weights": WEIGHTS, "size": SIZES},
            "shown": shown if len(shown) > 1 else [],
            "skill": self._catalogue.skills.get(board.skill_id or ""),
        }


def _saved_as(board: Board, suffix: str) -> dict[str, str]:
    return {"content-disposition": f'inline; filename="{board.id}.{suffix}"'}
