"""From a raw metric value to a score in [0, 100], and whether a raw value reaches a reference.

Formulas: "On Path to Multimodal Generalist", arXiv 2505.04620, appendix on score mapping. One
value at a time and without numpy, so that a lab's light install has it; the ranker has its own
array version, which is tested against this one.
"""

from __future__ import annotations

import math
from typing import Final

from general_level.catalogue.model import Direction, Metric, ScoreMapping
from general_level.errors import ScoreRefused

#: The best and the worst score.
FULL: Final = 100.0
NOTHING: Final = 0.0

#: How far beyond a metric's bound a value may lie, as a share of the bound's magnitude (at least
#: one unit): the rounding of a mean of many values, and nothing more.
BOUND_TOLERANCE: Final = 1e-9


def is_legal(metric: Metric, raw: float) -> bool:
    """Whether ``raw`` (in the metric's unit) is finite and within the metric's bounds."""
    if not math.isfinite(raw):
        return False
    low, high = metric.minimum, metric.maximum
    return (low is None or raw >= low - _slack(low)) and (
        high is None or raw <= high + _slack(high)
    )


def to_score(metric: Metric, raw: float) -> float:
    """The score in [0, 100] of a raw value in the metric's unit.

    It never falls as the raw value gets better in the metric's direction, and a perfect 0 of a
    lower-is-better metric is 100. Several good raw values may share the score 100, so a score
    never decides whether a reference is reached: ``reaches`` does.

    Raises ScoreRefused where the raw value is not legal.
    """
    value = _checked(metric, raw)
    match metric.mapping:
        case ScoreMapping.IDENTITY:
            score = value
        case ScoreMapping.TANH_INVERSE:
            # At 0 the formula's limit is 1.
            score = FULL * math.tanh(_scale(metric) / (2 * value)) if value > 0 else FULL
        case ScoreMapping.TANH:
            score = FULL * math.tanh(value / _scale(metric))
        case ScoreMapping.ONE_MINUS_PERCENT:
            score = FULL - value
        case ScoreMapping.SIGNED_UNIT:
            score = FULL * (value + 1) / 2
        case ScoreMapping.OPINION:
            score = FULL * (value - 1) / 4
    return min(max(score, NOTHING), FULL)


def reaches(metric: Metric, raw: float, reference: float) -> bool:
    """Whether ``raw`` is at least as good as ``reference``, both raw; a tie reaches.

    Raises ScoreRefused where either value is not legal.
    """
    ours, theirs = _checked(metric, raw), _checked(metric, reference)
    return ours >= theirs if metric.direction is Direction.HIGHER else ours <= theirs


def _checked(metric: Metric, raw: float) -> float:
    if not is_legal(metric, raw):
        raise ScoreRefused(metric=metric.id, minimum=metric.minimum, maximum=metric.maximum)
    if metric.minimum is not None and raw < metric.minimum:
        return metric.minimum
    if metric.maximum is not None and raw > metric.maximum:
        return metric.maximum
    return raw


def _slack(bound: float) -> float:
    return BOUND_TOLERANCE * max(abs(bound), 1.0)


def _scale(metric: Metric) -> float:
    assert metric.scale is not None, "the loader refuses a scaled mapping without a scale"
    return metric.scale
