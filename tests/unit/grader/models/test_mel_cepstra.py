"""Mel cepstra: against transformers' spectrogram with scipy's transform, and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft
import scipy.signal
from numpy.typing import NDArray

from services.grader.device import open_device
from services.grader.metrics.media_generation import GENERATION_METRICS
from services.grader.metrics.sound.cepstra import distortion
from services.grader.models import hub
from services.grader.models.extractors import SOUND_RATE_HZ, Extractors
from services.grader.models.mel_cepstra import (
    BANDS,
    COEFFICIENTS,
    FLOOR,
    FRAME,
    RATE_HZ,
    STEP,
    mel_cepstra,
    open_mel_cepstra,
)
from services.grader.weights.folder import WeightsFolder, available
from services.grader.weights.manifest import Manifest

# isort: split
from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

assert hub  # imported first: it keeps the library offline

Sound = NDArray[np.float64]


def noise(seconds: float, rate_hz: int = RATE_HZ, seed: int = 1) -> Sound:
    return np.random.default_rng(seed).normal(0, 0.1, int(seconds * rate_hz))


def test_they_are_the_cosine_transform_of_the_librarys_log_mel_powers() -> None:
    sound = noise(0.5) * np.linspace(0, 1, RATE_HZ // 2)
    window = window_function(FRAME, "hann", periodic=True)
    filters = mel_filter_bank(
        num_frequency_bins=257,
        num_mel_filters=BANDS,
        min_frequency=0.0,
        max_frequency=RATE_HZ / 2,
        sampling_rate=RATE_HZ,
        norm=None,
        mel_scale="kaldi",
        triangularize_in_mel_space=True,
    )
    filters[0] = 0.0
    powers = spectrogram(
        sound,
        window,
        frame_length=FRAME,
        hop_length=STEP,
        fft_length=512,
        power=2.0,
        center=False,
        mel_filters=filters / filters.sum(axis=0),
        mel_floor=0.0,
    )
    logs = np.log(powers.T / (window**2).sum() + FLOOR)
    wanted = scipy.fft.dct(logs, type=2, norm="ortho", axis=1) / np.sqrt(2 * BANDS)
    made = mel_cepstra(sound)
    assert made.shape == (96, COEFFICIENTS)
    np.testing.assert_allclose(made, wanted[:, 1 : COEFFICIENTS + 1], rtol=1e-4, atol=1e-6)


def test_one_coefficient_by_hand() -> None:
    frame = noise(FRAME / RATE_HZ, seed=2)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME) / FRAME)
    spectrum = np.abs(np.fft.fft(frame * window, 512)[:257]) ** 2 / (window**2).sum()
    mel = 1127 * np.log(1 + np.linspace(0, 8000, 257) / 700)
    edges = np.linspace(0, mel[-1], BANDS + 2)
    total = 0.0
    for band in range(BANDS):
        low, middle, high = edges[band : band + 3]
        weights = np.interp(mel, [low, middle, high], [0.0, 1.0, 0.0])
        weights[0] = 0.0
        energy = (weights * spectrum).sum() / weights.sum()
        total += np.log(energy + FLOOR) * np.cos(np.pi * 3 * (band + 0.5) / BANDS)
    np.testing.assert_allclose(mel_cepstra(frame)[0, 2], total / BANDS, rtol=1e-9)


def test_frames_are_25_ms_each_5_ms() -> None:
    sound = noise(0.3)
    series = mel_cepstra(sound)
    assert len(series) == 1 + (len(sound) - 400) // 80
    np.testing.assert_allclose(series[7], mel_cepstra(sound[560:960])[0], rtol=1e-12)


@pytest.mark.parametrize("length", [1, 79, 399])
def test_a_short_sound_is_one_frame_that_ends_in_silence(length: int) -> None:
    sound = noise(1.0)[:length]
    filled = np.concatenate([sound, np.zeros(FRAME - length)])
    assert np.array_equal(mel_cepstra(sound), mel_cepstra(filled))


def test_silence_is_flat() -> None:
    assert np.abs(mel_cepstra(np.zeros(8000))).max() < 1e-12


def test_an_impulse_is_flat() -> None:
    sound = np.zeros(FRAME)
    sound[200] = 0.5
    assert np.abs(mel_cepstra(sound)).max() < 1e-8


def test_loudness_does_not_count() -> None:
    sound = noise(0.3)
    np.testing.assert_allclose(mel_cepstra(0.1 * sound), mel_cepstra(sound), atol=1e-5)
    np.testing.assert_allclose(mel_cepstra(-sound), mel_cepstra(sound), atol=1e-12)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_a_ripple_over_the_mel_axis_is_its_coefficient_and_its_distortion_in_decibels(
    k: int,
) -> None:
    """A filter whose power is exp(2 c cos(pi k x)), x the place on the mel axis, adds c to c_k.

    The root mean square of 10 log10 of that power is 10 / ln 10 * 2^(1/2) c.
    """
    c = 0.4
    hertz = np.linspace(0, RATE_HZ / 2, 4096)
    place = np.log1p(hertz / 700) / np.log1p(RATE_HZ / 2 / 700)
    # Band centres lie at j / 41 of the axis, and the transform has them at (j - 1/2) / 40.
    at = (place * (BANDS + 1) - 0.5) / BANDS
    gain = np.exp(c * np.cos(np.pi * k * at))
    filter_ = scipy.signal.firwin2(4097, hertz, gain, fs=RATE_HZ, window="hann")
    impulse = np.zeros(FRAME)
    impulse[FRAME // 2] = 1.0
    filtered = mel_cepstra(scipy.signal.convolve(impulse, filter_, mode="same"))
    wanted = np.zeros((1, COEFFICIENTS))
    wanted[0, k - 1] = c
    np.testing.assert_allclose(filtered, wanted, atol=0.004)
    decibels = 10 / np.log(10) * np.sqrt(2) * c
    assert distortion(filtered, mel_cepstra(impulse)) == pytest.approx(decibels, rel=0.01)


def test_another_rate_is_resampled() -> None:
    seconds = np.arange(48_000) / 48_000
    voiced = sum(np.sin(2 * np.pi * 110 * n * seconds) / n for n in range(1, 60)) / 8
    at_48 = open_mel_cepstra(48_000)([voiced])[0]
    own = open_mel_cepstra(RATE_HZ)([voiced[::3]])[0]
    inner = slice(10, -10)
    assert np.abs(at_48[inner] - own[inner]).max() < 0.02


def test_a_long_sound_is_the_same_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = noise(0.4)
    whole = mel_cepstra(sound)
    monkeypatch.setattr("services.grader.models.mel_cepstra._FRAMES_AT_ONCE", 7)
    np.testing.assert_allclose(mel_cepstra(sound), whole, rtol=1e-12)


def test_a_grader_without_weights_measures_distortion(manifest: Manifest) -> None:
    extractors = Extractors(manifest, WeightsFolder(), open_device("cpu", threads=1))
    metric = GENERATION_METRICS["mcd"]
    spoken, other = noise(0.5, SOUND_RATE_HZ), noise(0.5, SOUND_RATE_HZ, seed=8)
    given = extractors.for_metric(metric.extractors)
    assert metric.function([spoken], [spoken], **given).value == 0.0
    assert metric.function([other], [spoken], **given).value > 1.0
    assert available(manifest, WeightsFolder()).waits_for("mcd") == ()


def test_no_sounds_and_two_of_different_lengths() -> None:
    extractor = open_mel_cepstra(RATE_HZ)
    assert extractor([]) == []
    first, second = noise(0.2), noise(0.3)
    together = extractor([first, second, noise(0.0)])
    assert [each.shape for each in together] == [(36, 13), (56, 13), (0, 13)]
    assert np.array_equal(together[1], extractor([second])[0])
