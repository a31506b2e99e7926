"""The structure measure of foreground maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.grader.metrics.media_items import check_items
from services.grader.metrics.result import PERCENT, MetricResult, mean_result

#: The weight of the object-aware part; the region-aware part has the rest.
ALPHA: Final = 0.5

_EPSILON: Final = float(np.spacing(1))


def s_measure(
    predictions: Sequence[NDArray[Any] | None], references: Sequence[NDArray[np.bool_]]
) -> MetricResult:
    """S = max(0, S_object / 2 + S_region / 2), in percent, 0..100, higher is better.

    Items are frames [t, height, width] or one picture [height, width]: foreground maps in 0..1
    (bool counts as 0 and 1) and masks, bool. S_object compares the mean and the spread of the map
    on the foreground and of its complement on the background; S_region is the structural
    similarity of the four quarters around the foreground's centroid, weighted by their areas. A
    frame whose key is empty scores 1 - mean(map), one that is all foreground mean(map). The value
    is the mean over an item's frames, then over the items; ``per_sample`` [n]. A missing item, and
    maps of another shape than the key's, are 0. Source: Fan et al., Structure-measure: A New Way
    to Evaluate Foreground Maps, ICCV 2017, as the authors' code and PySODMetrics compute it; maps
    are taken as they are, not stretched to 0..1. Raises ValueError for a map outside 0..1.
    """
    n = check_items(predictions, references)
    samples = np.zeros(n)
    missing = 0
    for item, (found, key) in enumerate(zip(predictions, references, strict=True)):
        if key.ndim not in {2, 3} or key.size == 0:
            raise ValueError(f"item {item}: a key holds frames of pixels")
        if found is None or found.shape != key.shape:
            missing += 1
            continue
        maps, masks = (found, key) if key.ndim == 3 else (found[None], key[None])
        samples[item] = PERCENT * float(
            np.mean([_structure(*pair, item) for pair in zip(maps, masks, strict=True)])
        )
    return mean_result(samples, missing)


def _structure(found: NDArray[Any], key: NDArray[np.bool_], item: int) -> float:
    found = found.astype(np.float64)
    if not ((found >= 0) & (found <= 1)).all():
        raise ValueError(f"item {item}: a foreground map lies in 0..1")
    share = float(np.mean(key))
    if share == 0:
        return 1 - float(np.mean(found))
    if share == 1:
        return float(np.mean(found))
    object_part = share * _alike(found[key]) + (1 - share) * _alike(1 - found[~key])
    return max(0.0, ALPHA * object_part + (1 - ALPHA) * _region_part(found, key))


def _alike(values: NDArray[np.float64]) -> float:
    """2 m / (m^2 + 1 + s) of values that would all be 1 in a perfect map."""
    mean = float(np.mean(values))
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return 2 * mean / (mean * mean + 1 + spread + _EPSILON)


def _region_part(found: NDArray[np.float64], key: NDArray[np.bool_]) -> float:
    """The quarters' similarity; the centroid's own row and column belong to the upper left."""
    height, width = key.shape
    rows, columns = np.nonzero(key)
    row, column = int(np.round(rows.mean())) + 1, int(np.round(columns.mean())) + 1
    total = 0.0
    for vertical in (slice(0, row), slice(row, height)):
        for horizontal in (slice(0, column), slice(column, width)):
            quarter = key[vertical, horizontal]
            if quarter.size:
                total += quarter.size * _similarity(found[vertical, horizontal], quarter)
    return total / key.size


def _similarity(found: NDArray[np.float64], key: NDArray[np.bool_]) -> float:
    """Structural similarity without the usual constants; two constant quarters are alike."""
    mean, share = float(np.mean(found)), float(np.mean(key))
    count = key.size - 1 + _EPSILON
    apart, wanted = found - mean, key - share
    spread, key_spread = np.sum(apart * apart) / count, np.sum(wanted * wanted) / count
    above = 4 * mean * share * float(np.sum(apart * wanted) / count)
    below = (mean * mean + share * share) * float(spread + key_spread)
    if above != 0:
        return above / (below + _EPSILON)
    return 1.0 if below == 0 else 0.0
