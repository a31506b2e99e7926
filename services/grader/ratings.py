"""The mean of imported ratings: verdicts of people or of a judge on a lab's answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from services.grader.metrics.result import MetricResult, mean_result
from services.kit.ratings import RatingsInvalid


def mean_rating(
    ratings: Mapping[str, Sequence[float]],
    item_ids: Sequence[str],
    answered: Collection[str],
    worst: float,
) -> MetricResult:
    """The mean over the key's items of each item's mean verdict, with its standard error.

    An item that the lab did not answer has the worst verdict, rated or not. RatingsInvalid where
    an answered item has no verdict, or a verdict belongs to no item of the key.
    """
    known = set(item_ids)
    if not known.issuperset(ratings):
        raise RatingsInvalid("A verdict is on an unknown item.")
    missing = 0
    samples = np.empty(len(item_ids), dtype=np.float64)
    for position, item in enumerate(item_ids):
        if item not in answered:
            samples[position] = worst
            missing += 1
        elif item in ratings:
            samples[position] = np.mean(ratings[item])
        else:
            raise RatingsInvalid("An answered item has no verdict.")
    return mean_result(samples, missing)
