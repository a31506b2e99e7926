"""Home, and how to take part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import nlargest
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from general_level.fairness import WINDOWS
from services.gateway import agreement
from services.gateway.web import pictures
from services.gateway.web.movements import Publication
from services.gateway.web.newest import Row, Sheet
from services.gateway.web.reader import FIRST, Reader
from services.gateway.web.rules import window_text

#: Movements on the home page.
MOVEMENTS_MAX: Final = 10
#: Leaders on the home page.
LEADERS_MAX: Final = 5


class ReadingPages:
    """Handlers of the pages that a stranger reads first."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def routes(self) -> list[Route]:
        """In the order in which they are tried."""
        return [Route("/", self.home), Route("/take-part", self.take_part)]

    async def home(self, request: Request) -> Response:
        """What the benchmark is, its scopes, who leads, and what moved last."""
        sheets = dict(self._reader.newest.sheets())
        first = sheets.get(FIRST)
        publications = await self._reader.movements.of(first) if first else ()
        return await self._reader.answer(
            request, "home.html", lambda: self._home(sheets, publications), publications
        )

    async def take_part(self, request: Request) -> Response:
        """The rules, the quota, and the commands of a lab."""
        return await self._reader.answer(
            request,
            "take_part.html",
            lambda: {
                "windows": [window_text(window) for window in WINDOWS],
                "agreement": agreement.TEXT,
                "agreement_version": agreement.VERSION,
            },
        )

    def _home(
        self, sheets: Mapping[str, Sheet], publications: Sequence[Publication]
    ) -> dict[str, Any]:
        board, first = self._reader.catalogue.boards.get(FIRST), sheets.get(FIRST)
        shown = (board, first) if board and first and first.rows else None
        return {
            "movements": latest(sheets),
            "first": first,
            "leaders": first.rows[:LEADERS_MAX] if first else (),
            "distribution": pictures.distribution(*shown) if shown else None,
            "movement": pictures.movement(*shown, publications) if shown else None,
            "counts": {
                letter: sum(
                    one.scope.value == letter for one in self._reader.catalogue.boards.values()
                )
                for letter in "ABCD"
            },
        }


def latest(sheets: Mapping[str, Sheet]) -> list[tuple[Row, list[tuple[str, int]]]]:
    """The models that came last, each once, with its best ranks on boards wider than one skill."""
    rows: dict[str, Row] = {}
    ranks: dict[str, list[tuple[str, int]]] = {}
    for board_id, sheet in sheets.items():
        if board_id.startswith("D-"):
            continue
        for row in sheet.rows:
            rows.setdefault(row.submission_id, row)
            if row.supported:
                ranks.setdefault(row.submission_id, []).append((board_id, row.rank))
    newest = nlargest(MOVEMENTS_MAX, rows.values(), key=lambda row: row.completed)
    return [
        (row, sorted(ranks.get(row.submission_id, ()), key=lambda one: one[1])[:3])
        for row in newest
    ]
