"""How far a subject or a background stays the same through a video.

Per video, with cosines of the embeddings of frames and every cosine below 0 counted 0,

    100 mean over t > 0 of (cos(e_t, e_0) + cos(e_t, e_(t-1))) / 2

in percent, 0..100, higher is better; then the mean over videos. A still video scores 100. 0/0: an
embedding of length 0 has cosine 0. A missing video, and one of fewer than two frames, which has
nothing to compare, scores 0. Source: Z. Huang et al., "VBench: comprehensive benchmark suite for
video generative models", CVPR 2024.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.grader.metrics.features.cosine import unit_rows
from services.grader.metrics.media import FeatureExtractor, check_aligned, embed
from services.grader.metrics.result import PERCENT, MetricResult, mean_result

Media = Sequence[NDArray[Any] | None]


def dino_score(videos: Media, *, dino_image: FeatureExtractor) -> MetricResult:
    """Subject consistency of videos [t, h, w, 3] uint8 by DINO. Module docstring has the rules."""
    return _consistency(videos, dino_image)


def background_consistency(videos: Media, *, clip_image: FeatureExtractor) -> MetricResult:
    """Background consistency of videos [t, h, w, 3] uint8 by CLIP. Module docstring has it."""
    return _consistency(videos, clip_image)


def video_consistency(embeddings: NDArray[np.float64]) -> float:
    """The consistency of one video from its frames' embeddings [t, d], t at least 2; 0..1."""
    rows = unit_rows(embeddings)
    first = np.clip(rows[1:] @ rows[0], 0.0, 1.0)
    previous = np.clip(np.einsum("ij,ij->i", rows[1:], rows[:-1]), 0.0, 1.0)
    return float(np.mean((first + previous) / 2))


def _consistency(videos: Media, extractor: FeatureExtractor) -> MetricResult:
    n = check_aligned(videos)
    samples = np.zeros(n)
    missing = 0
    for item, video in enumerate(videos):
        if video is None or len(video) < 2:
            missing += 1
        else:
            samples[item] = PERCENT * video_consistency(embed(extractor, list(video)))
    return mean_result(samples, missing)
