"""Differences of frames: temporal stillness, and motion smoothness by interpolation.

Both are (255 - L1) / 255 in percent, 0..100, higher is better, with L1 a mean absolute difference
of frames of 8 bits, computed from exact integer sums. Mean over videos. 0/0 does not occur. Source:
Z. Huang et al., "VBench", CVPR 2024.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from services.grader.metrics.media import check_aligned
from services.grader.metrics.result import PERCENT, MetricResult, mean_result

Video = NDArray[np.uint8]

PEAK = 255.0


class Interpolator(Protocol):
    """Frames [k, h, w, 3] uint8 to the k - 1 frames half-way between each two neighbours."""

    def __call__(self, frames: Video, /) -> Video:
        """The frames [k - 1, h, w, 3] uint8 between ``frames``."""


def l1_distance(videos: Sequence[Video | None]) -> MetricResult:
    """The stillness of videos [t, h, w, 3] uint8: L1 over each frame and the next.

    A still video scores 100. A missing video, and one of fewer than two frames, scores 0.
    """
    n = check_aligned(videos)
    samples = np.zeros(n)
    missing = 0
    for item, video in enumerate(videos):
        if video is None or len(video) < 2:
            missing += 1
        else:
            samples[item] = PERCENT * closeness(video[1:], video[:-1])
    return mean_result(samples, missing)


def motion_smoothness(
    videos: Sequence[Video | None], *, middle_frames: Interpolator
) -> MetricResult:
    """How near the odd frames of videos [t, h, w, 3] uint8 are to those interpolated.

    The interpolator sees frames 0, 2, 4, …; L1 is over the odd frames that lie between two of them.
    A missing video, and one of fewer than three frames, scores 0.
    """
    n = check_aligned(videos)
    samples = np.zeros(n)
    missing = 0
    for item, video in enumerate(videos):
        if video is None or len(video) < 3:
            missing += 1
        else:
            samples[item] = PERCENT * smoothness(video, middle_frames)
    return mean_result(samples, missing)


def smoothness(video: Video, middle_frames: Interpolator) -> float:
    """The smoothness of one video of at least three frames; 0..1."""
    even = video[0::2]
    between = video[1::2][: len(even) - 1]
    made = middle_frames(even)
    if made.shape != between.shape or made.dtype != np.uint8:
        raise ValueError(f"an interpolator gave {made.dtype}{made.shape} for {between.shape}")
    return closeness(made, between)


def closeness(first: Video, second: Video) -> float:
    """(255 - L1) / 255 of two stacks of frames of one shape, frame by frame; 0..1."""
    total = 0
    for left, right in zip(first, second, strict=True):
        total += int(np.abs(left.astype(np.int16) - right.astype(np.int16)).sum(dtype=np.int64))
    return float((PEAK - total / first.size) / PEAK)
