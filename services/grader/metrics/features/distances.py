"""FID, FVD, FAD and motion FID: one distance of sets, four networks.

The value is the Fréchet distance (``statistics.frechet_to``) of the answers' features to the sealed
statistics of the real set; 0 and up, lower is better, in the squared unit of the network's
features: values of two networks do not compare. The distance is of sets, so ``per_sample`` and
``stderr`` are None. One answer alone has covariance 0.

A missing item counts for its share: with m of n missing the value is

    (1 - m/n) F + (m/n) max(F, E),    E = |mean|^2 + tr(covariance) of the real set

where F is the distance of the answered ones and E that of a set of empty answers (all features 0).
Leaving out the worst pictures so costs more than it gains wherever F is far below E, as for any
model that draws something. All missing is E.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.grader.metrics.features.statistics import FeatureStatistics, frechet_to
from services.grader.metrics.media import FeatureExtractor, check_aligned, embed_answered
from services.grader.metrics.result import MetricResult

Media = Sequence[NDArray[Any] | None]


def fid(
    pictures: Media, reference_statistics: FeatureStatistics, *, inception_pool: FeatureExtractor
) -> MetricResult:
    """The Fréchet distance of Inception pool features [n, 2048] of pictures [h, w, 3] uint8.

    M. Heusel et al., "GANs trained by a two time-scale update rule converge to a local Nash
    equilibrium", NeurIPS 2017. Module docstring has the rules.
    """
    return set_distance(pictures, reference_statistics, inception_pool)


def fvd(
    videos: Media, reference_statistics: FeatureStatistics, *, video_resnet: FeatureExtractor
) -> MetricResult:
    """The Fréchet distance of features [n, 512] of videos [t, h, w, 3] uint8.

    T. Unterthiner et al., "Towards accurate generative models of video", 2018, with the 3D ResNet
    of the published scorer in place of I3D. Module docstring has the rules.
    """
    return set_distance(videos, reference_statistics, video_resnet)


def fad(
    sounds: Media, reference_statistics: FeatureStatistics, *, audio_embedding: FeatureExtractor
) -> MetricResult:
    """The Fréchet distance of embeddings [n, d] of mono sounds [samples] float.

    K. Kilgour et al., "Fréchet audio distance", Interspeech 2019. Module docstring has the rules.
    """
    return set_distance(sounds, reference_statistics, audio_embedding)


def motion_fid(
    motions: Media, reference_statistics: FeatureStatistics, *, motion_embedding: FeatureExtractor
) -> MetricResult:
    """The Fréchet distance of embeddings [n, 512] of motions [frames, d] float.

    C. Guo et al., "Generating diverse and natural 3D human motions from text", CVPR 2022. Module
    docstring has the rules.
    """
    return set_distance(motions, reference_statistics, motion_embedding)


def set_distance(
    media: Media, reference: FeatureStatistics, extractor: FeatureExtractor
) -> MetricResult:
    """The distance with its share of missing items, by any network."""
    n = check_aligned(media)
    given, features = embed_answered(extractor, media)
    value = empty = empty_distance(reference)
    share = 1 - len(given) / n
    if given:
        value = frechet_to(features, reference)
    value = (1 - share) * value + share * max(value, empty)
    return MetricResult(value, n, None, None, n - len(given))


def empty_distance(reference: FeatureStatistics) -> float:
    """The distance of the real set to answers whose features are all 0."""
    return float(reference.mean @ reference.mean + np.trace(reference.covariance))
