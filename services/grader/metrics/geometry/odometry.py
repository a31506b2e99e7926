"""Camera paths: KITTI's relative translation error. Lower is better."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.grader.metrics.media_items import check_finite, check_items, pooled_result
from services.grader.metrics.result import PERCENT, MetricResult

#: The lengths of path over which drift is measured, in metres.
LENGTHS_M: Final = tuple(range(100, 801, 100))
#: A path begins at every tenth frame.
STEP_FRAMES: Final = 10
#: Standing still is wrong by the chord of the path, which is at most its length.
STANDING_STILL: Final = 100.0

#: Poses in metres: floats [frames, 3, 4], the upper part of each camera-to-world matrix.
Trajectory = NDArray[np.floating]


def relative_translation_error(
    predictions: Sequence[Trajectory | None], references: Sequence[Trajectory]
) -> MetricResult:
    """The mean over all paths of |t(E)| / length, in percent; 0 is perfect.

    For every tenth frame i and each length of 100 to 800 m, j is the first frame farther than the
    length along the key's track, and E = (P_i^-1 P_j)^-1 (Q_i^-1 Q_j) with predicted poses P and
    the key's Q. Paths of all items are pooled, as the benchmark pools its sequences, so
    ``per_sample`` is None. The rotations of a prediction are first brought to the nearest
    rotation, so that a matrix that scales cannot shrink the error. A missing item, and a track
    with another number of poses than the key's, counts on each of its paths with 100 percent,
    which standing still cannot exceed, or with the largest mean of an answered item where that is
    larger. Source: Geiger, Lenz and Urtasun, Are We Ready for Autonomous Driving?, CVPR 2012, and
    the benchmark's odometry development kit. Raises ValueError where no track of the key is long
    enough for a path (0/0), and for a NaN or infinity in an answer.
    """
    n = check_items(predictions, references)
    sums, counts = np.zeros(n), np.zeros(n)
    unanswered = np.zeros(n, dtype=np.bool_)
    for item, (found, key) in enumerate(zip(predictions, references, strict=True)):
        wanted = np.asarray(key, dtype=np.float64)
        first, last, length = _paths(wanted)
        counts[item] = len(first)
        if found is None or found.shape != key.shape:
            unanswered[item] = True
            continue
        check_finite(found, item)
        given = found.astype(np.float64)
        given[:, :, :3] = _rotations(given[:, :, :3])
        # A rotation does not change the length of E's translation, so E itself is not needed.
        apart = _moves(given, first, last) - _moves(wanted, first, last)
        sums[item] = PERCENT * float(np.sum(np.linalg.norm(apart, axis=1) / length))
    measured = counts > 0
    means = sums[measured & ~unanswered] / counts[measured & ~unanswered]
    sums[unanswered] = counts[unanswered] * max(STANDING_STILL, float(means.max(initial=0.0)))

    def value_of(chosen: NDArray[np.bool_]) -> float:
        paths = float(counts[chosen].sum())
        return float(sums[chosen].sum()) / paths if paths else np.nan

    return pooled_result(n, int(unanswered.sum()), value_of)


def _paths(
    poses: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """The first frame, the last frame and the nominal length in metres of every path, each [k]."""
    steps = np.linalg.norm(np.diff(poses[:, :, 3], axis=0), axis=1)
    travelled = np.concatenate(([0.0], np.cumsum(steps)))
    start = np.repeat(np.arange(0, len(poses), STEP_FRAMES), len(LENGTHS_M))
    length = np.tile(np.array(LENGTHS_M, dtype=np.float64), len(start) // len(LENGTHS_M))
    end = np.searchsorted(travelled, travelled[start] + length, side="right")
    complete = end < len(poses)
    return start[complete], end[complete], length[complete]


def _moves(
    poses: NDArray[np.float64], first: NDArray[np.int64], last: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Where the last pose of each path lies, seen from the first: float64 [k, 3]."""
    away = poses[last, :, 3] - poses[first, :, 3]
    return np.asarray(np.einsum("kji,kj->ki", poses[first, :, :3], away))


def _rotations(matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    """The nearest rotation of each matrix [k, 3, 3] (Kabsch; singular ones give some rotation)."""
    left, _, right = np.linalg.svd(matrices)
    flipped = np.linalg.det(left @ right) < 0
    left[flipped, :, 2] *= -1
    return np.asarray(left @ right)
