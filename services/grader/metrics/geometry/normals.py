"""Normals of a point cloud. Lower is better."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.grader.metrics.media_items import check_finite, check_items
from services.grader.metrics.result import MetricResult, mean_result

#: The angle of two lines is at most a right one; that of an unusable normal.
RIGHT_ANGLE_DEGREES: Final = 90.0

Normals = NDArray[np.floating]


def normal_rmse(
    predictions: Sequence[Normals | None], references: Sequence[Normals]
) -> MetricResult:
    """The mean over shapes of sqrt(mean angle^2), in degrees, 0..90; 0 is perfect.

    Items are normals, floats [p, 3] of any length above 0; the angle is that of two lines,
    arccos |n . n*|, so orientation does not matter. A predicted normal of length 0 is at 90
    degrees. ``per_sample`` [n] holds the shapes' values. A missing shape, and one with another
    number of points than the key's, is at 90 degrees everywhere. Symmetric in its two sides.
    Source: Guerrero et al., PCPNet, Eurographics 2018, section 6. Raises ValueError for a normal
    of length 0 in the key, and for a NaN or infinity in an answer.
    """
    n = check_items(predictions, references)
    samples = np.full(n, RIGHT_ANGLE_DEGREES)
    missing = 0
    for item, (found, key) in enumerate(zip(predictions, references, strict=True)):
        wanted, usable = _unit(key)
        if len(key) == 0 or not usable.all():
            raise ValueError(f"item {item}: the key's normals have a length above 0")
        if found is None or found.shape != key.shape:
            missing += 1
            continue
        check_finite(found, item)
        given, usable = _unit(found)
        # atan2 of cross and dot product keeps its precision at small angles, unlike arccos.
        angle = np.degrees(
            np.arctan2(
                np.linalg.norm(np.cross(given, wanted), axis=1),
                np.abs(np.sum(given * wanted, axis=1)),
            )
        )
        angle = np.where(usable, angle, RIGHT_ANGLE_DEGREES)
        samples[item] = float(np.sqrt(np.mean(angle * angle)))
    return mean_result(samples, missing)


def _unit(normals: Normals) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Normals [p, 3] of length 1, and whether each had a length, bool [p]."""
    normals = normals.astype(np.float64)
    largest = np.abs(normals).max(axis=1, keepdims=True, initial=0.0)
    usable = largest[:, 0] > 0
    scaled = normals / np.where(largest > 0, largest, 1.0)
    length = np.linalg.norm(scaled, axis=1, keepdims=True)
    return scaled / np.where(length > 0, length, 1.0), usable
