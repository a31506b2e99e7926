"""Errors of numbers and series: MAE, MSE, RMSE. Lower is better, 0 is perfect, no upper end.

An item that is missing counts with an error that no guess within the range of the references can
exceed on any item; ADR 0003 has the reasoning.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from services.grader.metrics.result import MetricResult, check_columns, mean_result

#: One answer: a number, or a 1-d series of them.
Numbers = float | int | NDArray[np.float64] | Sequence[float]

#: Larger absolute errors count as this one, so that no finite answer can overflow a score.
LARGEST_ERROR = 1e120


def mae(
    predictions: Sequence[Numbers | None], references: Sequence[Sequence[Numbers]]
) -> MetricResult:
    """The mean over items of the mean absolute error of their numbers, in the data's unit.

    Of several references the closest counts. A prediction of another length than its reference
    counts as missing. Raises ValueError for a number that is not finite or a reference without
    numbers.
    """
    errors, missing = _item_errors(predictions, references, power=1)
    return mean_result(errors, missing)


def mse(
    predictions: Sequence[Numbers | None], references: Sequence[Sequence[Numbers]]
) -> MetricResult:
    """The mean over items of the mean squared error of their numbers; otherwise as :func:`mae`."""
    errors, missing = _item_errors(predictions, references, power=2)
    return mean_result(errors, missing)


def rmse(
    predictions: Sequence[Numbers | None], references: Sequence[Sequence[Numbers]]
) -> MetricResult:
    """The square root of :func:`mse`, in the data's unit.

    ``per_sample`` holds the root mean squared error of each item; the value is their quadratic
    mean. The standard error follows from that of the MSE by the delta method,
    stderr(mse) / (2 rmse); 0 for a perfect submission.
    """
    errors, missing = _item_errors(predictions, references, power=2)
    squared = mean_result(errors, missing)
    value = float(np.sqrt(squared.value))
    stderr = squared.stderr
    if stderr is not None:
        stderr = stderr / (2 * value) if value > 0 else 0.0
    return MetricResult(value, squared.n, stderr, np.sqrt(errors), missing)


def _item_errors(
    predictions: Sequence[Numbers | None], references: Sequence[Sequence[Numbers]], *, power: int
) -> tuple[NDArray[np.float64], int]:
    """Each item's mean of |error| ** power, and the number of items counted as missing."""
    n = check_columns(predictions, references)
    accepted = [[_numbers(reference) for reference in options] for options in references]
    lowest = min(float(series.min()) for options in accepted for series in options)
    highest = max(float(series.max()) for options in accepted for series in options)
    errors = np.full(n, np.nan)
    for item, prediction in enumerate(predictions):
        if prediction is None:
            continue
        given = _numbers(prediction, may_be_empty=True)
        for wanted in accepted[item]:
            if len(given) != len(wanted):
                continue
            error = _capped(given, wanted) ** power
            errors[item] = np.fmin(errors[item], error.mean())
    answered = ~np.isnan(errors)
    errors[~answered] = _missing_error(errors[answered], lowest, highest, power)
    return errors, int(n - answered.sum())


def _missing_error(
    answered: NDArray[np.float64], lowest: float, highest: float, power: int
) -> float:
    """The error of a missing item: the largest answered one, or the whole range of the references.

    Where all references are equal, the range is replaced by their size, at least 1.
    """
    with np.errstate(over="ignore"):
        width = min(float(np.float64(highest) - lowest), LARGEST_ERROR)
    if width == 0:
        width = min(max(abs(highest), 1.0), LARGEST_ERROR)
    return float(max(width**power, answered.max(initial=0.0)))


def _capped(given: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(over="ignore"):
        return np.asarray(np.minimum(np.abs(given - wanted), LARGEST_ERROR))


def _numbers(answer: Numbers, *, may_be_empty: bool = False) -> NDArray[np.float64]:
    series = np.atleast_1d(np.asarray(answer, dtype=np.float64))
    if series.ndim != 1:
        raise ValueError("an answer is a number or a 1-d series")
    if len(series) == 0 and not may_be_empty:
        raise ValueError("a reference holds at least one number")
    if not np.isfinite(series).all():
        raise ValueError("an answer holds finite numbers only")
    return series
