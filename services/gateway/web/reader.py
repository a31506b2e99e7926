"""What the pages read from: the catalogue, the newest standings, and what follows from both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from general_level.catalogue import Board, Catalogue
from general_level.errors import NotFound
from services.gateway.web.answers import Answers
from services.gateway.web.movements import Movements, Publication
from services.gateway.web.newest import Newest, Row, Sheet
from services.gateway.web.profiles import Profiles
from services.gateway.web.rendering import Pages
from services.gateway.web.specialists import Specialists

#: The board on which a model is looked at first.
FIRST: Final = "A-full"

Standing = tuple[Board, Sheet, Row]


class Reader:
    """Shared by the groups of pages; nothing here asks the database but `Movements`."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        newest: Newest,
        pages: Pages,
        answers: Answers,
        movements: Movements,
    ) -> None:
        self.catalogue = catalogue
        self.newest = newest
        self.movements = movements
        self.specialists = Specialists(catalogue)
        self.profiles = Profiles(catalogue, newest, self.specialists)
        self.skill_boards: Mapping[str, Board] = {
            board.skill_id: board for board in catalogue.boards.values() if board.skill_id
        }
        self._pages = pages
        self._answers = answers

    @property
    def version(self) -> str:
        """Changes with every publication, with the catalogue and with the templates."""
        sheets = self.newest.sheets().values()
        position = max((sheet.publication_id for sheet in sheets), default=0)
        return f"{self._pages.version}/{self.catalogue.id}/{position}"

    async def answer(
        self,
        request: Request,
        template: str,
        values: Callable[[], Mapping[str, Any]],
        publications: Sequence[Publication] = (),
    ) -> Response:
        """The page; ``values`` are made when it is rendered, in a thread, once for each version.

        ``publications`` are those that the page shows besides the newest one.
        """

        def render() -> str:
            return self._pages.render(template, catalogue=self.catalogue, **values())

        version = f"{self.version}/{_shown(publications)}"
        return await self._answers.answer(request, version, render)

    async def draw(
        self,
        request: Request,
        draw: Callable[[], bytes],
        headers: Mapping[str, str],
        publications: Sequence[Publication] = (),
    ) -> Response:
        """The picture, drawn in a thread, once for each version."""
        version = f"{self.version}/{_shown(publications)}"
        return await self._answers.answer(request, version, draw, "image/svg+xml", headers)

    def standings(self, submission_id: str) -> list[Standing]:
        """Every board on which a model stands, in the catalogue's order; NotFound for none."""
        sheets = self.newest.sheets()
        found = [
            (board, sheet, row)
            for board in self.catalogue.boards.values()
            if (sheet := sheets.get(board.id)) and (row := sheet.by_submission.get(submission_id))
        ]
        if not found:
            raise NotFound("No board shows this model.")
        return found

    def board(self, board_id: str) -> tuple[Board, Sheet | None]:
        """A board and its newest standings; NotFound for an unknown one."""
        board = self.catalogue.boards.get(board_id)
        if board is None:
            raise NotFound("There is no such board.")
        return board, self.newest.sheet(board_id)


def _shown(publications: Sequence[Publication]) -> str:
    # The database may have been away when they were read.
    return f"{len(publications)}-{publications[-1].publication_id}" if publications else ""
