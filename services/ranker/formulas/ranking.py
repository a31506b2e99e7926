"""Order on a board, shared ranks, and neighbours that cannot be told apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.ranker.formulas.estimates import NORMAL_95
from services.ranker.formulas.levels import NO_LEVEL, BoardScores, Levels
from services.ranker.formulas.mapping import Bools, Floats, Ints

#: Scores that agree to this many decimals share a rank: sums of the same numbers in another order
#: differ in the last bits.
TIE_DECIMALS = 9
#: The rank of a model without a level: it is listed last and is never first, second or any.
UNRANKED = 0


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """``order`` lists model rows, best first; the others are aligned with it.

    ``rank`` is the competition rank (1, 2, 2, 4; ``UNRANKED`` without a level).
    ``indistinguishable`` says that the difference to the model above, at that model's level, is
    within its 95 % interval of 0, equal scores included.
    """

    order: Ints
    rank: Ints
    indistinguishable: Bools


def rank_models(board: BoardScores, models: Ints) -> Ranking:
    """Rank some model rows of a board, by level and then by the score at that level.

    ``models`` holds the rows that stand on the board; models of one rank keep their order in it.
    """
    level = board.level[models]
    score = score_at_level(board, models, level)
    # Stable and least significant key first: level down, score down, then the given order.
    order = np.lexsort((-score, -level.astype(np.intp)))
    level, score, rows = level[order], score[order], models[order]
    new = np.ones(len(rows), dtype=np.bool_)
    new[1:] = (level[1:] != level[:-1]) | (score[1:] != score[:-1])
    place = np.arange(1, len(rows) + 1)
    rank = np.maximum.accumulate(np.where(new, place, 0)) if len(rows) else place
    return Ranking(
        order=rows,
        rank=np.where(level == NO_LEVEL, UNRANKED, rank),
        indistinguishable=_indistinguishable(board, rows, level),
    )


def score_at_level(board: BoardScores, models: Ints, level: Levels) -> Floats:
    """The score that decides the order: that of each model's level, to ``TIE_DECIMALS``."""
    score = np.zeros(len(models), dtype=np.float64)
    for number, estimate in board.scores.items():
        at = level == number
        score[at] = np.round(estimate.point[models[at]], TIE_DECIMALS)
    return score


def _indistinguishable(board: BoardScores, rows: Ints, level: Levels) -> Bools:
    result = np.zeros(len(rows), dtype=np.bool_)
    # A neighbour of a lower level is compared at the level of the model above, where it has 0
    # and, with scores just below their references, an error of its own.
    for number, estimate in board.scores.items():
        below = 1 + np.flatnonzero(level[:-1] == number)
        upper, lower = rows[below - 1], rows[below]
        gap = np.abs(np.round(estimate.point[upper] - estimate.point[lower], TIE_DECIMALS))
        margin = NORMAL_95 * np.sqrt(estimate.variance[upper] + estimate.variance[lower])
        result[below] = gap <= margin
    return result
