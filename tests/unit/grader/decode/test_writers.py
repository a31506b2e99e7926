"""Files written without a library are what the readers of a box make of them, to the last bit."""

from __future__ import annotations

import io
import wave

import numpy as np
import pytest

from services.grader.decode.formats import writers
from services.grader.decode.formats.images import read_image
from services.grader.decode.formats.sounds import read_sound
from services.grader.decode.formats.videos import read_video

RNG = np.random.default_rng(5)


@pytest.mark.parametrize("shape", [(1, 2, 2), (3, 8, 12), (2, 5, 7), (4, 9, 6), (17, 16, 1)])
@pytest.mark.parametrize("rate", [1, 8, 30])
def test_a_video_keeps_its_pixels_and_its_rate(shape: tuple[int, int, int], rate: int) -> None:
    frames = RNG.integers(0, 256, (*shape, 3), dtype=np.uint8)
    found = read_video(writers.avi(frames, rate), ".avi")
    np.testing.assert_array_equal(found["frames"], frames)
    assert found["rate"] == rate


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_grey_picture_keeps_its_levels(dtype: type[np.unsignedinteger]) -> None:
    pixels = RNG.integers(0, np.iinfo(dtype).max, (5, 7), dtype=dtype, endpoint=True)
    found = read_image(writers.picture_png(pixels))["pixels"]
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, pixels)


def test_a_coloured_picture_keeps_its_channels() -> None:
    pixels = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    np.testing.assert_array_equal(read_image(writers.picture_png(pixels))["pixels"], pixels)


def test_a_sound_keeps_its_samples() -> None:
    samples = RNG.integers(-(2**15), 2**15, 1001).astype(np.int16)
    data = writers.wav(samples, 48_000)
    found = read_sound(data, ".wav")
    assert found["rate"] == 48_000
    np.testing.assert_array_equal(found["samples"][:, 0] * 2**15, samples)
    with wave.open(io.BytesIO(data)) as sound:
        assert (sound.getnchannels(), sound.getnframes()) == (1, 1001)
