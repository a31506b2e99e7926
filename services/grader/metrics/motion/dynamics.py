"""Dynamic degree: does anything move in a video, judged from optical flow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from services.grader.metrics.media import check_aligned
from services.grader.metrics.result import PERCENT, MetricResult, mean_result

Video = NDArray[np.uint8]

#: The share of a frame's pixels, the fastest ones, whose mean speed is the frame's.
FASTEST_SHARE = 0.05
#: The speed of a moving frame in pixels, where the shorter side is REFERENCE_SIDE pixels.
MOVING_PIXELS = 6.0
REFERENCE_SIDE = 256.0
#: A video moves when this many of 16 frames do.
MOVING_FRAMES_OF_16 = 4


class FlowEstimator(Protocol):
    """Frames [t, h, w, 3] uint8 to optical flow [t - 1, h, w, 2] in pixels, as (x, y)."""

    def __call__(self, frames: Video, /) -> NDArray[Any]:
        """The flow from each of ``frames`` to the next."""


def dynamic_degree(videos: Sequence[Video | None], *, optical_flow: FlowEstimator) -> MetricResult:
    """The share of videos [t, h, w, 3] uint8 that move, in percent, 0..100.

    :func:`moves` decides on one video. A missing video, and one of fewer than two frames, does not
    move. 0/0 does not occur. Source: Z. Huang et al., "VBench", CVPR 2024; frames at 8 per second
    as there.
    """
    n = check_aligned(videos)
    samples = np.zeros(n)
    missing = 0
    for item, video in enumerate(videos):
        if video is None or len(video) < 2:
            missing += 1
        else:
            samples[item] = PERCENT * moves(flow_of(video, optical_flow))
    return mean_result(samples, missing)


def flow_of(video: Video, optical_flow: FlowEstimator) -> NDArray[np.float64]:
    """The flow of a video as float64, the estimator's promise checked."""
    flow = np.asarray(optical_flow(video), dtype=np.float64)
    if flow.shape != (len(video) - 1, *video.shape[1:3], 2) or not np.isfinite(flow).all():
        raise ValueError(f"an estimator gave a flow of the shape {flow.shape}")
    return flow


def moves(flow: NDArray[np.float64]) -> bool:
    """Whether a video of flow [t - 1, h, w, 2] in pixels is dynamic.

    A frame's speed is the mean length of its longest 5 % of flow vectors (at least one). It moves
    above 6 pixels times min(h, w) / 256; the video does when round(4 t / 16) frames do, at least
    one.
    """
    frames, height, width = flow.shape[:3]
    speeds = frame_speeds(flow)
    threshold = MOVING_PIXELS * min(height, width) / REFERENCE_SIDE
    needed = max(round(MOVING_FRAMES_OF_16 * (frames + 1) / 16), 1)
    return bool(np.count_nonzero(speeds > threshold) >= needed)


def frame_speeds(flow: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean length [t - 1] of the longest 5 % of the vectors of each frame, in pixels."""
    lengths = np.hypot(flow[..., 0], flow[..., 1]).reshape(len(flow), -1)
    count = max(int(lengths.shape[1] * FASTEST_SHARE), 1)
    return np.asarray(np.partition(lengths, -count, axis=1)[:, -count:].mean(axis=1))
