"""CLIP scores of pictures, videos and renders, and frame accuracy.

Each score is 100 times the cosine of two CLIP embeddings, in percent, -100..100, higher is better
(J. Hessel et al., "CLIPScore: a reference-free evaluation metric for image captioning", EMNLP 2021,
without its factor 2.5 and its cut at 0, as the published values are). 0/0: an embedding of length 0
has cosine 0. A missing item, and a video or an object without a frame, scores -100.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.grader.metrics.features.cosine import all_cosines, pair_cosines
from services.grader.metrics.media import (
    FeatureExtractor,
    TextEncoder,
    check_aligned,
    embed,
    embed_answered,
    embed_texts,
    fill,
)
from services.grader.metrics.result import PERCENT, MetricResult, mean_result

Media = Sequence[NDArray[Any] | None]

#: The score of a missing item: opposite embeddings.
WORST = -PERCENT


def clip_score(
    pictures: Media, texts: Sequence[str], *, clip_image: FeatureExtractor, clip_text: TextEncoder
) -> MetricResult:
    """Picture [h, w, 3] uint8 against its text, mean over items. Module docstring has the rules."""
    n = check_aligned(pictures, texts)
    given, shown = embed_answered(clip_image, pictures)
    samples = np.empty(0)
    if given:
        wanted = embed_texts(clip_text, [texts[item] for item in given])
        samples = PERCENT * pair_cosines(shown, wanted)
    return mean_result(fill(n, given, samples, WORST), n - len(given))


def clip_image_score(
    pictures: Media, references: Sequence[NDArray[Any]], *, clip_image: FeatureExtractor
) -> MetricResult:
    """Picture [h, w, 3] uint8 against its target picture. Module docstring has the rules."""
    n = check_aligned(pictures, references)
    given, shown = embed_answered(clip_image, pictures)
    samples = np.empty(0)
    if given:
        answered = frozenset(given)
        kept = (wanted if item in answered else None for item, wanted in enumerate(references))
        samples = PERCENT * pair_cosines(shown, embed_answered(clip_image, kept)[1])
    return mean_result(fill(n, given, samples, WORST), n - len(given))


def frame_text_score(
    frames: Media, texts: Sequence[str], *, clip_image: FeatureExtractor, clip_text: TextEncoder
) -> MetricResult:
    """Frames [t, h, w, 3] uint8 against a text, mean over frames, then over items.

    Serves the appearance style of videos and the renders of 3D objects. Module docstring has the
    rules.
    """
    check_aligned(frames, texts)
    wanted = embed_texts(clip_text, texts)
    return _frame_score(frames, (row[None] for row in wanted), clip_image)


def frame_image_score(
    frames: Media, references: Sequence[Sequence[NDArray[Any]]], *, clip_image: FeatureExtractor
) -> MetricResult:
    """Frames [t, h, w, 3] uint8 against one or more pictures, mean over all pairs, then items.

    Serves style references of videos (one or several pictures) and the input picture of renders.
    Module docstring has the rules.
    """
    check_aligned(frames, references)
    wanted = (embed(clip_image, pictures) for pictures in references)
    return _frame_score(frames, wanted, clip_image)


def frame_accuracy(
    videos: Media,
    targets: Sequence[str],
    sources: Sequence[str],
    *,
    clip_image: FeatureExtractor,
    clip_text: TextEncoder,
) -> MetricResult:
    """The share of frames nearer to the target text than to the source text, in percent, 0..100.

    Frames [t, h, w, 3] uint8; nearer is a larger CLIP cosine, a tie is not nearer. Mean over frames
    of a video, then over videos. A missing video, or one without a frame, scores 0. Source: C. Qi
    et al., "FateZero: fusing attentions for zero-shot text-based video editing", ICCV 2023.
    """
    n = check_aligned(videos, targets, sources)
    wanted, left = embed_texts(clip_text, targets), embed_texts(clip_text, sources)
    samples = np.zeros(n)
    missing = 0
    for item, video in enumerate(videos):
        if video is None or len(video) == 0:
            missing += 1
            continue
        cosines = all_cosines(embed(clip_image, list(video)), np.stack([wanted[item], left[item]]))
        samples[item] = PERCENT * np.mean(cosines[:, 0] > cosines[:, 1])
    return mean_result(samples, missing)


def _frame_score(
    videos: Media, wanted: Iterable[NDArray[np.float64]], clip_image: FeatureExtractor
) -> MetricResult:
    """The mean cosine of each video's frames with its wanted embeddings [m, d]."""
    samples = np.full(len(videos), WORST)
    missing = 0
    for item, (video, rows) in enumerate(zip(videos, wanted, strict=True)):
        if video is None or len(video) == 0:
            missing += 1
        else:
            samples[item] = PERCENT * all_cosines(embed(clip_image, list(video)), rows).mean()
    return mean_result(samples, missing)
