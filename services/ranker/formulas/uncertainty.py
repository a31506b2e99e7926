"""How sure one task score is, before and after it is compared with its reference.

A raw score is taken as normal around its measured value with its standard error. The mapping is
linear over that width (delta method): score = m + t·u with u standard normal in the metric's good
direction, t = slope · sign · standard error.

A score kept only where the raw value reaches the reference is a *masked normal*. With z the raw
margin over the reference in standard errors, and Phi and phi the normal distribution and density,

    P(reached) = Phi(z)
    E[kept]    = m·Phi(z) + t·phi(z)
    E[kept²]   = m²·Phi(z) + 2·m·t·phi(z) + t²·(Phi(z) - z·phi(z))

which are the first two moments of a truncated normal (Johnson, Kotz and Balakrishnan, Continuous
Univariate Distributions, volume 1, section 13.10.1), times the probability of not being cut off.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from services.ranker.formulas.conventions import Scored
from services.ranker.formulas.mapping import Bools, Floats, TaskArrays, slope


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Moments of every task score under re-measurement, ``[models, tasks]``.

    ``kept`` is the printed score where the reference is reached, else 0; ``expected_kept`` and
    ``variance_kept`` (squared score points) are its moments; ``variance`` is that of the unmasked
    score; ``reach`` is the probability of a non-zero kept score. ``known`` says where a supported
    score came with a standard error; where it did not, the score is taken as exact.
    """

    kept: Floats
    variance: Floats
    expected_kept: Floats
    variance_kept: Floats
    reach: Floats
    known: Bools


def moments(raw: Floats, standard_error: Floats, scored: Scored, tasks: TaskArrays) -> Moments:
    """Moments of scores and kept scores.

    ``raw`` and ``standard_error`` are ``[models, tasks]`` in the raw unit; NaN is an unknown error.
    """
    kept = np.where(scored.reached, scored.score, 0.0)
    known = scored.supported & np.isfinite(standard_error)
    variance = np.zeros_like(kept)
    expected_kept = kept.copy()
    variance_kept = np.zeros_like(kept)
    reach = (kept > 0.0).astype(np.float64)

    uncertain = known & (standard_error > 0.0)
    if uncertain.any():
        width = np.where(uncertain, standard_error, 0.0)
        spread = (slope(raw, scored.supported, tasks) * tasks.sign * width)[uncertain]
        margin = ((raw - tasks.reference) * tasks.sign)[uncertain]
        z = margin / standard_error[uncertain]
        mean = scored.score[uncertain]
        inside = ndtr(z)
        density = np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi)
        first = mean * inside + spread * density
        second = (
            mean * mean * inside
            + 2.0 * mean * spread * density
            + spread * spread * (inside - z * density)
        )
        variance[uncertain] = spread * spread
        expected_kept[uncertain] = first
        variance_kept[uncertain] = np.maximum(second - first * first, 0.0)
        reach[uncertain] = np.where((mean > 0.0) | (spread != 0.0), inside, 0.0)
    return Moments(
        kept=kept,
        variance=variance,
        expected_kept=expected_kept,
        variance_kept=variance_kept,
        reach=reach,
        known=known,
    )
