"""Tasks and skills: what is asked, how it is measured, who is the specialist, and who is best."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from general_level.catalogue import (
    Direction,
    Grading,
    Metric,
    Modality,
    Paradigm,
    ScoreMapping,
    Skill,
    Task,
)
from general_level.catalogue.mapping import to_score
from general_level.errors import NotFound, UnknownTask
from services.gateway.web import pictures
from services.gateway.web.reader import Reader

#: Models that the page of a skill or a task names.
BEST_MAX: Final = 10
#: Characters of a search that are looked at.
SEARCH_CHARACTERS_MAX: Final = 100


class SkillPages:
    """Handlers of ``/tasks`` and ``/skills``."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def routes(self) -> list[Route]:
        """In the order in which they are tried."""
        return [
            Route("/tasks", self.tasks),
            Route("/tasks/{task_id}", self.task),
            Route("/skills", self.skills),
            Route("/skills/{skill_id}", self.skill),
        ]

    async def tasks(self, request: Request) -> Response:
        """The tasks that are asked for, with metric and reference."""
        search, modality, paradigm = _filters(request)
        return await self._reader.answer(
            request, "tasks.html", lambda: self._tasks(search, modality, paradigm)
        )

    async def task(self, request: Request) -> Response:
        """One task: its metric and what that means, its references and their sources."""
        task = self._reader.catalogue.tasks.get(request.path_params["task_id"])
        if task is None:
            raise UnknownTask(task_id=request.path_params["task_id"])
        return await self._reader.answer(request, "task.html", lambda: self._task(task))

    async def skills(self, request: Request) -> Response:
        """All skills by modality, with who leads."""
        search, modality, paradigm = _filters(request)
        return await self._reader.answer(
            request, "skills.html", lambda: self._skills(search, modality, paradigm)
        )

    async def skill(self, request: Request) -> Response:
        """One skill: its tasks, their specialists, and the best models."""
        skill = self._reader.catalogue.skills.get(request.path_params["skill_id"])
        if skill is None:
            raise NotFound("There is no such skill.")
        return await self._reader.answer(request, "skill.html", lambda: self._skill(skill))

    def _tasks(self, search: str, modality: str, paradigm: str) -> dict[str, Any]:
        catalogue = self._reader.catalogue
        wanted = search.casefold()
        found = [
            task
            for task in catalogue.tasks.values()
            if _fits(task, modality, paradigm) and (not wanted or wanted in self._text(task))
        ]
        return {
            "tasks": found,
            "search": search,
            "chosen_modality": modality,
            "chosen_paradigm": paradigm,
            "references": catalogue.references(),
        }

    def _text(self, task: Task) -> str:
        """What a search looks at."""
        catalogue = self._reader.catalogue
        texts = (task.id, task.name, task.specialist, *task.aliases)
        names = (catalogue.skills[task.skill_id].name, catalogue.metrics[task.metric_id].name)
        return "\n".join((*texts, *names)).casefold()

    def _task(self, task: Task) -> dict[str, Any]:
        catalogue = self._reader.catalogue
        metric = catalogue.metric_of(task.id)
        board = self._reader.skill_boards.get(task.skill_id)
        sheet = self._reader.newest.sheet(board.id) if board else None
        return {
            "task": task,
            "skill": catalogue.skills[task.skill_id],
            "metric": metric,
            "mapping": explain(metric),
            "range": value_range(metric),
            "better": "higher" if metric.direction is Direction.HIGHER else "lower",
            "references": [
                (one, one.references[task.id], to_score(metric, one.references[task.id].score))
                for one in catalogue.reference_lists.values()
            ],
            "board": board,
            "sheet": sheet,
            "rows": sheet.rows[:BEST_MAX] if sheet else (),
            "planned": metric.grading is Grading.PLANNED,
        }

    def _skills(self, search: str, modality: str, paradigm: str) -> dict[str, Any]:
        catalogue, wanted = self._reader.catalogue, search.casefold()
        sheets = self._reader.newest.sheets()
        listed: dict[Modality, list[tuple[Any, ...]]] = {}
        for skill in catalogue.skills.values():
            board = self._reader.skill_boards.get(skill.id)
            text = f"{skill.id}\n{skill.name}\n{skill.short_name}".casefold()
            if not board or not _fits(skill, modality, paradigm) or wanted not in text:
                continue
            sheet = sheets.get(board.id)
            listed.setdefault(skill.modality, []).append(
                (skill, board, sheet, self._reader.specialists.mean(board.id))
            )
        return {
            "listed": listed,
            "search": search,
            "chosen_modality": modality,
            "chosen_paradigm": paradigm,
        }

    def _skill(self, skill: Skill) -> dict[str, Any]:
        catalogue = self._reader.catalogue
        board = self._reader.skill_boards[skill.id]
        sheet = self._reader.newest.sheet(board.id)
        references = catalogue.references(sheet.reference_list_id if sheet else None)
        return {
            "skill": skill,
            "board": board,
            "sheet": sheet,
            "rows": sheet.rows[:BEST_MAX] if sheet else (),
            "references": references,
            "specialists": self._reader.specialists.mean(board.id, references.id),
            "tasks": [
                (
                    catalogue.tasks[task_id],
                    catalogue.metric_of(task_id),
                    references.references[task_id],
                    self._reader.specialists.score(task_id, references.id),
                )
                for task_id in board.task_ids
            ],
            "distribution": pictures.distribution(board, sheet),
        }


def explain(metric: Metric) -> str:
    """How a raw value of a metric becomes points of 100, in words and numbers."""
    return _MAPPINGS[metric.mapping].format(
        scale=f"{metric.scale or 0:g}", double=f"{2 * (metric.scale or 0):g}"
    )


_MAPPINGS: Final[Mapping[ScoreMapping, str]] = {
    ScoreMapping.IDENTITY: "The value is the score: it is in percent already.",
    ScoreMapping.TANH_INVERSE: (
        "Score = 100 · tanh({scale} / (2 · value)), so a value of 0 is 100 points and one of "
        "{scale} is 46.2."
    ),
    ScoreMapping.TANH: "Score = 100 · tanh(value / {scale}), so a value of {scale} is 76.2 points.",
    ScoreMapping.ONE_MINUS_PERCENT: "Score = 100 − value, and no less than 0.",
    ScoreMapping.SIGNED_UNIT: "Score = 100 · (value + 1) / 2, so −1 is 0 points and 1 is 100.",
    ScoreMapping.OPINION: "Score = 100 · (value − 1) / 4, so 1 is 0 points and 5 is 100.",
}


def value_range(metric: Metric) -> str:
    """The legal values of a metric, in words."""
    low, high = metric.minimum, metric.maximum
    if low is not None and high is not None:
        return f"{low:g} to {high:g}"
    if low is not None:
        return f"{low:g} and more"
    return f"up to {high:g}" if high is not None else "any number"


def _filters(request: Request) -> tuple[str, str, str]:
    """Search, modality and paradigm of an address; what does not exist is left out."""
    query = request.query_params
    modality, paradigm = query.get("modality", ""), query.get("paradigm", "")
    return (
        query.get("q", "").strip()[:SEARCH_CHARACTERS_MAX],
        modality if modality in set(Modality) else "",
        paradigm if paradigm in {Paradigm.COMPREHENSION, Paradigm.GENERATION} else "",
    )


def _fits(one: Task | Skill, modality: str, paradigm: str) -> bool:
    return (not modality or one.modality.value == modality) and (
        not paradigm or one.paradigm.value == paradigm
    )
