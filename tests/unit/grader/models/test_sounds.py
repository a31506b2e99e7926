"""Sounds as networks want them: rates, windows, mel bands."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from services.grader.device import Device
from services.grader.models import hub
from services.grader.models.clap import open_clap
from services.grader.models.sounds import mel_filters, middle, resample
from services.grader.models.vggish import BANDS, RATE_HZ, WINDOW_FRAMES, log_mel_windows
from services.grader.weights.folder import WeightsFolder

# isort: split
from transformers.audio_utils import mel_filter_bank, spectrogram, window_function


def tone(hertz: float, rate_hz: int, seconds: float) -> NDArray[np.float64]:
    return np.sin(2 * np.pi * hertz * np.arange(int(rate_hz * seconds)) / rate_hz)


@pytest.mark.parametrize(
    ("from_hz", "to_hz"), [(48_000, 16_000), (44_100, 16_000), (8_000, 48_000)]
)
def test_a_tone_is_the_same_tone_at_another_rate(from_hz: int, to_hz: int) -> None:
    made = resample(tone(440, from_hz, 0.5), from_hz, to_hz)
    wanted = tone(440, to_hz, 0.5)
    assert len(made) == len(wanted)
    inner = slice(to_hz // 20, -to_hz // 20)
    np.testing.assert_allclose(made[inner], wanted[inner], atol=0.01)


def test_a_tone_above_the_new_rate_goes() -> None:
    made = resample(tone(12_000, 48_000, 0.5), 48_000, 16_000)
    assert np.abs(made[1000:-1000]).max() < 0.01


@pytest.mark.parametrize(
    "sound", [np.zeros(0), np.zeros((2, 3)), np.array([0.0, np.nan]), np.array([np.inf])]
)
def test_other_arrays_are_no_sound(sound: NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match="a sound is"):
        resample(sound, 16_000, 16_000)


def test_the_middle_of_a_long_sound_and_all_of_a_short_one() -> None:
    sound = np.arange(10.0)
    assert middle(sound, 4).tolist() == [3.0, 4.0, 5.0, 6.0]
    assert middle(sound, 20).tolist() == sound.tolist()


def test_mel_bands_are_those_of_the_library() -> None:
    wanted = mel_filter_bank(
        num_frequency_bins=257,
        num_mel_filters=BANDS,
        min_frequency=125.0,
        max_frequency=7500.0,
        sampling_rate=RATE_HZ,
        norm=None,
        mel_scale="kaldi",
        triangularize_in_mel_space=True,
    )
    np.testing.assert_allclose(mel_filters(BANDS, 257, RATE_HZ, 125.0, 7500.0), wanted, atol=1e-9)


def test_log_mel_windows_are_those_of_the_library() -> None:
    sound = np.random.default_rng(1).normal(0, 0.1, RATE_HZ * 2)
    wanted = spectrogram(
        sound,
        window_function(400, "hann", periodic=True),
        frame_length=400,
        hop_length=160,
        fft_length=512,
        power=1.0,
        center=False,
        mel_filters=mel_filters(BANDS, 257, RATE_HZ, 125.0, 7500.0),
        mel_floor=0.0,
    )
    made = log_mel_windows(sound)
    assert made.shape == (2, WINDOW_FRAMES, BANDS)
    np.testing.assert_allclose(
        made.reshape(-1, BANDS), np.log(wanted.T[: 2 * WINDOW_FRAMES] + 0.01), rtol=1e-4
    )


def test_a_short_sound_is_one_window_that_ends_in_silence() -> None:
    made = log_mel_windows(tone(1000, RATE_HZ, 0.1))
    assert made.shape == (1, WINDOW_FRAMES, BANDS)
    np.testing.assert_allclose(made[0, -1], np.log(0.01), rtol=1e-6)
    assert made[0, 0].max() > 1.0


def test_clap_hears_the_middle_of_a_long_sound(tiny: WeightsFolder, cpu: Device) -> None:
    held = tiny.get("clap-htsat-unfused")
    audio = open_clap(held, cpu, 48_000)["audio"]
    sound = np.random.default_rng(2).normal(0, 0.1, 48_000 * 5)
    assert np.array_equal(audio([sound]), audio([sound[72_000:168_000]]))


def test_clap_is_the_library_on_a_short_sound(tiny: WeightsFolder, cpu: Device) -> None:
    held = tiny.get("clap-htsat-unfused")
    sound = np.random.default_rng(3).normal(0, 0.1, 30_000)
    model = hub.ClapModel.from_pretrained(held.folder, local_files_only=True).eval()
    processor = hub.ClapFeatureExtractor.from_pretrained(held.folder, local_files_only=True)
    inputs = processor(sound, sampling_rate=48_000, return_tensors="pt")
    wanted = model.get_audio_features(**inputs).pooler_output.detach().numpy()
    made = open_clap(held, cpu, 48_000)["audio"]([sound])
    np.testing.assert_allclose(made, wanted, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(made, axis=1), 1.0, rtol=1e-5)
