"""What every metric returns, and the two ways its uncertainty is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: A share of 1 is printed as 100: the catalogue's unit for every bounded metric.
PERCENT = 100.0


@dataclass(frozen=True, slots=True)
class MetricResult:
    """The value of one metric over one task.

    ``value`` is raw, in the catalogue's unit: percent on 0..100 (WER too, and CIDEr times 100), or
    the data's own unit for mae, mse and rmse. ``n`` counts every item of the key, absent ones
    included, and ``missing`` says how many were absent. ``stderr`` is the standard error of
    ``value`` in the same unit, None where one item cannot give one. ``per_sample`` has shape [n] in
    key order and the unit of ``value``; None where the metric is defined on the whole corpus only.
    """

    value: float
    n: int
    stderr: float | None
    per_sample: NDArray[np.float64] | None
    missing: int

    def __post_init__(self) -> None:
        if not np.isfinite(self.value):
            raise ValueError("a metric value is a finite number")


def check_columns(predictions: Sequence[object], references: Sequence[Sequence[object]]) -> int:
    """The number of items n of two aligned columns.

    Raises ValueError where the key is empty, the lengths differ, or an item has no reference. The
    messages carry positions only: references are sealed answers.
    """
    n = len(references)
    if n == 0:
        raise ValueError("a key has at least one item")
    if len(predictions) != n:
        raise ValueError(f"{len(predictions)} predictions for {n} items")
    for position, accepted in enumerate(references):
        if isinstance(accepted, str):
            raise ValueError(f"item {position}: references are a list of accepted answers")
        if len(accepted) == 0:
            raise ValueError(f"item {position} has no reference")
    return n


def count_missing(predictions: Sequence[object]) -> int:
    """How many items of the key the submission left out."""
    return sum(prediction is None for prediction in predictions)


def mean_result(samples: NDArray[np.float64], missing: int) -> MetricResult:
    """The mean of per-item values [n], with the sample standard deviation over sqrt(n)."""
    n = len(samples)
    return MetricResult(
        value=float(np.mean(samples)),
        n=n,
        stderr=float(np.std(samples, ddof=1) / np.sqrt(n)) if n > 1 else None,
        per_sample=samples,
        missing=missing,
    )


def jackknife_stderr(leave_one_out: NDArray[np.float64]) -> float | None:
    """The delete-one jackknife standard error from the n values that each leave one item out.

    sqrt((n - 1) / n * sum((x_i - mean(x))^2)); B. Efron, The Jackknife, the Bootstrap and Other
    Resampling Plans, 1982, chapter 3. Deterministic, unlike a bootstrap. None for n = 1.
    """
    n = len(leave_one_out)
    if n < 2:
        return None
    spread = leave_one_out - np.mean(leave_one_out)
    return float(np.sqrt((n - 1) / n * np.sum(spread * spread)))


def best_of_references(
    values: NDArray[np.float64], counts: NDArray[np.int64], *, lowest: bool = False
) -> NDArray[np.float64]:
    """Per item, the best of its references' values.

    ``values`` holds all (item, reference) pairs in item order, ``counts`` [n] how many each item
    has (each at least 1).
    """
    starts = np.concatenate(([0], np.cumsum(counts[:-1])))
    pick = np.minimum if lowest else np.maximum
    return np.asarray(pick.reduceat(values, starts), dtype=np.float64)
