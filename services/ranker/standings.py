"""Standings of every board from completed submissions: who stands where, and how surely.

A submission stands on a board if the board that it was made for holds all of that board's tasks;
of several such submissions of one model the latest counts. The arrays of all boards are computed
at once; the rows of a board are built when they are first read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

import numpy as np

from general_level.catalogue.model import Board, Catalogue, Modality
from general_level.errors import InvalidRequest, ScoreRefused, UnknownBoard, UnknownTask
from services.ranker.formulas.conventions import Convention
from services.ranker.formulas.estimates import Estimate
from services.ranker.formulas.levels import BoardScores, score_boards
from services.ranker.formulas.mapping import Bools, Floats, Ints
from services.ranker.formulas.plan import build_plan
from services.ranker.formulas.ranking import Ranking, rank_models


@dataclass(frozen=True, slots=True)
class TaskScore:
    """One task's raw score in the metric's unit; ``stderr`` is its standard error, if known."""

    value: float
    n: int | None = None
    stderr: float | None = None


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One completed submission. ``completed_at`` is ISO 8601 with an offset.

    ``scores`` maps task ids; a task that is absent is unsupported. ``owner`` is the authenticated
    lab: names are free text, so only the same owner's later submission replaces an earlier one.
    """

    submission_id: str
    model_name: str
    organisation: str
    submitted_board_id: str
    completed_at: str
    scores: Mapping[str, TaskScore] = field(repr=False)
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % interval and the standard error, in score points."""

    low: float
    high: float
    standard_error: float


@dataclass(frozen=True, slots=True)
class ModalityScores:
    """S2 to S4 of one modality; None above the board's highest level.

    ``tasks`` is how many the board has of the modality; ``supported`` and ``wins`` (references
    reached) count the model's among them.
    """

    s2: float
    s3: float | None
    s4: float | None
    supported: int
    tasks: int
    wins: int


@dataclass(frozen=True, slots=True)
class Standing:
    """One row of a board.

    ``rank`` is the competition rank and ``level`` 2 to 5; both are 0 for a model without any
    score. ``level_low`` and ``level_high`` bound the level of a re-measurement with 95 %.
    ``intervals`` has one entry per score ("s2" ...), or none where no task score of the model came
    with a standard error; scores without one are taken as exact. ``wins`` counts the references
    reached.
    """

    rank: int
    level: int
    level_low: int
    level_high: int
    model_name: str
    organisation: str
    submission_id: str
    s2: float
    s3: float | None
    s4: float | None
    s5: float | None
    intervals: Mapping[str, Interval]
    by_modality: Mapping[str, ModalityScores]
    supported: int
    wins: int
    tasks: int
    tasks_with_error: int
    indistinguishable_from_previous: bool
    published_at: str

    @property
    def interval(self) -> Interval | None:
        """The interval of the score that decides the rank, that of ``level``."""
        return self.intervals.get(f"s{self.level}")


@dataclass(frozen=True, eq=False)
class BoardStandings:
    """One board, best model first. ``rows`` are built on first use and then kept."""

    board_id: str
    catalogue_id: str
    reference_list_id: str
    convention: Convention
    highest_level: int
    tasks: int
    _entries: Sequence[ModelEntry] = field(repr=False)
    _scores: BoardScores = field(repr=False)
    _ranking: Ranking = field(repr=False)

    def __len__(self) -> int:
        return len(self._ranking.order)

    @cached_property
    def rows(self) -> tuple[Standing, ...]:
        """The board's rows, in order."""
        return tuple(_build_rows(self._entries, self._scores, self._ranking))


def compute_standings(
    catalogue: Catalogue,
    reference_list_id: str | None,
    convention: Convention,
    entries: Sequence[ModelEntry],
    boards: Sequence[Board] | None = None,
) -> list[BoardStandings]:
    """The standings of ``boards`` (default: all of the catalogue), in their order.

    ``reference_list_id`` None takes the catalogue's default. Raises UnknownBoard and UnknownTask
    for ids that the catalogue does not have, ScoreRefused for NaN, for a negative standard error
    and, under ``general-level``, for infinity, InvalidRequest for a submission given twice or a
    time without offset, and KeyError for an unknown reference list.
    """
    boards = list(catalogue.boards.values()) if boards is None else list(boards)
    plan = build_plan(catalogue, reference_list_id, boards)
    raw, supported, error = score_arrays(entries, plan.column)
    scored = score_boards(
        raw, supported, error, tasks=plan.tasks, boards=plan.boards, convention=convention
    )
    selection = _Selection(catalogue, boards, entries)
    return [
        BoardStandings(
            board_id=scores.board_id,
            catalogue_id=catalogue.id,
            reference_list_id=catalogue.references(reference_list_id).id,
            convention=convention,
            highest_level=scores.highest_level,
            tasks=scores.tasks,
            _entries=entries,
            _scores=scores,
            _ranking=rank_models(scores, selection.models_of(row)),
        )
        for row, scores in enumerate(scored)
    ]


def score_arrays(
    entries: Sequence[ModelEntry], column: Mapping[str, int]
) -> tuple[Floats, Bools, Floats]:
    """Raw values, support and standard errors, each ``[models, tasks]``."""
    shape = (len(entries), len(column))
    raw = np.full(shape, np.nan)
    error = np.full(shape, np.nan)
    supported = np.zeros(shape, dtype=np.bool_)
    for row, entry in enumerate(entries):
        try:
            columns = [column[task_id] for task_id in entry.scores]
        except KeyError as unknown:
            raise UnknownTask(task=unknown.args[0], submission=entry.submission_id) from None
        scores = entry.scores.values()
        raw[row, columns] = [score.value for score in scores]
        error[row, columns] = [math.nan if s.stderr is None else s.stderr for s in scores]
        supported[row, columns] = True
    if (error < 0.0).any() or np.isinf(error).any():
        row = int(np.flatnonzero(((error < 0.0) | np.isinf(error)).any(axis=1))[0])
        raise ScoreRefused(
            "A standard error is finite and not negative.",
            submission=entries[row].submission_id,
        )
    return raw, supported, error


