"""Recall within the first k answers of a ranking."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from services.grader.metrics.result import (
    PERCENT,
    MetricResult,
    check_columns,
    count_missing,
    mean_result,
)
from services.grader.metrics.text.normalise import Memo, label


def recall_at_k(
    predictions: Sequence[Sequence[str] | None],
    references: Sequence[Sequence[str]],
    *,
    k: int = 50,
) -> MetricResult:
    """The mean share of an item's answers found among its first k predictions, in percent, 0..100.

    The share is of min(k, number of distinct answers), so that a perfect ranking reaches 100. With
    one answer per item this is the hit rate at k. Answers compare as in accuracy; a repeated
    prediction uses up a place. 0/0 cannot occur: every item has an answer. A missing item and an
    empty ranking score 0. Raises ValueError where k is not positive.
    """
    n = check_columns(predictions, references)
    if k < 1:
        raise ValueError("k is at least 1")
    form = Memo(label)
    samples = np.zeros(n)
    for item, ranking in enumerate(predictions):
        if ranking is None:
            continue
        if isinstance(ranking, str):
            raise ValueError(f"item {item}: a ranking is a list of answers")
        wanted = {form[reference] for reference in references[item]}
        found = wanted.intersection(form[answer] for answer in ranking[:k])
        samples[item] = PERCENT * len(found) / min(k, len(wanted))
    return mean_result(samples, count_missing(predictions))
