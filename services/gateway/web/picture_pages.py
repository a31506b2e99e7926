"""The addresses of the pictures: each one SVG, drawn when it is asked for and kept by version."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from general_level.catalogue import Modality
from general_level.errors import NotFound
from services.gateway.web import pictures
from services.gateway.web.charts import POLICY
from services.gateway.web.compare_pages import chosen_models
from services.gateway.web.movements import Publication
from services.gateway.web.pictures import Picture
from services.gateway.web.reader import Reader

_HEADERS: Final = {"content-security-policy": POLICY}


class PicturePages:
    """Handlers of ``/pictures``. ``narrow`` in the query asks for the drawing of a small screen."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def routes(self) -> list[Route]:
        """In the order in which they are tried."""
        return [
            Route("/pictures/models/{submission_id}/ladder.svg", self.ladder),
            Route("/pictures/models/{submission_id}/modalities.svg", self.modalities),
            Route("/pictures/models/{submission_id}/skills.svg", self.skills),
            Route("/pictures/compare/modalities.svg", self.compared_modalities),
            Route("/pictures/compare/skills.svg", self.compared_skills),
            Route("/pictures/boards/{board_id}", self.board),
            Route("/pictures/boards/{board_id}/distribution.svg", self.distribution),
            Route("/pictures/boards/{board_id}/movement.svg", self.movement),
        ]

    async def ladder(self, request: Request) -> Response:
        """Where a model stands on its first board, level by level."""
        board, _, row = self._reader.standings(request.path_params["submission_id"])[0]
        return await self._draw(request, lambda: pictures.ladder(board, row))

    async def modalities(self, request: Request) -> Response:
        """A model beside the specialists by modality and paradigm."""
        submission_id = request.path_params["submission_id"]
        row = self._reader.standings(submission_id)[0][2]
        profile = self._reader.profiles.profile(submission_id)
        return await self._draw(request, lambda: pictures.by_paradigm([(row, profile)]))

    async def skills(self, request: Request) -> Response:
        """A model beside the specialists by the skills of one modality."""
        submission_id = request.path_params["submission_id"]
        modality = _modality(request)
        row = self._reader.standings(submission_id)[0][2]
        profile = self._reader.profiles.profile(submission_id)
        return await self._draw(request, lambda: pictures.by_skill([(row, profile)], modality))

    async def compared_modalities(self, request: Request) -> Response:
        """Two to four models beside the specialists by modality and paradigm."""
        models = chosen_models(self._reader, request)
        return await self._draw(request, lambda: pictures.by_paradigm(models))

    async def compared_skills(self, request: Request) -> Response:
        """Two to four models beside the specialists by the skills of one modality."""
        models, modality = chosen_models(self._reader, request), _modality(request)
        return await self._draw(request, lambda: pictures.by_skill(models, modality))

    async def board(self, request: Request) -> Response:
        """The page with the pictures of a board and their numbers."""
        board, sheet = self._reader.board(request.path_params["board_id"])
        publications = await self._reader.movements.of(sheet) if sheet else ()

        def values() -> dict[str, Any]:
            moved = pictures.movement(board, sheet, publications) if sheet else None
            shown = pictures.distribution(board, sheet)
            return {"board": board, "distribution": shown, "movement": moved}

        return await self._reader.answer(request, "board_pictures.html", values, publications)

    async def distribution(self, request: Request) -> Response:
        """The models of a board by score and level."""
        board, sheet = self._reader.board(request.path_params["board_id"])
        return await self._draw(request, lambda: pictures.distribution(board, sheet))

    async def movement(self, request: Request) -> Response:
        """The ranks of a board's leaders over its kept publications."""
        board, sheet = self._reader.board(request.path_params["board_id"])
        if sheet is None:
            raise NotFound("This board has no publication yet.", board_id=board.id)
        publications = await self._reader.movements.of(sheet)
        return await self._draw(
            request, lambda: pictures.movement(board, sheet, publications), publications
        )

    async def _draw(
        self,
        request: Request,
        make: Callable[[], Picture],
        publications: Sequence[Publication] = (),
    ) -> Response:
        narrow = request.query_params.get("narrow") == "1"

        def draw() -> bytes:
            picture = make()
            return picture.chart.draw(picture.summary, narrow)

        return await self._reader.draw(request, draw, _HEADERS, publications)


def _modality(request: Request) -> Modality:
    try:
        return Modality(request.query_params.get("modality", ""))
    except ValueError:
        raise NotFound("There is no such modality.") from None
