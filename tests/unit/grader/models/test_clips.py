"""Frames of a video as the video networks want them, against torch, OpenCV and hand vectors."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional

from services.grader.models.clips import ClipProcessor, resized_middle, spread
from services.grader.models.pictures import CLIP_MEAN, CLIP_STD

SIZES = [(64, 64), (31, 200), (300, 47), (101, 57), (16, 16), (5, 3), (1, 1), (1, 9)]


def a_frame(height: int, width: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(height * 1000 + width)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("count", "wanted", "places"),
    [
        (8, 8, [0, 1, 2, 3, 4, 5, 6, 7]),
        (16, 8, [0, 2, 4, 6, 8, 10, 12, 14]),
        (24, 8, [1, 4, 7, 10, 13, 16, 19, 22]),
        (11, 4, [0, 3, 6, 9]),
        (3, 8, [0, 1, 2, 2, 2, 2, 2, 2]),
        (1, 4, [0, 0, 0, 0]),
    ],
)
def test_frames_are_the_middles_of_equal_parts(count: int, wanted: int, places: list[int]) -> None:
    assert spread(count, wanted).tolist() == places


@pytest.mark.parametrize("wanted", [8, 16])
def test_places_are_within_a_video_and_in_order(wanted: int) -> None:
    for count in range(1, 200):
        places = spread(count, wanted)
        assert len(places) == wanted
        assert (np.diff(places) >= (count >= wanted)).all()
        assert places[0] >= 0
        assert places[-1] < count


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("resize", "crop"), [(24, 24), (48, 41)])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_a_frame_is_resized_as_torch_does_without_antialiasing(
    size: tuple[int, int], resize: int, crop: int, mode: str
) -> None:
    frame = a_frame(*size)
    short = min(size)
    height, width = (resize * side // short for side in size)
    whole = functional.interpolate(
        torch.from_numpy(frame).double().permute(2, 0, 1)[None], (height, width), mode=mode
    )[0].permute(1, 2, 0)
    top, left = round((height - crop) / 2), round((width - crop) / 2)
    wanted = whole[top : top + crop, left : left + crop].numpy()
    made = resized_middle(frame, resize, crop, cubic=mode == "bicubic")
    np.testing.assert_allclose(made, wanted, atol=1e-9)


@pytest.mark.parametrize("size", SIZES)
def test_opencv_agrees_to_less_than_a_byte(size: tuple[int, int]) -> None:
    frame = a_frame(*size)
    short = min(size)
    height, width = (48 * side // short for side in size)
    whole = cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR).astype(float)
    top, left = round((height - 48) / 2), round((width - 48) / 2)
    wanted = whole[top : top + 48, left : left + 48]
    # Its weights have eleven bits, and it rounds down twice.
    assert np.abs(resized_middle(frame, 48, 48, cubic=False) - wanted).max() < 0.8


def test_a_clip_is_scaled_per_channel_in_the_order_of_its_frames() -> None:
    video = np.repeat(np.arange(0, 240, 10, dtype=np.uint8)[:, None, None, None], 3, axis=3)
    clip = ClipProcessor(8, 4, 4, CLIP_MEAN, CLIP_STD, cubic=True)(video)
    assert clip.shape == (8, 3, 4, 4)
    assert clip.dtype == torch.float32
    for place, value in enumerate(range(10, 240, 30)):
        for channel in range(3):
            wanted = (value / 255 - CLIP_MEAN[channel]) / CLIP_STD[channel]
            np.testing.assert_allclose(clip[place, channel], wanted, rtol=1e-5)


def test_pixels_are_whole_bytes_after_resizing() -> None:
    video = a_frame(9, 13)[None]
    clip = ClipProcessor(1, 6, 5, (0.0,) * 3, (1.0,) * 3, cubic=True)(video)
    bytes_ = clip.double() * 255
    torch.testing.assert_close(bytes_, bytes_.round(), atol=1e-4, rtol=0)
    assert bytes_.min() >= 0
    assert bytes_.max() <= 255


def test_a_very_long_frame_costs_no_more() -> None:
    frame = np.zeros((1, 1_000_000, 3), dtype=np.uint8)
    frame[0, 500_000:] = 255
    made = resized_middle(frame, 224, 224, cubic=False)
    assert made.shape == (224, 224, 3)
    assert (made[:, :112] < 127.5).all()
    assert (made[:, 112:] > 127.5).all()