class _Selection:
    """Which submission of each model stands on each board."""

    def __init__(
        self, catalogue: Catalogue, boards: Sequence[Board], entries: Sequence[ModelEntry]
    ) -> None:
        if len({entry.submission_id for entry in entries}) < len(entries):
            raise InvalidRequest("A submission was given twice.")
        covers: dict[str, Bools] = {}
        identities: dict[tuple[str, str], int] = {}
        for entry in entries:
            if entry.submitted_board_id not in covers:
                covers[entry.submitted_board_id] = _covered(catalogue, entry, boards)
            identities.setdefault(_identity(entry), len(identities))
        self._models = len(identities)
        self._identity = np.asarray([identities[_identity(e)] for e in entries], dtype=np.intp)
        # Oldest first, so that a later submission overwrites an earlier one of the same model.
        self._by_time = np.asarray(
            sorted(range(len(entries)), key=lambda row: _completion(entries[row])), dtype=np.intp
        )
        self._place = np.empty(len(entries), dtype=np.intp)
        self._place[self._by_time] = np.arange(len(entries))
        self._covered = np.zeros((len(entries), len(boards)), dtype=np.bool_)
        for row, entry in enumerate(entries):
            self._covered[row] = covers[entry.submitted_board_id]

    def models_of(self, board: int) -> Ints:
        """Rows of the entries that stand on a board, the earliest completed first."""
        rows = self._by_time[self._covered[self._by_time, board]]
        latest = np.full(self._models, -1, dtype=np.intp)
        latest[self._identity[rows]] = rows
        chosen = latest[latest >= 0]
        return chosen[np.argsort(self._place[chosen])]


def _covered(catalogue: Catalogue, entry: ModelEntry, boards: Sequence[Board]) -> Bools:
    submitted = catalogue.boards.get(entry.submitted_board_id)
    if submitted is None:
        raise UnknownBoard(board=entry.submitted_board_id, submission=entry.submission_id)
    tasks = frozenset(submitted.task_ids)
    return np.asarray([tasks.issuperset(board.task_ids) for board in boards], dtype=np.bool_)


def _identity(entry: ModelEntry) -> tuple[str, str]:
    return (entry.owner or entry.organisation, entry.model_name)


def _completion(entry: ModelEntry) -> tuple[datetime, str]:
    try:
        completed = datetime.fromisoformat(entry.completed_at)
    except ValueError:
        completed = None
    if completed is None or completed.tzinfo is None:
        raise InvalidRequest(
            "completed_at must be ISO 8601 with an offset.", submission=entry.submission_id
        )
    # The id decides between submissions of one instant, so that the outcome does not depend on
    # the order in which they were read.
    return completed, entry.submission_id


def _build_rows(
    entries: Sequence[ModelEntry], scores: BoardScores, ranking: Ranking
) -> Iterator[Standing]:
    rows = ranking.order
    points = {level: estimate.point[rows].tolist() for level, estimate in scores.scores.items()}
    intervals = _intervals(scores, rows)
    modalities = _modalities(scores, rows)
    columns = [
        array.tolist()
        for array in (
            rows,
            ranking.rank,
            ranking.indistinguishable,
            *(a[rows] for a in (scores.level, scores.level_low, scores.level_high)),
            *(a[rows] for a in (scores.supported, scores.wins, scores.known)),
        )
    ]
    for place, values in enumerate(zip(*columns, strict=True)):
        row, rank, near, level, low, high, supported, wins, known = values
        entry = entries[row]
        yield Standing(
            rank=rank,
            level=level,
            level_low=low,
            level_high=high,
            model_name=entry.model_name,
            organisation=entry.organisation,
            submission_id=entry.submission_id,
            s2=points[2][place],
            s3=points[3][place] if 3 in points else None,
            s4=points[4][place] if 4 in points else None,
            s5=points[5][place] if 5 in points else None,
            intervals={name: of[place] for name, of in intervals.items()} if known else {},
            by_modality={modality: of[place] for modality, of in modalities.items()},
            supported=supported,
            wins=wins,
            tasks=scores.tasks,
            tasks_with_error=known,
            indistinguishable_from_previous=near,
            published_at=entry.completed_at,
        )


def _intervals(scores: BoardScores, rows: Ints) -> dict[str, list[Interval]]:
    if not scores.known[rows].any():
        return {}
    return {f"s{level}": _interval_list(of, rows) for level, of in scores.scores.items()}


def _interval_list(estimate: Estimate, rows: Ints) -> list[Interval]:
    low, high = estimate.interval()
    parts = (low[rows].tolist(), high[rows].tolist(), estimate.standard_error[rows].tolist())
    return [Interval(*values) for values in zip(*parts, strict=True)]


def _modalities(scores: BoardScores, rows: Ints) -> dict[Modality, list[ModalityScores]]:
    result = {}
    for modality, by_level in scores.by_modality.items():
        columns = [
            by_level[level].point[rows].tolist()
            if level <= scores.highest_level
            else [None] * len(rows)
            for level in (2, 3, 4)
        ]
        of = scores.counts[modality]
        columns += [of.supported[rows].tolist(), [of.tasks] * len(rows), of.wins[rows].tolist()]
        result[modality] = [ModalityScores(*values) for values in zip(*columns, strict=True)]
    return result
