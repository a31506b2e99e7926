"""Depth maps: root mean squared error, and relative error after alignment. Lower is better."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.grader.metrics.media_items import check_finite, check_items, error_result
from services.grader.metrics.numbers.errors import LARGEST_ERROR
from services.grader.metrics.result import MetricResult

#: A depth map, or one for each frame: floats [height, width] or [t, height, width], in metres.
Depth = NDArray[np.floating]

CENTIMETRES: Final = 100.0

#: Relative error is measured where the key's depth lies between these, in metres; aligned
#: predictions are clipped to them.
NEAREST_M: Final = 1e-3
FARTHEST_M: Final = 80.0


def depth_rms(predictions: Sequence[Depth | None], references: Sequence[Depth]) -> MetricResult:
    """The mean over items of sqrt(mean (d - d*)^2) over valid pixels, in centimetres; 0 is perfect.

    Depth is in metres; pixels of the key that are 0, negative or not finite are not valid. No
    alignment. ``per_sample`` [n] holds the items' errors. A missing item, and a map of another
    shape than the key's, counts with the range of the key's depths (their size where all are
    equal), or with the largest error of an answered item where that is larger. Source: Eigen,
    Puhrsch and Fergus, Depth Map Prediction from a Single Image, NIPS 2014. Raises ValueError for
    an item of the key without a valid pixel (0/0), and for a NaN or infinity in an answer.
    """
    n = check_items(predictions, references)
    errors = np.full(n, np.nan)
    low, high = np.inf, -np.inf
    for item, (found, key) in enumerate(zip(predictions, references, strict=True)):
        valid = np.isfinite(key) & (key > 0)
        wanted = _valid(key, valid, item)
        low, high = min(low, float(wanted.min())), max(high, float(wanted.max()))
        if found is None or found.shape != key.shape:
            continue
        check_finite(found, item)
        apart = np.minimum(np.abs(found[valid].astype(np.float64) - wanted), LARGEST_ERROR)
        errors[item] = CENTIMETRES * float(np.sqrt(np.mean(apart * apart)))
    return error_result(errors, CENTIMETRES * (high - low if high > low else high))


def abs_rel(predictions: Sequence[Depth | None], references: Sequence[Depth]) -> MetricResult:
    """The mean over items of mean |d' - d*| / d* over valid pixels, a ratio; 0 is perfect.

    Valid is where the key lies between 1 mm and 80 m, both excluded. d' = clip(s d + t) is the
    prediction after the scale s and shift t that fit it to the key in least squares, one pair for
    all frames of an item, so predictions of any scale are welcome. A constant prediction becomes
    the key's mean. ``per_sample`` [n] holds the items' errors. A missing item, and a map of
    another shape than the key's, counts with the largest over the items of
    (highest - lowest depth of the key) mean(1 / d*), or with the largest error of an answered item
    where that is larger. Source: Ranftl et al., Towards Robust Monocular Depth Estimation, TPAMI
    2022, for the alignment; bounds as in the published scorer's video depth. Raises as
    :func:`depth_rms`.
    """
    n = check_items(predictions, references)
    errors = np.full(n, np.nan)
    low, high, steepest = np.inf, -np.inf, 0.0
    for item, (found, key) in enumerate(zip(predictions, references, strict=True)):
        valid = (key > NEAREST_M) & (key < FARTHEST_M)
        wanted = _valid(key, valid, item)
        low, high = min(low, float(wanted.min())), max(high, float(wanted.max()))
        steepest = max(steepest, float(np.mean(1 / wanted)))
        if found is None or found.shape != key.shape:
            continue
        check_finite(found, item)
        aligned = np.clip(_aligned(found[valid], wanted), NEAREST_M, FARTHEST_M)
        errors[item] = float(np.mean(np.abs(aligned - wanted) / wanted))
    return error_result(errors, (high - low if high > low else high) * steepest)


def _valid(key: Depth, valid: NDArray[np.bool_], item: int) -> NDArray[np.float64]:
    wanted = key[valid].astype(np.float64)
    if len(wanted) == 0:
        raise ValueError(f"item {item}: the key has no valid depth")
    return wanted


def _aligned(found: NDArray[np.floating], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """``found`` [p] after the scale and shift that bring it nearest to ``wanted`` [p]."""
    found = found.astype(np.float64)
    largest = float(np.abs(found).max())
    if largest == 0:
        return np.full_like(wanted, wanted.mean())
    found = found / largest
    centred = found - found.mean()
    spread = float(centred @ centred)
    if spread == 0:
        return np.full_like(wanted, wanted.mean())
    scale = float(centred @ (wanted - wanted.mean())) / spread
    return np.asarray(scale * centred + wanted.mean(), dtype=np.float64)
