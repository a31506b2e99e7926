"""Home, models, tasks, skills, and how to take part: what is not one board."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from general_level.catalogue import Catalogue, Grading
from general_level.errors import NotFound, UnknownTask
from general_level.fairness import WINDOWS
from services.gateway import agreement
from services.gateway.web.answers import Answers
from services.gateway.web.newest import Newest, Row, Sheet
from services.gateway.web.rendering import Pages
from services.gateway.web.rules import window_text
from services.gateway.web.selection import modalities

#: Movements on the home page.
MOVEMENTS_MAX: Final = 10
#: Models that a task's page names, best skill board first.
BEST_MAX: Final = 10
_FIRST: Final = "A-full"


class ReadingPages:
    """Handlers that read the catalogue and what `Newest` holds."""

    def __init__(
        self, *, catalogue: Catalogue, newest: Newest, pages: Pages, answers: Answers
    ) -> None:
        self._catalogue = catalogue
        self._newest = newest
        self._pages = pages
        self._answers = answers
        self._skill_boards = {
            board.skill_id: board for board in catalogue.boards.values() if board.skill_id
        }

    def routes(self) -> list[Route]:
        """In the order in which they are tried."""
        return [
            Route("/", self.home),
            Route("/models/{submission_id}", self.model),
            Route("/tasks", self.tasks),
            Route("/tasks/{task_id}", self.task),
            Route("/take-part", self.take_part),
        ]

    async def home(self, request: Request) -> Response:
        """What the benchmark is, its scopes, and what moved last."""
        sheets = self._newest.sheets()
        return await self._answer(
            request,
            "home.html",
            movements=_movements(sheets),
            leaders=(sheets[_FIRST].rows[:5] if _FIRST in sheets else ()),
            sheets=sheets,
        )

    async def model(self, request: Request) -> Response:
        """A model's scores, and every board on which it stands."""
        submission_id = request.path_params["submission_id"]
        found = [
            (self._catalogue.boards[board_id], sheet, sheet.by_submission[submission_id])
            for board_id, sheet in self._newest.sheets().items()
            if submission_id in sheet.by_submission and board_id in self._catalogue.boards
        ]
        if not found:
            raise NotFound("No board shows this model.")
        order = list(self._catalogue.boards)
        found.sort(key=lambda standing: order.index(standing[0].id))
        return await self._answer(
            request, "model.html", standings=found, row=found[0][2], shown=modalities(found[0][1])
        )

    async def tasks(self, request: Request) -> Response:
        """All tasks with metric and reference."""
        return await self._answer(request, "tasks.html", references=self._catalogue.references())

    async def task(self, request: Request) -> Response:
        """One task: its metric and what that means, its references and their sources."""
        task_id = request.path_params["task_id"]
        task = self._catalogue.tasks.get(task_id)
        if task is None:
            raise UnknownTask(task_id=task_id)
        board = self._skill_boards.get(task.skill_id)
        sheet = self._newest.sheet(board.id) if board else None
        return await self._answer(
            request,
            "task.html",
            task=task,
            metric=self._catalogue.metric_of(task_id),
            board=board,
            rows=sheet.rows[:BEST_MAX] if sheet else (),
            planned=self._catalogue.metric_of(task_id).grading is Grading.PLANNED,
        )

    async def take_part(self, request: Request) -> Response:
        """The rules, the quota, and the commands of a lab."""
        return await self._answer(
            request,
            "take_part.html",
            windows=[window_text(window) for window in WINDOWS],
            agreement=agreement.TEXT,
            agreement_version=agreement.VERSION,
        )

    async def _answer(self, request: Request, template: str, **values: object) -> Response:
        position = max(
            (sheet.publication_id for sheet in self._newest.sheets().values()), default=0
        )
        return await self._answers.answer(
            request,
            f"{self._pages.version}/{self._catalogue.id}/{position}",
            lambda: self._pages.render(template, catalogue=self._catalogue, **values),
        )


def _movements(sheets: Mapping[str, Sheet]) -> list[tuple[str, Row]]:
    """The models that came last, on each board but those of single skills."""
    newest = [
        (board_id, row)
        for board_id, sheet in sheets.items()
        if not board_id.startswith("D-")
        for row in sheet.rows
    ]
    newest.sort(key=lambda movement: movement[1].completed, reverse=True)
    return newest[:MOVEMENTS_MAX]
