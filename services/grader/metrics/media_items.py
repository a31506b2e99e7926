"""What the metrics of pictures, videos and 3D data share: aligned columns, skipped items, spread.

A column is any sequence of one entry per item of the key; a prediction of None is an item that the
submission left out. Metrics read a column from first to last, once, so a column may decode an item
only when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from services.grader.metrics.numbers.errors import LARGEST_ERROR
from services.grader.metrics.result import MetricResult, jackknife_stderr, mean_result

#: Groups of items that the standard error of a pooled metric leaves out in turn, at most.
JACKKNIFE_GROUPS = 50


def check_items(predictions: Sequence[object], references: Sequence[object]) -> int:
    """The number of items n of two aligned columns; ValueError for an empty key or two lengths."""
    n = len(references)
    if n == 0:
        raise ValueError("a key has at least one item")
    if len(predictions) != n:
        raise ValueError(f"{len(predictions)} predictions for {n} items")
    return n


def check_finite(values: NDArray[np.floating], item: int) -> None:
    """ValueError where a number of the answer to ``item`` is NaN or infinite."""
    if not np.isfinite(values).all():
        raise ValueError(f"item {item}: an answer holds finite numbers only")


def ranges(starts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each i the ``counts[i]`` whole numbers from ``starts[i]`` on, all in a row; int64."""
    ends = np.cumsum(counts)
    return np.arange(counts.sum()) + np.repeat(starts - ends + counts, counts)


def error_result(errors: NDArray[np.float64], bound: float) -> MetricResult:
    """The mean of errors [n] without an upper end; NaN marks an item without a usable answer.

    Such an item counts with ``bound``, an error that no guess within the range of the key can
    exceed on any item, or with the largest error of an answered item where that is larger, so that
    to leave an item out never pays.
    """
    unanswered = np.isnan(errors)
    filled = np.minimum(errors, LARGEST_ERROR)
    if unanswered.any():
        filled[unanswered] = min(
            max(bound, float(filled[~unanswered].max(initial=0.0))), LARGEST_ERROR
        )
    return mean_result(filled, int(unanswered.sum()))


def pooled_result(
    n: int, missing: int, value_of: Callable[[NDArray[np.bool_]], float]
) -> MetricResult:
    """The value of a metric that is defined on all items at once.

    ``value_of`` gives it for a choice of the items, bool [n], and NaN where the choice leaves it
    undefined. The standard error is the delete-a-group jackknife's over at most JACKKNIFE_GROUPS
    groups (item i is in group i mod the number of groups), None where one of its values is
    undefined. Raises ValueError where the value over all items is undefined.
    """
    value = value_of(np.ones(n, dtype=np.bool_))
    if np.isnan(value):
        raise ValueError("the key holds nothing that this metric can measure")
    group = np.arange(n) % min(n, JACKKNIFE_GROUPS)
    stderr = None
    if n > 1:
        without = np.array(
            [value_of(group != left_out) for left_out in range(int(group.max()) + 1)]
        )
        if not np.isnan(without).any():
            stderr = jackknife_stderr(without)
    return MetricResult(value, n, stderr, None, missing)
