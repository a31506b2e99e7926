"""Mel-cepstral distortion of generated speech against the true recording."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from services.grader.metrics.media import SequenceExtractor, check_aligned
from services.grader.metrics.media_items import error_result
from services.grader.metrics.result import MetricResult

Cepstra = NDArray[np.float64]
Sounds = Sequence[NDArray[Any] | None]
Alignment = Literal["none", "dtw"]

#: 10 / ln 10 * 2^(1/2): from differences of cepstra to decibels.
DECIBELS = 10.0 / np.log(10.0) * np.sqrt(2.0)


def mcd(
    sounds: Sounds,
    references: Sequence[NDArray[Any]],
    *,
    mel_cepstra: SequenceExtractor,
    alignment: Alignment = "none",
) -> MetricResult:
    """The mean mel-cepstral distortion of sounds [samples] float, in dB; 0 is perfect.

    ``mel_cepstra`` gives [frames, d], without the energy coefficient. Per item the mean over frames
    of 10 / ln 10 * sqrt(2 sum_k (c_k - c'_k)^2), then the mean over items. Frames are compared one
    to one and the shorter series goes on with frames of zeros, a flat spectrum; with
    ``alignment="dtw"`` along the cheapest warping path (steps of one frame in either or both),
    mean over the path. Source: R. Kubichek, "Mel-cepstral distance measure for objective speech
    quality assessment", 1993. 0/0: a series without frames is one frame of zeros. A missing item,
    and a sound that gives no frames, costs the most that a flat spectrum would on any item, or the
    largest answered distortion of the task where that is more.
    """
    n = check_aligned(sounds, references)
    samples = np.full(n, np.nan)
    flat = 0.0
    for item, (sound, reference) in enumerate(zip(sounds, references, strict=True)):
        wanted = _series(mel_cepstra, reference)
        flat = max(flat, distortion(np.zeros_like(wanted), wanted))
        made = wanted[:0] if sound is None else _series(mel_cepstra, sound)
        if len(made):
            samples[item] = distortion(made, wanted, alignment)
    return error_result(samples, flat)


def distortion(first: Cepstra, second: Cepstra, alignment: Alignment = "none") -> float:
    """The distortion of two series [frames, d] of one d, in dB."""
    frames = max(len(first), len(second), 1)
    if alignment == "dtw" and len(first) and len(second):
        return float(DECIBELS * _warped_mean(first, second))
    apart = _padded(first, frames) - _padded(second, frames)
    return float(DECIBELS * np.sqrt((apart**2).sum(axis=1)).mean())


def _warped_mean(first: Cepstra, second: Cepstra) -> float:
    """The mean distance along the path of least total distance; of equal ones the shortest.

    Cells of one anti-diagonal depend on the two before it only, so each is one array operation.
    """
    rows, columns = len(first), len(second)
    before_total, last_total = np.full(rows + 1, np.inf), np.full(rows + 1, np.inf)
    before_steps, last_steps = np.zeros(rows + 1), np.zeros(rows + 1)
    before_total[0] = 0.0  # the cell before the first of both
    for diagonal in range(rows + columns - 1):
        low, high = max(0, diagonal - columns + 1), min(rows - 1, diagonal)
        row = np.arange(low, high + 1)
        apart = first[row] - second[diagonal - row]
        costs = np.stack([before_total[row], last_total[row], last_total[row + 1]])
        lengths = np.stack([before_steps[row], last_steps[row], last_steps[row + 1]])
        least = costs.min(axis=0)
        length = np.where(costs == least, lengths, np.inf).min(axis=0)
        now_total, now_steps = np.full(rows + 1, np.inf), np.zeros(rows + 1)
        now_total[row + 1] = least + np.sqrt((apart**2).sum(axis=1))
        now_steps[row + 1] = length + 1
        before_total, before_steps = last_total, last_steps
        last_total, last_steps = now_total, now_steps
    return float(last_total[rows] / last_steps[rows])


def _series(extractor: SequenceExtractor, sound: NDArray[Any]) -> Cepstra:
    found = extractor([sound])
    series = np.asarray(found[0], dtype=np.float64) if len(found) == 1 else np.empty(0)
    if series.ndim != 2 or not np.isfinite(series).all():
        raise ValueError("cepstra are one series of finite numbers [frames, d] for a sound")
    return series


def _padded(series: Cepstra, frames: int) -> Cepstra:
    return np.pad(series, ((0, frames - len(series)), (0, 0)))
