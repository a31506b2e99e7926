"""Videos against texts by a video-text network, actions, and the quality of image-to-video.

Values are in percent, higher is better, mean over videos. 0/0: an embedding of length 0 has cosine
0. A missing video, and one without a frame, scores 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.grader.metrics.features.cosine import pair_cosines
from services.grader.metrics.media import (
    FeatureExtractor,
    TextEncoder,
    check_aligned,
    embed_answered,
    embed_texts,
    fill,
)
from services.grader.metrics.motion.consistency import dino_score
from services.grader.metrics.motion.dynamics import FlowEstimator, dynamic_degree
from services.grader.metrics.motion.stillness import Interpolator, motion_smoothness
from services.grader.metrics.result import PERCENT, MetricResult, mean_result

Media = Sequence[NDArray[Any] | None]

#: An action counts when it is among this many most probable ones ...
TOP_ACTIONS = 5
#: ... and its probability is at least this.
LEAST_PROBABILITY = 0.85


def viclip_score(
    videos: Media, texts: Sequence[str], *, viclip_video: FeatureExtractor, viclip_text: TextEncoder
) -> MetricResult:
    """100 times the cosine of video and text embeddings, below 0 counted 0; 0..100.

    Overall consistency and camera motion of videos [t, h, w, 3] uint8. Source: Y. Wang et al.,
    "InternVid", ICLR 2024; Z. Huang et al., "VBench", CVPR 2024.
    """
    n = check_aligned(videos, texts)
    given, shown = embed_answered(viclip_video, _with_frames(videos))
    samples = np.empty(0)
    if given:
        wanted = embed_texts(viclip_text, [texts[item] for item in given])
        cosines = pair_cosines(shown, wanted)
        samples = PERCENT * np.maximum(cosines, 0.0)
    return mean_result(fill(n, given, samples, 0.0), n - len(given))


def action_success(
    videos: Media, actions: Sequence[int], *, action_probabilities: FeatureExtractor
) -> MetricResult:
    """The share of videos whose prompted action is recognised, in percent, 0..100.

    ``action_probabilities`` gives [n, classes]; a video succeeds when fewer than five classes are
    more probable than the prompted one and that has at least 0.85. Source: Z. Huang et al.,
    "VBench", CVPR 2024.
    """
    n = check_aligned(videos, actions)
    given, rows = embed_answered(action_probabilities, _with_frames(videos))
    samples = np.empty(0)
    if given:
        if not all(0 <= actions[item] < rows.shape[1] for item in given):
            raise ValueError("an action is one of the network's classes")
        wanted = rows[np.arange(len(given)), [actions[item] for item in given]]
        rank = (rows > wanted[:, None]).sum(axis=1)
        samples = PERCENT * ((rank < TOP_ACTIONS) & (wanted >= LEAST_PROBABILITY))
    return mean_result(fill(n, given, samples, 0.0), n - len(given))


def image_to_video_quality(
    videos: Media,
    texts: Sequence[str],
    *,
    dino_image: FeatureExtractor,
    viclip_video: FeatureExtractor,
    viclip_text: TextEncoder,
    optical_flow: FlowEstimator,
    middle_frames: Interpolator,
) -> MetricResult:
    """The mean of four parts per video [t, h, w, 3] uint8, then over videos; 0..100.

    Subject consistency (DINO), overall consistency with the text (ViCLIP), dynamic degree (optical
    flow) and motion smoothness (interpolation), each 0..100 with its own rules; a video too short
    for a part scores 0 in that part.
    """
    n = check_aligned(videos, texts)
    samples = np.zeros(n)
    missing = 0
    for item, (video, text) in enumerate(zip(videos, texts, strict=True)):
        if video is None or len(video) == 0:
            missing += 1
            continue
        parts = (
            dino_score([video], dino_image=dino_image),
            viclip_score([video], [text], viclip_video=viclip_video, viclip_text=viclip_text),
            dynamic_degree([video], optical_flow=optical_flow),
            motion_smoothness([video], middle_frames=middle_frames),
        )
        samples[item] = np.mean([part.value for part in parts])
    return mean_result(samples, missing)


def _with_frames(videos: Media) -> Iterator[NDArray[Any] | None]:
    """The column with None for a video without a frame."""
    return (None if video is None or len(video) == 0 else video for video in videos)
