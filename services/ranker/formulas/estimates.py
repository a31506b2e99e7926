"""Averages, harmonic means and products of independent uncertain scores, in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.ranker.formulas.mapping import FULL_SCORE, Floats

#: Half the width of a 95 % interval, in standard errors.
NORMAL_95 = 1.959963984540054


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """A score and what a re-measurement would give, arrays of one shape ``[..., models]``.

    ``point`` is the printed score. ``expected`` and ``variance`` are the moments of the score if
    every task were measured again; ``expected`` differs from ``point`` where scores lie close to
    their references, since a tie counts in full but is reached only half of the time.
    """

    point: Floats
    expected: Floats
    variance: Floats

    @property
    def standard_error(self) -> Floats:
        """Standard error, in score points."""
        return np.sqrt(self.variance)

    def interval(self) -> tuple[Floats, Floats]:
        """The 95 % interval of a re-measurement, widened to contain the printed score."""
        half = NORMAL_95 * self.standard_error
        low = np.minimum(self.point, self.expected - half)
        high = np.maximum(self.point, self.expected + half)
        return np.clip(low, 0.0, FULL_SCORE), np.clip(high, 0.0, FULL_SCORE)


def average(parts: Sequence[Estimate]) -> Estimate:
    """The plain mean of independent scores."""
    count = len(parts)
    return Estimate(
        point=sum_of([part.point for part in parts]) / count,
        expected=sum_of([part.expected for part in parts]) / count,
        variance=sum_of([part.variance for part in parts]) / count**2,
    )


def sum_of(arrays: Sequence[Floats]) -> Floats:
    """The sum of arrays of one shape, always added from left to right."""
    total = np.zeros_like(arrays[0])
    for array in arrays:
        total = total + array
    return total


def harmonic_mean(left: Estimate, right: Estimate) -> Estimate:
    """2ab/(a+b), 0 where both are 0; its moments by the delta method at the expected values.

    The variance is of first order. The mean has the second-order term too, since a harmonic mean
    bends down: without it the S4 of a re-measurement is put a fifth of its error too high.
    """
    a, b = left.expected, right.expected
    # Shares first: far below the references the squares of the sums would be 0.
    total = np.where(a + b > 0.0, a + b, 1.0)
    by_left, by_right = 2.0 * (b / total) ** 2, 2.0 * (a / total) ** 2
    bend = (by_left * left.variance + by_right * right.variance) / total
    return Estimate(
        point=_harmonic(left.point, right.point),
        expected=np.maximum(_harmonic(a, b) - bend, 0.0),
        variance=by_left**2 * left.variance + by_right**2 * right.variance,
    )


def weighted(score: Estimate, language: Estimate) -> Estimate:
    """S5: a score times w_L, the language score as a fraction; exact for independent factors."""
    factor = language.expected / FULL_SCORE
    spread = language.variance / FULL_SCORE**2
    return Estimate(
        point=score.point * (language.point / FULL_SCORE),
        expected=score.expected * factor,
        variance=(
            score.variance * factor**2 + score.expected**2 * spread + score.variance * spread
        ),
    )


def _harmonic(a: Floats, b: Floats) -> Floats:
    total = np.where(a + b > 0.0, a + b, 1.0)
    return 2.0 * a * (b / total)
