"""Two to four models side by side, and whether what is between them is more than uncertainty."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from general_level.catalogue import Modality
from general_level.errors import InvalidRequest
from services.gateway.web import pictures
from services.gateway.web.newest import Row
from services.gateway.web.profiles import Profile
from services.gateway.web.reader import FIRST, Reader

MODELS_MIN: Final = 2
MODELS_MAX: Final = 4
#: Models of the first board that are offered to be chosen.
OFFERED_MAX: Final = 30

Model = tuple[Row, Profile]


class ComparePages:
    """Handler of ``/compare``; the models are in its address."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def routes(self) -> list[Route]:
        """In the order in which they are tried."""
        return [Route("/compare", self.compare)]

    async def compare(self, request: Request) -> Response:
        """The comparison, or with fewer than two models the list to choose from."""
        if len(_ids(request)) < MODELS_MIN:
            return await self._choose(request)
        models = chosen_models(self._reader, request)
        return await self._reader.answer(request, "compare.html", lambda: self._values(models))

    async def _choose(self, request: Request) -> Response:
        chosen = [self._reader.standings(one)[0][2] for one in _ids(request)]
        sheet = self._reader.newest.sheet(FIRST)
        offered = [row for row in (sheet.rows[:OFFERED_MAX] if sheet else ()) if row not in chosen]
        return await self._reader.answer(
            request, "compare_choose.html", lambda: {"chosen": chosen, "offered": offered}
        )

    def _values(self, models: Sequence[Model]) -> dict[str, Any]:
        boards, sheets = self._reader.catalogue.boards.values(), self._reader.newest.sheets()
        table = []
        for board in boards:
            sheet = sheets.get(board.id)
            rows = [sheet.by_submission.get(row.submission_id) if sheet else None
                    for row, _ in models]  # fmt: skip
            if any(row is not None and row.supported for row in rows):
                table.append((board, sheet, rows, [verdict(rows[0], row) for row in rows[1:]]))
        return {
            "models": models,
            "wide_boards": [one for one in table if not one[0].skill_id],
            "skill_boards": [one for one in table if one[0].skill_id],
            "paradigms": pictures.by_paradigm(models),
            "skills": [(one, pictures.by_skill(models, one)) for one in Modality],
        }


def chosen_models(reader: Reader, request: Request) -> list[Model]:
    """The models of an address, in its order.

    InvalidRequest where they are not two to four, NotFound for one that no board shows.
    """
    ids = _ids(request)
    if not MODELS_MIN <= len(ids) <= MODELS_MAX:
        raise InvalidRequest(
            f"Two to four models can be compared; this address names {len(ids)}.", field="m"
        )
    return [(reader.standings(one)[0][2], reader.profiles.profile(one)) for one in ids]


def verdict(first: Row | None, second: Row | None) -> str:
    """How the second model's standing on a board differs from the first one's, in words.

    Scores are compared within one level only: each level has a score of its own. Intervals of
    95 % that do not touch are a difference beyond uncertainty.
    """
    if not (first and second and first.supported and second.supported):
        return "not comparable"
    if first.level != second.level:
        return "higher level" if second.level > first.level else "lower level"
    if first.low is None or first.high is None or second.low is None or second.high is None:
        return "no intervals"
    if second.low > first.high:
        return "higher, beyond the intervals"
    return "lower, beyond the intervals" if second.high < first.low else "within the intervals"


def _ids(request: Request) -> list[str]:
    """Without repetitions: the same model twice is one."""
    return list(dict.fromkeys(one for one in request.query_params.getlist("m") if one))
