"""Graded maps against a mask, over all pixels of the data set: average precision and ROC-AUC.

The maps come as pictures of 8 or 16 bits, so the pixels are counted by level instead of sorted:
exact, in one pass, with memory that does not depend on the number of pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.grader.metrics.media_items import check_items, pooled_result
from services.grader.metrics.result import PERCENT, MetricResult

#: A map: uint8 or uint16 [height, width], higher is surer.
GradedMap = NDArray[np.unsignedinteger[Any]]

#: 8-bit levels on the 16-bit scale: 255 becomes 65535.
_BYTE_STEP: Final = 257
#: The levels of 16 bits, one below them all and one above.
_LEVELS: Final = 65_536 + 2


def pixel_average_precision(
    predictions: Sequence[GradedMap | None], references: Sequence[NDArray[np.bool_]]
) -> MetricResult:
    """sum_k (R_k - R_(k-1)) P_k over the distinct levels from the highest, in percent, 0..100.

    P and R are precision and recall of the pixels at or above level k, over all pixels of all
    items; references are bool [height, width]. ``per_sample`` is None. A missing item, and a map
    of another shape than the key's, is wrong in every pixel: its true pixels rank below, its
    others above all. Raises ValueError for a key without a true pixel (0/0). Source: scikit-learn,
    average_precision_score; Su, Yuan and Zhu, A Relationship between the Average Precision and the
    Area under the ROC Curve, 2015.
    """
    return _pooled(predictions, references, _average_precision)


def pixel_roc_auc(
    predictions: Sequence[GradedMap | None], references: Sequence[NDArray[np.bool_]]
) -> MetricResult:
    """The probability that a true pixel has a higher level than another one, in percent, 0..100.

    A tie counts half, which is the area under the ROC curve; columns and missing items as in
    :func:`pixel_average_precision`. Raises ValueError for a key without both kinds of pixels.
    Source: Hanley and McNeil, Radiology 1982.
    """
    return _pooled(predictions, references, _roc_auc)


def _pooled(
    predictions: Sequence[GradedMap | None],
    references: Sequence[NDArray[np.bool_]],
    measure: Callable[[NDArray[np.int64], NDArray[np.int64]], float],
) -> MetricResult:
    n = check_items(predictions, references)
    histograms: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    missing = 0
    for found, key in zip(predictions, references, strict=True):
        if found is None or found.shape != key.shape:
            missing += 1
            levels = np.where(key, 0, _LEVELS - 1)
        else:
            levels = _levels(found)
        code = levels.reshape(-1).astype(np.int64) * 2 + key.reshape(-1)
        counts = np.bincount(code)
        present = np.flatnonzero(counts)
        histograms.append((present, counts[present]))

    def value_of(chosen: NDArray[np.bool_]) -> float:
        table = np.zeros(2 * _LEVELS, dtype=np.int64)
        for item in np.flatnonzero(chosen).tolist():
            present, counts = histograms[item]
            table[present] += counts
        return PERCENT * measure(table[1::2][::-1], table[0::2][::-1])

    return pooled_result(n, missing, value_of)


def _levels(found: GradedMap) -> NDArray[np.int64]:
    if found.dtype == np.uint8:
        return found.astype(np.int64) * _BYTE_STEP + 1
    if found.dtype == np.uint16:
        return found.astype(np.int64) + 1
    raise ValueError("a graded map has 8 or 16 bits")


def _average_precision(true: NDArray[np.int64], other: NDArray[np.int64]) -> float:
    """From the counts of true and other pixels by level, the highest first; NaN for 0/0."""
    right = np.cumsum(true)
    if right[-1] == 0:
        return np.nan
    precision = right / np.maximum(right + np.cumsum(other), 1)
    return float(np.sum(true * precision) / right[-1])


def _roc_auc(true: NDArray[np.int64], other: NDArray[np.int64]) -> float:
    beaten = other.sum() - np.cumsum(other)
    pairs = float(true.sum()) * float(other.sum())
    if pairs == 0:
        return np.nan
    return float(np.sum(true.astype(np.float64) * (beaten + other / 2)) / pairs)
