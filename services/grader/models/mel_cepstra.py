"""Mel cepstra of speech, without a network: what mel-cepstral distortion compares.

R. Kubichek, "Mel-cepstral distance measure for objective speech quality assessment", 1993: the
cosine transform of log energies in mel bands. Powers are taken of frames, not of a vocoder's
smoothed spectrum, and the scale is such that 10 / ln 10 (2 sum_k (c_k - c'_k)^2)^(1/2) is the
root mean square difference in dB of two spectra over the mel axis, as far as the coefficients
follow them. A flat spectrum, silence with it, has all coefficients 0; so has the loudness no part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import scipy.fft
import scipy.signal
from numpy.typing import NDArray

from services.grader.models.sounds import Sound, mel_filters, resample

#: A frame of 25 ms each 5 ms, at the rate of wide-band speech.
RATE_HZ: Final = 16_000
FRAME: Final = 400
STEP: Final = 80
BANDS: Final = 40
#: c_1 .. c_13, the number that the published scorer compares; c_0 is the energy.
COEFFICIENTS: Final = 13
#: What counts as silence, of full scale: -100 dB, about the power of rounding to 16 bits.
FLOOR: Final = 1e-10

_FOURIER: Final = 512
#: Windows whose spectra are held at a time; bounds the memory of a long sound.
_FRAMES_AT_ONCE: Final = 4096


def open_mel_cepstra(sound_rate_hz: int) -> Callable[[Sequence[Sound]], list[NDArray[np.float64]]]:
    """Sounds [samples] at ``sound_rate_hz``, full scale 1, to series [frames, 13] float64 each.

    A sound without a sample has no frames.
    """

    def extractor(sounds: Sequence[Sound]) -> list[NDArray[np.float64]]:
        return [
            mel_cepstra(resample(sound, sound_rate_hz, RATE_HZ))
            if len(sound)
            else np.empty((0, COEFFICIENTS))
            for sound in sounds
        ]

    return extractor


def mel_cepstra(sound: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mel cepstra [frames, 13] of a sound [n] at 16 kHz; at least one frame.

    Per frame of 400 samples each 80, under a periodic Hann window w: the power
    |X|^2 / sum w^2 of a Fourier transform of 512 points, its mean E_j in 40 mel bands from 0 to
    8000 Hz, weighted by triangles that sum to 1, and c_k = (1 / 40) sum_j ln(E_j + 1e-10)
    cos(pi k (j - 1/2) / 40). A rest that is shorter than a frame is left out; a sound that is
    shorter than one is filled up by silence.
    """
    samples = np.pad(sound, (0, max(FRAME - len(sound), 0)))
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[::STEP]
    parts = [
        _cepstra(frames[start : start + _FRAMES_AT_ONCE])
        for start in range(0, len(frames), _FRAMES_AT_ONCE)
    ]
    return np.concatenate(parts)


def _cepstra(frames: NDArray[np.float64]) -> NDArray[np.float64]:
    window = scipy.signal.get_window("hann", FRAME)
    powers = np.abs(np.fft.rfft(frames * window, _FOURIER)) ** 2 / (window**2).sum()
    filters = mel_filters(BANDS, _FOURIER // 2 + 1, RATE_HZ, 0.0, RATE_HZ / 2)
    energies = powers @ (filters / filters.sum(axis=0))
    # Without norm, scipy's transform of the second kind is twice the sum.
    found = scipy.fft.dct(np.log(energies + FLOOR), axis=1) / (2 * BANDS)
    return np.asarray(found[:, 1 : COEFFICIENTS + 1])
