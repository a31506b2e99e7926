"""Pictures as networks want them, against the published processors on Pillow."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from services.grader.models import hub
from services.grader.models.inception import prepare
from services.grader.models.pictures import (
    Processor,
    check_picture,
    check_video,
    clip_processor,
    dino_processor,
    vit_processor,
)
from services.grader.models.raft import LEAST_SIDE, padded_frames
from services.grader.models.video_resnet import first_frames

# isort: split
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

assert hub  # imported first: it keeps the library offline

SIZES = [(224, 224), (31, 400), (300, 17), (301, 257), (64, 64), (1, 1)]


def a_picture(height: int, width: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(height * 1000 + width)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def published(kind: object, picture: NDArray[np.uint8], **options: object) -> NDArray[np.float32]:
    found = kind(**options)(picture, input_data_format="channels_last", return_tensors="np")
    return found["pixel_values"][0]


@pytest.mark.parametrize("size", SIZES)
def test_clip_is_the_published_processor(size: tuple[int, int]) -> None:
    picture = a_picture(*size)
    wanted = published(CLIPImageProcessorPil, picture)
    np.testing.assert_allclose(clip_processor(224)([picture])[0], wanted, atol=1e-6)


@pytest.mark.parametrize("size", SIZES)
def test_dinov2_is_the_published_processor(size: tuple[int, int]) -> None:
    picture = a_picture(*size)
    wanted = published(
        BitImageProcessorPil,
        picture,
        size={"shortest_edge": 256},
        crop_size={"height": 224, "width": 224},
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
        resample=3,
    )
    np.testing.assert_allclose(dino_processor()([picture])[0], wanted, atol=1e-6)


@pytest.mark.parametrize("size", SIZES)
def test_the_classifier_is_the_published_processor(size: tuple[int, int]) -> None:
    picture = a_picture(*size)
    wanted = published(
        ViTImageProcessorPil, picture, image_mean=[0.5] * 3, image_std=[0.5] * 3, resample=2
    )
    np.testing.assert_allclose(vit_processor(224)([picture])[0], wanted, atol=1e-6)


@pytest.mark.parametrize("size", [(9, 9), (8, 9), (9, 8), (4, 20), (5, 5), (6, 3)])
def test_the_middle_is_the_published_one_also_beyond_the_edge(size: tuple[int, int]) -> None:
    picture = a_picture(*size)
    wanted = published(
        BitImageProcessorPil,
        picture,
        do_resize=False,
        crop_size={"height": 6, "width": 6},
        image_mean=[0.0] * 3,
        image_std=[1.0] * 3,
    )
    side = min(size)
    made = Processor(side, 6, (0.0,) * 3, (1.0,) * 3)([picture])[0]
    np.testing.assert_allclose(made, wanted, atol=1e-6)


def test_inception_keeps_a_picture_of_its_own_size() -> None:
    picture = a_picture(299, 299)
    wanted = (picture.transpose(2, 0, 1).astype(np.float32) - 128) / 128
    assert np.array_equal(prepare(picture).numpy(), wanted)


def test_inception_mixes_neighbours_from_the_first_pixel_on() -> None:
    # Two columns at four places: 0, half, 1, and the last one again.
    picture = np.array([[[0] * 3, [128] * 3]], dtype=np.uint8)
    row = prepare(picture, side=4).numpy()[0, 0]
    assert row.tolist() == [-1.0, -0.5, 0.0, 0.0]


def test_inception_takes_no_mean_of_what_it_skips() -> None:
    picture = np.array([[[10] * 3], [[250] * 3], [[30] * 3], [[250] * 3]], dtype=np.uint8)
    column = prepare(picture, side=2).numpy()[0, :, 0] * 128 + 128
    assert column.tolist() == [10.0, 30.0]


def test_short_videos_stand_still_at_their_end_and_long_ones_are_cut() -> None:
    video = np.arange(40, dtype=np.uint8)[:, None, None, None].repeat(3, axis=3)
    assert first_frames(video)[:, 0, 0, 0].tolist() == list(range(16))
    assert first_frames(video[:2])[:, 0, 0, 0].tolist() == [0] + [1] * 15


@pytest.mark.parametrize(
    ("size", "wanted"),
    [((136, 160), (136, 160)), ((133, 150), (136, 152)), ((20, 300), (LEAST_SIDE, 304))],
)
def test_frames_for_flow_are_padded_by_their_edges(
    size: tuple[int, int], wanted: tuple[int, int]
) -> None:
    video = np.stack([a_picture(*size)] * 2)
    padded, (top, left) = padded_frames(video)
    assert padded.shape == (2, 3, *wanted)
    inner = padded[:, :, top : top + size[0], left : left + size[1]]
    scaled = torch.from_numpy(video).permute(0, 3, 1, 2) / 255.0 * 2 - 1
    torch.testing.assert_close(inner, scaled)
    torch.testing.assert_close(padded[:, :, 0, 0], scaled[:, :, 0, 0])
    torch.testing.assert_close(padded[:, :, -1, -1], scaled[:, :, -1, -1])


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((4, 4, 3), dtype=np.float32),
        np.zeros((4, 4), dtype=np.uint8),
        np.zeros((4, 4, 4), dtype=np.uint8),
        np.zeros((0, 4, 3), dtype=np.uint8),
    ],
)
def test_other_arrays_are_no_picture(picture: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="a picture is"):
        check_picture(picture)
    with pytest.raises(ValueError, match="a video is"):
        check_video(picture[None])
