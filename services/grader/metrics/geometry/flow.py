"""End-point error of optical flow. Lower is better."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from services.grader.metrics.media_items import check_finite, check_items, error_result
from services.grader.metrics.numbers.errors import LARGEST_ERROR
from services.grader.metrics.result import MetricResult

#: Flow vectors in pixels: floats [height, width, 2] or [t, height, width, 2], x first.
Flow = NDArray[np.floating]


def end_point_error(predictions: Sequence[Flow | None], references: Sequence[Flow]) -> MetricResult:
    """The mean over items of mean |u - u*| over valid pixels, in pixels; 0 is perfect.

    A pixel of the key with NaN in either component is not valid. ``per_sample`` [n] holds the
    items' errors. A missing item, and flow of another shape than the key's, counts with the
    diagonal of the range of the key's vectors (their size where all are equal, at least 1 pixel),
    or with the largest error of an answered item where that is larger. Source: Baker et al., A
    Database and Evaluation Methodology for Optical Flow, IJCV 2011. Raises ValueError for an item
    of the key without a valid pixel (0/0), and for a NaN or infinity in an answer.
    """
    n = check_items(predictions, references)
    errors = np.full(n, np.nan)
    low, high = np.full(2, np.inf), np.full(2, -np.inf)
    for item, (found, key) in enumerate(zip(predictions, references, strict=True)):
        if key.shape[-1:] != (2,):
            raise ValueError(f"item {item}: flow has two components")
        valid = np.isfinite(key).all(axis=-1)
        wanted = key[valid].astype(np.float64)
        if len(wanted) == 0:
            raise ValueError(f"item {item}: the key has no valid flow")
        low, high = np.minimum(low, wanted.min(axis=0)), np.maximum(high, wanted.max(axis=0))
        if found is None or found.shape != key.shape:
            continue
        check_finite(found, item)
        apart = np.minimum(np.abs(found[valid].astype(np.float64) - wanted), LARGEST_ERROR)
        errors[item] = float(np.mean(np.hypot(apart[:, 0], apart[:, 1])))
    width = float(np.hypot(*(high - low)))
    if width == 0:
        width = max(float(np.hypot(*high)), 1.0)
    return error_result(errors, width)
