"""Sounds as networks want them: mono, at the network's rate."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.signal
from numpy.typing import NDArray

Sound = NDArray[Any]


def check_sound(sound: Sound) -> NDArray[np.float64]:
    """The sound as float64; ValueError for anything but finite [samples], at least one."""
    found = np.asarray(sound, dtype=np.float64)
    if found.ndim != 1 or len(found) == 0 or not np.isfinite(found).all():
        raise ValueError(f"a sound is finite samples [n], not {found.shape}")
    return found


def resample(sound: Sound, from_hz: int, to_hz: int) -> NDArray[np.float64]:
    """The sound at another rate, by a polyphase low-pass filter (Kaiser window, beta 5)."""
    samples = check_sound(sound)
    if from_hz == to_hz:
        return samples
    common = math.gcd(from_hz, to_hz)
    return np.asarray(scipy.signal.resample_poly(samples, to_hz // common, from_hz // common))


def middle(sound: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """The middle ``length`` samples of a longer sound; a shorter one as it is."""
    start = max(len(sound) - length, 0) // 2
    return sound[start : start + length]


def mel_filters(
    bands: int, bins: int, rate_hz: int, low_hz: float, high_hz: float
) -> NDArray[np.float64]:
    """Triangles [bins, bands], straight in mel (1127 ln(1 + f / 700)), from low to high.

    Bin k of ``bins`` lies at k / (bins - 1) of half the rate; bin 0 belongs to no band. Source: the
    HTK book; S. Hershey et al., "CNN architectures for large-scale audio classification", 2017.
    """
    mel = 1127.0 * np.log1p(np.linspace(0.0, rate_hz / 2, bins) / 700.0)
    edges = np.linspace(
        1127.0 * np.log1p(low_hz / 700.0), 1127.0 * np.log1p(high_hz / 700.0), bands + 2
    )
    rising = (mel[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - mel[:, None]) / (edges[2:] - edges[1:-1])
    filters = np.maximum(0.0, np.minimum(rising, falling))
    filters[0] = 0.0
    return np.asarray(filters)
