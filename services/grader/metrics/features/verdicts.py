"""What a network says of one picture at a time: quality, beauty, class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.grader.metrics.features.cosine import unit_rows
from services.grader.metrics.media import (
    FeatureExtractor,
    check_aligned,
    embed,
    embed_answered,
    fill,
)
from services.grader.metrics.result import PERCENT, MetricResult, mean_result

Media = Sequence[NDArray[Any] | None]

#: The aesthetic head answers on 0..10.
AESTHETIC_SCALE = 10.0
#: The ways of the choice, where the task does not say: the use of picture decoding from EEG.
WAYS = 50


@dataclass(frozen=True, slots=True, eq=False)
class LinearHead:
    """The weights of a linear predictor: ``weight`` [d] and ``bias``."""

    weight: NDArray[np.float64]
    bias: float


def aesthetic_score(
    videos: Media, *, clip_image_large: FeatureExtractor, aesthetic_head: LinearHead
) -> MetricResult:
    """The mean aesthetic rating of frames [t, h, w, 3] uint8, in percent, 0..100.

    100 (w . e / |e| + b) / 10, cut to 0..100, with e the CLIP ViT-L/14 embedding of a frame, mean
    over frames, then over videos. 0/0: an embedding of length 0 is rated b. A missing video, or one
    without a frame, scores 0. Source: the LAION aesthetic predictor, 2022, as VBench uses it
    (Z. Huang et al., CVPR 2024).
    """

    def rating(frames: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
        rows = unit_rows(embed(clip_image_large, frames))
        return (rows @ aesthetic_head.weight + aesthetic_head.bias) / AESTHETIC_SCALE * PERCENT

    return _mean_over_frames(videos, rating)


def musiq(videos: Media, *, musiq_score: FeatureExtractor) -> MetricResult:
    """The mean MUSIQ of frames [t, h, w, 3] uint8; 0..100, a value beyond is cut.

    ``musiq_score`` gives [n, 1] on the scale 0..100. Mean over frames, then over videos. A missing
    video, or one without a frame, scores 0. Source: J. Ke et al., "MUSIQ: multi-scale image
    quality transformer", ICCV 2021.
    """
    return _mean_over_frames(videos, lambda frames: embed(musiq_score, frames)[:, 0])


def classified_accuracy(
    pictures: Media,
    classes: Sequence[int],
    *,
    class_probabilities: FeatureExtractor,
    ways: int = WAYS,
    top: int = 1,
) -> MetricResult:
    """The expected ``ways``-way top-``top`` accuracy of a classifier on pictures, in percent.

    ``class_probabilities`` gives [n, k]. A picture wins when its class is among the ``top`` most
    probable of itself and ``ways`` - 1 other classes drawn without replacement from the k. With b
    classes at least as probable as the true one (a tie is lost), the exact chance over all draws is
    sum_{j < top} C(b, j) C(k - 1 - b, ways - 1 - j) / C(k - 1, ways - 1): no random draw, no seed.
    0..100; mean over items. A missing item scores 0. Source: Y. Bai et al., "DreamDiffusion:
    generating high-quality images from brain EEG signals", 2023, which averages random draws.
    """
    n = check_aligned(pictures, classes)
    given, rows = embed_answered(class_probabilities, pictures)
    samples = np.empty(0)
    if given:
        k = rows.shape[1]
        if not 1 <= top < ways <= k or not all(0 <= classes[item] < k for item in given):
            raise ValueError(f"a choice of {ways} ways and its classes lie within {k}")
        true = rows[np.arange(len(given)), [classes[item] for item in given]]
        above = (rows >= true[:, None]).sum(axis=1) - 1
        samples = PERCENT * np.array([_chance(int(b), k, ways, top) for b in above])
    return mean_result(fill(n, given, samples, 0.0), n - len(given))


def _chance(above: int, k: int, ways: int, top: int) -> float:
    """The chance that fewer than ``top`` of ``ways`` - 1 drawn classes are among ``above``."""
    wins = sum(math.comb(above, j) * math.comb(k - 1 - above, ways - 1 - j) for j in range(top))
    return wins / math.comb(k - 1, ways - 1)


def _mean_over_frames(videos: Media, rating: Any) -> MetricResult:
    n = check_aligned(videos)
    samples = np.zeros(n)
    missing = 0
    for item, video in enumerate(videos):
        if video is None or len(video) == 0:
            missing += 1
        else:
            samples[item] = np.clip(rating(list(video)), 0.0, PERCENT).mean()
    return mean_result(samples, missing)
