"""Sounds of answers: one rate, one channel, and what the metrics make of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from services.grader.decode.values import Sound
from services.grader.media.key_reader import ReferenceUnusable
from services.grader.media.sounds import RATE_HZ, heard
from tests.unit.grader.media.generation_jobs import Served, score, wav

#: Pitches as words.
WORDS = {440.0: "low", 880.0: "middle", 3000.0: "high"}


def tone(hertz: float, rate: int = 16_000, seconds: float = 0.25) -> NDArray[np.float32]:
    return np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate).astype(np.float32)


def spectrum(sound: NDArray[Any]) -> NDArray[np.float64]:
    """The strength of each of WORDS in a sound at RATE_HZ, by its Fourier sum."""
    time = np.arange(len(sound)) / RATE_HZ
    waves = [np.exp(-2j * np.pi * hertz * time) for hertz in WORDS]
    return np.array([abs(wave @ sound) / len(sound) for wave in waves])


def pitches(sounds: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
    return np.array([spectrum(sound) for sound in sounds]).reshape(-1, 3)


def pitch_words(texts: Sequence[str]) -> NDArray[np.float64]:
    return np.array([[float(word == text) for word in WORDS.values()] for text in texts])


def spoken(sounds: Sequence[NDArray[Any]]) -> list[str]:
    """The name of the loudest pitch; nothing of a silent sound."""
    names = list(WORDS.values())
    return [
        f"a {names[int(row.argmax())]} tone" if row.max() > 1e-3 else "" for row in pitches(sounds)
    ]


def bands(sounds: Sequence[NDArray[Any]]) -> list[NDArray[np.float64]]:
    """The pitches of each hundredth of a second."""
    length = RATE_HZ // 100
    cut = [[sound[at : at + length] for at in range(0, len(sound), length)] for sound in sounds]
    return [10 * pitches(frames) for frames in cut]


NETWORKS = Served(
    {
        "clap_audio": pitches,
        "clap_text": pitch_words,
        "transcriber": spoken,
        "mel_cepstra": bands,
        "audio_embedding": pitches,
    }
)
SOUNDS = {
    "low.wav": wav(tone(440), 16_000),
    "stereo.wav": wav(np.stack([2 * tone(880, 44_100), np.zeros(11_025)], 1), 44_100),
    "silent.wav": wav(np.zeros(300), 8_000),
    "sample.wav": wav(np.ones(1), 384_000),
}


# Resampling


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 44_100, 48_000, 96_000, 12_345])
def test_a_tone_stays_the_tone_at_every_rate(rate: int) -> None:
    made = heard(Sound(tone(1000, rate, 0.5)[:, None], rate))
    assert made is not None
    assert made.dtype == np.float32
    assert len(made) == -(-(rate // 2) * RATE_HZ // rate)
    inner = slice(len(made) // 4, -len(made) // 4)
    np.testing.assert_allclose(made[inner], tone(1000, RATE_HZ, 0.5)[: len(made)][inner], atol=0.01)


def test_what_lies_above_half_the_rate_is_not_folded_down() -> None:
    made = heard(Sound(tone(40_000, 192_000)[:, None], 192_000))
    assert made is not None
    assert np.abs(made[500:-500]).max() < 0.01


def test_channels_become_their_mean_and_one_at_the_rate_stays_as_it_is() -> None:
    samples = np.stack([tone(440, RATE_HZ), tone(880, RATE_HZ)], 1)
    made = heard(Sound(samples, RATE_HZ))
    np.testing.assert_array_equal(made, samples.mean(axis=1, dtype=np.float32))
    mono = tone(440, RATE_HZ)
    np.testing.assert_array_equal(heard(Sound(mono[:, None], RATE_HZ)), mono)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 50), st.integers(1, 8), st.sampled_from([1000, 7_919, 48_000, 384_000]))
def test_sounds_of_any_length_are_heard(samples: int, channels: int, rate: int) -> None:
    made = heard(Sound(np.full((samples, channels), 1e15, np.float32), rate))
    if samples == 0:
        assert made is None
    else:
        assert made is not None
        assert len(made) == -(-samples * RATE_HZ // rate)
        assert np.isfinite(made).all()


# Metrics


def test_clap_scores_by_a_network_of_pitches() -> None:
    result, unfit = score(
        "clap-score",
        ["low.wav", "stereo.wav", "low.wav", "silent.wav", None],
        [["low"], ["middle"], ["high"], ["low"], ["low"]],
        files=SOUNDS,
        networks=NETWORKS,
    )
    assert result.per_sample is not None
    np.testing.assert_allclose(result.per_sample, [100, 100, 0, 0, -100], atol=0.5)
    assert (result.missing, unfit) == (1, set())


def test_a_style_is_a_text_or_a_sound() -> None:
    result, _ = score(
        "style-clap",
        ["low.wav", "low.wav", "low.wav", None],
        [["low"], ["style.wav"], ["other.wav"], ["style.wav"]],
        files=SOUNDS,
        key_files={
            "style.wav": wav(tone(440, 22_050), 22_050),
            "other.wav": wav(tone(3000), 16_000),
        },
        networks=NETWORKS,
    )
    assert result.per_sample is not None
    np.testing.assert_allclose(result.per_sample, [100, 100, 0, -100], atol=0.5)


def test_speech_against_the_closest_of_its_texts() -> None:
    result, _ = score(
        "wer-speech",
        ["low.wav", "low.wav", "silent.wav", None],
        [["A low tone."], ["something else", "a high tone"], ["a low tone"], ["a low tone"]],
        files=SOUNDS,
        networks=NETWORKS,
    )
    assert result.per_sample is not None
    np.testing.assert_allclose(result.per_sample, [0, 100 / 3, 100, 100])
    by_character, _ = score(
        "wer-speech",
        ["low.wav"],
        [["a lot tone"]],
        files=SOUNDS,
        networks=NETWORKS,
        options={"tokens": "characters"},
    )
    assert by_character.value == pytest.approx(100 / 8)


def test_captions_of_speech_and_a_key_of_one_item() -> None:
    result, _ = score(
        "cider-speech",
        ["low.wav", "silent.wav"],
        [["a low tone", "one low tone"], ["a high tone"]],
        files=SOUNDS,
        networks=NETWORKS,
    )
    assert result.per_sample is not None
    assert result.per_sample[0] > 0 == result.per_sample[1]
    with pytest.raises(ReferenceUnusable):
        score("cider-speech", ["low.wav"], [["a low tone"]], files=SOUNDS, networks=NETWORKS)


def test_distortion_of_the_recording_itself_is_none() -> None:
    late = np.concatenate([tone(440)[:800], tone(440)])
    result, _ = score(
        "mcd",
        ["low.wav", "low.wav", None],
        [["true.wav"], ["late.wav"], ["true.wav"]],
        files=SOUNDS,
        key_files={"true.wav": SOUNDS["low.wav"], "late.wav": wav(late, 16_000)},
        networks=NETWORKS,
    )
    assert result.per_sample is not None
    assert result.per_sample[0] == 0
    assert 0 < result.per_sample[1] <= result.per_sample[2]


@pytest.mark.parametrize(
    ("metric_id", "reference"),
    [
        ("clap-score", "low"),
        ("style-clap", "true.wav"),
        ("wer-speech", "a low tone"),
        ("cider-speech", "a low tone"),
        ("mcd", "true.wav"),
        ("fad", "true.wav"),
    ],
)
def test_nothing_that_a_lab_can_send_raises(metric_id: str, reference: str) -> None:
    result, unfit = score(
        metric_id,
        ["sample.wav", "silent.wav", None],
        [[reference]] * 3,
        files=SOUNDS,
        key_files={"true.wav": SOUNDS["low.wav"]},
        networks=NETWORKS,
    )
    assert np.isfinite(result.value)
    assert (result.missing, unfit) == (1, set())
