"""S2 to S5, levels, intervals and counts: every model on every board at once.

For one modality with comprehension tasks C and generation tasks G, and sigma the mapped score:

    S2 = (mean of sigma over C + mean of sigma over G) / 2
    S3 = (S_C + S_G) / 2, S_C and S_G the means of sigma kept only where the reference is reached
    S4 = 2 S_C S_G / (S_C + S_G), 0 where both are 0
    S5 = S4 · S_L / 100, S_L the kept mean over the language tasks

A paradigm without tasks or without support counts 0. Over several modalities S2, S3 and S4 are
plain means. Boards of one paradigm (scopes C and D) have S2 and S3 only, plain means.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from general_level.catalogue.model import Modality
from services.ranker.formulas.boards import BoardArrays, BoardCells
from services.ranker.formulas.conventions import Convention, Scored, apply_convention
from services.ranker.formulas.estimates import Estimate, average, harmonic_mean, weighted
from services.ranker.formulas.mapping import Bools, Floats, TaskArrays
from services.ranker.formulas.uncertainty import Moments, moments

#: The level of a model without any non-zero score on a board; level 1 is that of the specialists.
NO_LEVEL = 0
#: The levels that a board can award, lowest first.
LEVELS = (2, 3, 4, 5)
#: A level interval leaves out this probability at either end.
LEVEL_TAIL = 0.025

Levels = NDArray[np.int8]
Counts = NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class ModalityCounts:
    """Tasks of one modality on a board: how many there are, and of each model what it has."""

    tasks: int
    supported: Counts
    wins: Counts


@dataclass(frozen=True, slots=True, eq=False)
class BoardScores:
    """One board: arrays of length ``models``.

    ``scores`` maps the levels that this board can award to S2..S5; ``by_modality`` maps the
    non-language modalities to their own S2..S4, ``counts`` maps them to their tasks. ``level`` is
    the highest with a non-zero score (``NO_LEVEL``: none); a re-measurement would give
    ``level_low`` to ``level_high`` with 95 %.
    ``supported``, ``wins`` (references reached) and ``known`` (scores with a standard error) count
    tasks; ``tasks`` is how many the board has.
    """

    board_id: str
    highest_level: int
    tasks: int
    scores: dict[int, Estimate]
    by_modality: dict[Modality, dict[int, Estimate]]
    counts: dict[Modality, ModalityCounts]
    level: Levels
    level_low: Levels
    level_high: Levels
    supported: Counts
    wins: Counts
    known: Counts


@dataclass(frozen=True, slots=True, eq=False)
class _Cells:
    """Means, the probability of no win at all, and counts of every cell, ``[cells, models]``."""

    plain: Estimate
    kept: Estimate
    winless: Floats
    sizes: Floats
    supported: Floats
    wins: Floats

    def score(self, cell: int | None) -> Estimate:
        return self._row(self.plain, cell)

    def kept_score(self, cell: int | None) -> Estimate:
        return self._row(self.kept, cell)

    def no_win(self, cell: int | None) -> Floats:
        return np.ones(self.winless.shape[1]) if cell is None else self.winless[cell]

    def counts(self, *cells: int | None) -> ModalityCounts:
        """The tasks of some cells together; none of an absent cell."""
        there = [cell for cell in cells if cell is not None]
        return ModalityCounts(
            tasks=int(self.sizes[there].sum()),
            supported=self.supported[there].sum(axis=0).astype(np.int32),
            wins=self.wins[there].sum(axis=0).astype(np.int32),
        )

    def _row(self, estimate: Estimate, cell: int | None) -> Estimate:
        if cell is None:
            nothing = np.zeros(self.winless.shape[1])
            return Estimate(nothing, nothing, nothing)
        return Estimate(estimate.point[cell], estimate.expected[cell], estimate.variance[cell])


def score_boards(
    raw: Floats,
    supported: Bools,
    standard_error: Floats,
    *,
    tasks: TaskArrays,
    boards: BoardArrays,
    convention: Convention,
) -> list[BoardScores]:
    """Every board of ``boards``, in its order.

    ``raw`` and ``standard_error`` are ``[models, tasks]`` in each metric's raw unit, NaN where
    unsupported or unknown; ``supported`` is the explicit mask. ScoreRefused for a supported NaN
    and, under the ``general-level`` convention, an infinity.
    """
    scored = apply_convention(raw, supported, tasks, convention)
    moment = moments(raw, standard_error, scored, tasks)
    cells = _cells(scored, moment, boards)
    counts = [
        boards.board_sums(mask.astype(np.float64)).astype(np.int32)
        for mask in (scored.supported, scored.reached, moment.known)
    ]
    return [
        _score_board(board, int(boards.board_sizes[row]), cells, [count[row] for count in counts])
        for row, board in enumerate(boards.boards)
    ]


def _cells(scored: Scored, moment: Moments, boards: BoardArrays) -> _Cells:
    squares = boards.cell_sizes[:, None] ** 2
    mean = boards.cell_means(scored.score)
    kept = boards.cell_means(moment.kept)
    # Without any standard error the moments are those of the printed scores: nothing to add up.
    exact = not moment.known.any()
    none = np.zeros_like(mean)
    with np.errstate(divide="ignore"):
        misses = np.log1p(-moment.reach)
    return _Cells(
        plain=Estimate(mean, mean, none if exact else boards.cell_sums(moment.variance) / squares),
        kept=Estimate(
            kept,
            kept if exact else boards.cell_means(moment.expected_kept),
            none if exact else boards.cell_sums(moment.variance_kept) / squares,
        ),
        winless=np.exp(boards.cell_sums(misses)),
        sizes=boards.cell_sizes,
        supported=boards.cell_sums(scored.supported.astype(np.float64)),
        wins=boards.cell_sums(scored.reached.astype(np.float64)),
    )


def _score_board(board: BoardCells, tasks: int, cells: _Cells, counts: list[Counts]) -> BoardScores:
    if board.plain is not None:
        scores = {2: cells.score(board.plain), 3: cells.kept_score(board.plain)}
        by_modality: dict[Modality, dict[int, Estimate]] = {}
        chances = {3: 1.0 - cells.no_win(board.plain)}
    else:
        by_modality = _modalities(board, cells)
        scores = {
            level: average([scored[level] for scored in by_modality.values()])
            for level in (2, 3, 4)
        }
        chances = _chances(board, cells)
        if board.language is not None:
            scores[5] = weighted(scores[4], cells.kept_score(board.language))
    scores = {level: score for level, score in scores.items() if level <= board.highest_level}
    level = _highest({number: score.point > 0.0 for number, score in scores.items()})
    low, high = _level_interval(scores, chances, level)
    supported, wins, known = counts
    return BoardScores(
        board_id=board.board_id,
        highest_level=board.highest_level,
        tasks=tasks,
        scores=scores,
        by_modality=by_modality,
        counts={
            pair.modality: cells.counts(pair.comprehension, pair.generation)
            for pair in board.modalities
        },
        level=level,
        level_low=low,
        level_high=high,
        supported=supported,
        wins=wins,
        known=known,
    )


def _modalities(board: BoardCells, cells: _Cells) -> dict[Modality, dict[int, Estimate]]:
    result = {}
    for pair in board.modalities:
        kept_c = cells.kept_score(pair.comprehension)
        kept_g = cells.kept_score(pair.generation)
        result[pair.modality] = {
            2: average([cells.score(pair.comprehension), cells.score(pair.generation)]),
            3: average([kept_c, kept_g]),
            4: harmonic_mean(kept_c, kept_g),
        }
    return result


def _chances(board: BoardCells, cells: _Cells) -> dict[int, Floats]:
    """The probability that S3, S4 and S5 of a re-measurement are above 0."""
    no_three = np.ones(cells.winless.shape[1])
    no_four = no_three
    for pair in board.modalities:
        none_c, none_g = cells.no_win(pair.comprehension), cells.no_win(pair.generation)
        no_three = no_three * none_c * none_g
        no_four = no_four * (1.0 - (1.0 - none_c) * (1.0 - none_g))
    chances = {3: 1.0 - no_three, 4: 1.0 - no_four}
    chances[5] = chances[4] * (1.0 - cells.no_win(board.language))
    return chances


def _level_interval(
    scores: dict[int, Estimate], chances: dict[int, Floats], level: Levels
) -> tuple[Levels, Levels]:
    def held_with(probability: float) -> Levels:
        # S2 has no mask: whether it is above 0 does not hang on a reference.
        held = {number: chances[number] >= probability for number in scores if number != 2}
        return _highest({2: scores[2].point > 0.0} | held)

    low, high = held_with(1.0 - LEVEL_TAIL), held_with(LEVEL_TAIL)
    return np.minimum(low, level), np.maximum(high, level)


def _highest(held: dict[int, Bools]) -> Levels:
    """The highest level that each model holds, from one mask per level."""
    level: Levels = np.full(held[2].shape, NO_LEVEL, dtype=np.int8)
    for number in LEVELS:
        if number in held:
            level[held[number]] = number
    return level
