"""A model: its levels, what it is strong in, every board on which it stands, and how it moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from general_level.catalogue import Modality, Scope
from services.gateway.web import pictures
from services.gateway.web.movements import Point, Publication
from services.gateway.web.newest import Row, Sheet
from services.gateway.web.reader import Reader, Standing
from services.gateway.web.selection import modalities

#: Models near this one on the board that a comparison is offered with, on either side.
NEIGHBOURS_MAX: Final = 2


class ModelPages:
    """Handlers of ``/models``."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def routes(self) -> list[Route]:
        """In the order in which they are tried."""
        return [Route("/models/{submission_id}", self.model)]

    async def model(self, request: Request) -> Response:
        """The page of one model."""
        submission_id = request.path_params["submission_id"]
        standings = self._reader.standings(submission_id)
        publications = await self._reader.movements.of(standings[0][1])
        return await self._reader.answer(
            request,
            "model.html",
            lambda: self._values(submission_id, standings, publications),
            publications,
        )

    def _values(
        self, submission_id: str, standings: Sequence[Standing], publications: Sequence[Publication]
    ) -> dict[str, Any]:
        board, sheet, row = standings[0]
        profile = self._reader.profiles.profile(submission_id)
        models = [(row, profile)]
        scopes = {scope: [one for one in standings if one[0].scope is scope] for scope in Scope}
        return {
            "row": row,
            "board": board,
            "sheet": sheet,
            "facts": self._reader.newest.facts(row),
            "modalities": [(name, row.modalities[name]) for name in modalities(sheet)],
            "signed": pictures.signed,
            "profile": profile,
            "ladder": pictures.ladder(board, row),
            "paradigms": pictures.by_paradigm(models),
            "skills": [(one, pictures.by_skill(models, one)) for one in Modality],
            "by_scope": {scope.value: found for scope, found in scopes.items() if found},
            "history": history(row, publications),
            "neighbours": neighbours(sheet, row),
        }


def neighbours(sheet: Sheet, row: Row) -> list[Row]:
    """The models next to a model on a board, the better ones first."""
    at = sheet.rows.index(row)
    return [
        *sheet.rows[max(0, at - NEIGHBOURS_MAX) : at],
        *sheet.rows[at + 1 : at + 1 + NEIGHBOURS_MAX],
    ]


def history(row: Row, publications: Sequence[Publication]) -> list[tuple[Publication, Point]]:
    """Where a model stood, newest first; a stay on the same place is told once, by its begin."""
    found: list[tuple[Publication, Point]] = []
    for one in publications:
        point = one.point(row)
        if point is not None and (not found or found[-1][1] != point):
            found.append((one, point))
    return found[::-1]
