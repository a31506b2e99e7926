"""Pictures of answers beside pictures, texts and classes of the key."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from skimage.color import rgb2lab
from skimage.metrics import peak_signal_noise_ratio

from services.grader.media.pictures import MOST_ASPECT, middle
from tests.unit.grader.media.generation_jobs import (
    Served,
    colour_words,
    filled,
    mean_colour,
    noise,
    png,
    score,
)

COLOUR_NETWORKS = Served({"clip_image": mean_colour, "clip_text": colour_words})
PIXEL_METRICS = ("psnr", "ms-ssim", "shadow-rmse")


def jpeg(pixels: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=95)
    return file.getvalue()


def test_psnr_through_the_decoders_is_scikit_images() -> None:
    truth, other = noise(0, 20, 30, 3), noise(1, 12, 8, 3)
    close = (truth.astype(int) + 3).clip(0, 255).astype(np.uint8)
    result, unfit = score(
        "psnr",
        ["close.png", None, "small.png"],
        [["truth.png"], ["truth.png"], ["other.png", "truth.png"]],
        files={"close.png": png(close), "small.png": png(other[:, :7])},
        key_files={"truth.png": png(truth), "other.png": png(other)},
    )
    expected = peak_signal_noise_ratio(truth, close)  # type: ignore[no-untyped-call]
    assert result.per_sample is not None
    np.testing.assert_allclose(result.per_sample, [expected, 0, 0])
    assert (result.missing, unfit) == (2, {2})


def test_grey_and_deep_pictures_are_compared_in_colour() -> None:
    grey = noise(2, 9, 9)
    deep = grey.astype(np.uint16) << 8
    result, unfit = score(
        "psnr",
        ["grey.png", "deep.png"],
        [["colour.png"], ["grey.png"]],
        files={"grey.png": png(grey), "deep.png": png(deep)},
        key_files={"colour.png": png(np.repeat(grey[:, :, None], 3, 2)), "grey.png": png(grey)},
        options={"identical": "ceiling"},
    )
    assert result.value == pytest.approx(10 * np.log10(255**2 * 9 * 9 * 3))
    assert unfit == set()


@pytest.mark.parametrize("form", ["mae", "rmse"])
def test_shadow_error_is_scikit_images_lab(form: str) -> None:
    truth, made = noise(3, 10, 11, 3), noise(4, 10, 11, 3)
    result, _ = score(
        "shadow-rmse",
        ["made.png"],
        [["truth.png"]],
        files={"made.png": png(made)},
        key_files={"truth.png": png(truth)},
        options={"error": form},
    )
    apart = rgb2lab(made) - rgb2lab(truth)
    mae, rmse = np.abs(apart).sum(-1).mean(), np.sqrt((apart**2).sum(-1).mean())
    assert result.value == pytest.approx({"mae": mae, "rmse": rmse}[form], rel=1e-3)


@pytest.mark.parametrize("metric_id", PIXEL_METRICS)
def test_a_picture_of_one_pixel_is_missing_and_told(metric_id: str) -> None:
    result, unfit = score(
        metric_id,
        ["dot.png", "same.png"],
        [["truth.png"], ["truth.png"]],
        files={"dot.png": png(noise(5, 1, 1, 3)), "same.png": png(noise(6, 170, 165, 3))},
        key_files={"truth.png": png(noise(6, 170, 165, 3))},
    )
    assert (result.missing, unfit) == (1, {0})


def test_ms_ssim_of_the_same_picture_is_one() -> None:
    files = {"a.png": png(noise(7, 165, 180, 3))}
    result, _ = score("ms-ssim", ["a.png"], [["a.png"]], files=files, key_files=files)
    assert result.value == pytest.approx(1.0)


def test_clip_scores_by_a_network_of_colours() -> None:
    result, unfit = score(
        "clip-score",
        ["red.png", "red.png", None, "dot.png"],
        [["red"], ["green"], ["blue"], ["white", "red"]],
        files={"red.png": png(filled("red")), "dot.png": png(filled("red", 1, 1))},
        networks=COLOUR_NETWORKS,
    )
    assert result.per_sample is not None
    np.testing.assert_allclose(result.per_sample, [100, 0, -100, 100 / np.sqrt(3)], atol=1e-9)
    assert (result.missing, unfit) == (1, set())


def test_clip_image_scores_take_targets_of_any_size_and_format() -> None:
    result, _ = score(
        "clip-image-score",
        ["red.png", "red.png"],
        [["white.jpg"], ["green.png"]],
        files={"red.png": png(filled("red"))},
        key_files={
            "white.jpg": jpeg(filled("white", 40, 3)),
            "green.png": png(filled("green", 2, 1)),
        },
        networks=COLOUR_NETWORKS,
    )
    assert result.per_sample is not None
    np.testing.assert_allclose(result.per_sample, [100 / np.sqrt(3), 0], atol=1e-9)


def test_classes_by_a_network_of_colours() -> None:
    def classes(pictures: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
        """Class 7 is red, class 8 green; all others are as probable as black."""
        rows = np.zeros((len(pictures), 1000))
        rows[:, 7:9] = mean_colour(pictures)[:, :2]
        return rows

    result, _ = score(
        "classified-image-accuracy",
        ["red.png", "red.png", None],
        [[7], [8], [7]],
        files={"red.png": png(filled("red"))},
        networks=Served({"class_probabilities": classes}),
        options={"ways": "1000"},
    )
    assert result.per_sample is not None
    assert result.per_sample.tolist() == [100.0, 0.0, 0.0]


@given(
    st.integers(1, 60),
    st.integers(1, 60),
)
def test_only_strips_of_pixels_lose_their_ends(height: int, width: int) -> None:
    picture = np.arange(height * width).reshape(height, width, 1).astype(np.uint8)
    kept = middle(picture)
    short, long = sorted((height, width))
    assert sorted(kept.shape[:2]) == [short, min(long, MOST_ASPECT * short)]
    if long <= MOST_ASPECT * short:
        assert kept is picture or np.array_equal(kept, picture)
    else:
        lost = long - MOST_ASPECT * short
        along = picture if height > width else picture.transpose(1, 0, 2)
        cut = kept if height > width else kept.transpose(1, 0, 2)
        assert np.array_equal(cut, along[lost // 2 : lost // 2 + MOST_ASPECT * short])
