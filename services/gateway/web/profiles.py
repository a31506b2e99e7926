"""A model beside the specialists: by modality and paradigm, and by skill.

On a board of one paradigm or one skill, S2 is the plain mean over the board's tasks, for a model as
for the specialists, so the two can be compared. A part without one graded task is not supported,
which is not zero; where only some tasks are graded, the others count 0, as on the board.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from general_level.catalogue import Board, Catalogue, Modality, Scope, Skill
from services.gateway.web.newest import Newest, Row, Sheet
from services.gateway.web.specialists import Specialists

#: Skills that a list of strengths or of gaps names.
NAMED_MAX: Final = 6


@dataclass(frozen=True, slots=True)
class Part:
    """One paradigm of a modality, or one skill; ``row`` is None where the board has no such."""

    board: Board
    name: str
    modality: Modality
    specialists: float
    sheet: Sheet | None
    row: Row | None

    @property
    def mean(self) -> float | None:
        """Of the model over the board's tasks, in points of 100; None where not supported."""
        return self.row.scores.s2 if self.row is not None and self.row.supported else None

    @property
    def difference(self) -> float | None:
        """How far the model's mean is above the specialists'; negative below."""
        mean = self.mean
        return None if mean is None else mean - self.specialists


@dataclass(frozen=True, slots=True)
class Profile:
    """The parts of one model, in the benchmark's order."""

    paradigms: tuple[Part, ...]
    skills: tuple[Part, ...]

    @property
    def strengths(self) -> list[Part]:
        """The skills furthest above the specialists, furthest first."""
        above = [part for part in self.skills if (part.difference or 0) > 0]
        return sorted(above, key=_difference, reverse=True)[:NAMED_MAX]

    @property
    def gaps(self) -> list[Part]:
        """The supported skills furthest below the specialists, furthest first."""
        below = [part for part in self.skills if (part.difference or 0) < 0]
        return sorted(below, key=_difference)[:NAMED_MAX]

    @property
    def unsupported(self) -> list[Part]:
        """The skills of which no task was graded."""
        return [part for part in self.skills if part.mean is None]

    def of(self, modality: Modality) -> list[Part]:
        """The skills of a modality: the supported ones by their mean, then the others."""
        parts = [part for part in self.skills if part.modality is modality]
        return sorted(parts, key=lambda part: -1.0 if part.mean is None else part.mean)[::-1]


class Profiles:
    """Makes profiles from what `Newest` holds: look-ups, no computation over other models."""

    def __init__(self, catalogue: Catalogue, newest: Newest, specialists: Specialists) -> None:
        self._newest = newest
        self._specialists = specialists
        boards = catalogue.boards.values()
        self._paradigms = [board for board in boards if board.scope is Scope.C]
        self._skills = [
            (board, catalogue.skills[board.skill_id]) for board in boards if board.skill_id
        ]

    def profile(self, submission_id: str) -> Profile:
        """Of one model; all parts unsupported where no board shows it."""
        sheets = self._newest.sheets()
        return Profile(
            tuple(self._paradigm(board, sheets, submission_id) for board in self._paradigms),
            tuple(self._skill(board, of, sheets, submission_id) for board, of in self._skills),
        )

    def _paradigm(self, board: Board, sheets: Mapping[str, Sheet], submission_id: str) -> Part:
        return self._part(board, board.name, board.modalities[0], sheets, submission_id)

    def _skill(
        self, board: Board, skill: Skill, sheets: Mapping[str, Sheet], submission_id: str
    ) -> Part:
        return self._part(board, skill.name, skill.modality, sheets, submission_id)

    def _part(
        self,
        board: Board,
        name: str,
        modality: Modality,
        sheets: Mapping[str, Sheet],
        submission_id: str,
    ) -> Part:
        sheet = sheets.get(board.id)
        reference_list = sheet.reference_list_id if sheet else None
        return Part(
            board=board,
            name=name,
            modality=modality,
            specialists=self._specialists.mean(board.id, reference_list),
            sheet=sheet,
            row=sheet.by_submission.get(submission_id) if sheet else None,
        )


def above(parts: Iterable[Part]) -> int:
    """How many parts reach the specialists' mean."""
    return sum((part.difference is not None and part.difference >= 0) for part in parts)


def _difference(part: Part) -> float:
    assert part.difference is not None, "only supported parts are compared"
    return part.difference
