"""Peak signal-to-noise ratio of pictures and videos, from exact integer sums.

10 log10(255^2 / MSE) over all values of an RGB picture, in dB; 0 (black against white) and up,
higher is better. The squared differences are summed as integers (below 2^53, so exact).

An identical picture has no finite PSNR. The catalogue's value is the mean of the finite ones, so
such a picture is left out of it: copied input frames, which restoration and interpolation tasks
invite, would swamp the mean otherwise. Where every picture is identical, the value is the largest
ceiling of the task, 10 log10(255^2 N) for N values, which a picture with one value off by one
level just reaches and no other answer passes. ``identical="ceiling"`` counts the ceiling for each
identical picture instead, so that a better picture never lowers the mean.

A missing item, and one of another size than its reference, is 0 dB: the worst there is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from services.grader.metrics.media import check_aligned
from services.grader.metrics.result import MetricResult, jackknife_stderr

Identical = Literal["leave-out", "ceiling"]
Picture = NDArray[np.uint8]

PEAK = 255.0
#: The PSNR of a missing picture, in dB.
WORST_DB = 0.0


def psnr(
    predictions: Sequence[Picture | None],
    references: Sequence[Picture],
    *,
    identical: Identical = "leave-out",
) -> MetricResult:
    """The mean PSNR of pictures [height, width, 3] uint8, in dB; module docstring has the rules.

    ``per_sample`` holds the ceiling for an identical picture; the standard error is that of the
    pictures in the mean. Raises ValueError for a reference without pixels.
    """
    n = check_aligned(predictions, references)
    values, ceilings = np.full(n, WORST_DB), np.empty(n)
    missing = 0
    for item, (prediction, reference) in enumerate(zip(predictions, references, strict=True)):
        ceilings[item] = ceiling(reference)
        if prediction is None or prediction.shape != reference.shape:
            missing += 1
        else:
            values[item] = picture_psnr(prediction, reference)
    counted = _counted(values, ceilings, identical)
    mean = values[counted].mean()
    spread = np.std(values[counted], ddof=1) if counted.sum() > 1 else 0.0
    stderr = float(spread / np.sqrt(counted.sum())) if n > 1 else None
    return MetricResult(float(mean), n, stderr, values, missing)


def video_psnr(
    predictions: Sequence[Picture | None],
    references: Sequence[Picture],
    *,
    identical: Identical = "leave-out",
) -> MetricResult:
    """The mean PSNR of all frames of videos [frames, height, width, 3] uint8, in dB.

    The mean is over the frames of the whole task, so a longer video weighs more. A frame that a
    video lacks is 0 dB, frames beyond the reference's are not compared. ``per_sample`` is None; the
    standard error is the delete-one-video jackknife's. Otherwise as :func:`psnr`.
    """
    n = check_aligned(predictions, references)
    values, ceilings, video = [], [], []
    missing = 0
    for item, (prediction, reference) in enumerate(zip(predictions, references, strict=True)):
        usable = prediction is not None and prediction.shape[1:] == reference.shape[1:]
        frames = prediction if usable and prediction is not None else reference[:0]
        missing += not usable
        shared = min(len(frames), len(reference))
        values += [picture_psnr(frames[t], reference[t]) for t in range(shared)]
        values += [WORST_DB] * (len(reference) - shared)
        ceilings += [ceiling(reference[t]) for t in range(len(reference))]
        video += [item] * len(reference)
    decibels = np.array(values)
    counted = _counted(decibels, np.array(ceilings), identical)
    of_video = np.array(video)[counted]
    sums = np.bincount(of_video, weights=decibels[counted], minlength=n)
    counts = np.bincount(of_video, minlength=n)
    rest = counts.sum() - counts
    stderr = None
    if n > 1 and (rest > 0).all():
        stderr = jackknife_stderr((sums.sum() - sums) / rest)
    return MetricResult(float(sums.sum() / counts.sum()), n, stderr, None, missing)


def picture_psnr(prediction: Picture, reference: Picture) -> float:
    """The PSNR of two pictures of one shape, in dB; the ceiling where they are identical."""
    flat = (reference.shape[0], -1)
    given = np.ascontiguousarray(prediction).reshape(flat)
    squares = cv2.norm(given, np.ascontiguousarray(reference).reshape(flat), cv2.NORM_L2SQR)
    if squares == 0:
        return ceiling(reference)
    return float(10 * np.log10(PEAK**2 * reference.size / squares))


def ceiling(reference: Picture) -> float:
    """The largest finite PSNR against this picture: one value is off by one level. In dB."""
    if reference.dtype != np.uint8 or reference.size == 0:
        raise ValueError("a reference picture has pixels of 8 bits")
    return float(10 * np.log10(PEAK**2 * reference.size))


def _counted(
    values: NDArray[np.float64], ceilings: NDArray[np.float64], identical: Identical
) -> NDArray[np.bool_]:
    """Which pictures are in the mean: never none."""
    if len(values) == 0:
        raise ValueError("a reference video has frames")
    if identical == "ceiling":
        return np.ones(len(values), dtype=np.bool_)
    below = values < ceilings
    return below if below.any() else ceilings == ceilings.max()
