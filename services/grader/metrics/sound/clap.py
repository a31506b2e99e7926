"""CLAP scores of generated sound.

100 times the cosine of two CLAP embeddings, in percent, -100..100, higher is better, mean over
items (Y. Wu et al., "Large-scale contrastive language-audio pretraining", ICASSP 2023). Sounds are
mono [samples] float at the network's rate. 0/0: an embedding of length 0 has cosine 0. A missing
item scores -100.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.grader.metrics.features.cosine import pair_cosines
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

Sounds = Sequence[NDArray[Any] | None]

#: The score of a missing item: opposite embeddings.
WORST = -PERCENT


def clap_score(
    sounds: Sounds, texts: Sequence[str], *, clap_audio: FeatureExtractor, clap_text: TextEncoder
) -> MetricResult:
    """Sound against its text; also style text. Module docstring has the rules."""
    n = check_aligned(sounds, texts)
    given, made = embed_answered(clap_audio, sounds)
    samples = np.empty(0)
    if given:
        wanted = embed_texts(clap_text, [texts[item] for item in given])
        samples = PERCENT * pair_cosines(made, wanted)
    return mean_result(fill(n, given, samples, WORST), n - len(given))


def style_clap(
    sounds: Sounds,
    styles: Sequence[str | NDArray[Any]],
    *,
    clap_audio: FeatureExtractor,
    clap_text: TextEncoder,
) -> MetricResult:
    """Sound against its style: a text, or a sound in that style. Module docstring has the rules."""
    n = check_aligned(sounds, styles)
    samples = np.full(n, WORST)
    missing = 0
    for item, (sound, style) in enumerate(zip(sounds, styles, strict=True)):
        if sound is None:
            missing += 1
            continue
        if isinstance(style, str):
            wanted = embed_texts(clap_text, [style])
        else:
            wanted = embed(clap_audio, [style])
        samples[item] = PERCENT * pair_cosines(embed(clap_audio, [sound]), wanted)[0]
    return mean_result(samples, missing)
