"""The real data that installed packages carry, each parted into a training and a test half.

scikit-learn 1.9 carries the UCI tables (digits, wine, diabetes), scikit-image 0.26 the pictures;
nothing is downloaded. The pictures are read from the package's own folder, because its loader
functions may fetch.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import skimage
from PIL import Image
from sklearn.datasets import load_diabetes, load_digits, load_wine

from samples.example import Bytes, Floats, Split

#: The first digits are training data, the others the benchmark's; the file mixes the writers.
TRAINING_DIGITS = 1000
#: Grey levels of a digit's pixels run from 0 to this.
DIGIT_LEVELS = 16
#: Every third row of a table is the benchmark's, the other two are training data.
TEST_ROW_EVERY = 3

#: Photographs by split. None is in both.
PHOTOGRAPHS = {
    Split.TRAIN: ("chelsea.png", "coffee.png", "moon.png"),
    Split.TEST: ("astronaut.png", "camera.png"),
}
TEXTURES = ("brick", "grass", "gravel")

#: Centres (row, column) of the 24 coins of coins.png, from a watershed and looked at one by one.
COIN_CENTRES = (
    (54, 44), (56, 100), (51, 155), (51, 215), (52, 276), (44, 335),
    (124, 45), (126, 102), (127, 154), (124, 205), (119, 271), (125, 336),
    (197, 44), (196, 102), (198, 154), (193, 212), (194, 274), (187, 347),
    (260, 46), (266, 114), (261, 172), (263, 244), (263, 301), (268, 358),
)  # fmt: skip
#: Radii in pixels of the same coins: circles of these radii were seen to follow their outlines.
COIN_RADII = (
    20.8, 18.7, 22.9, 22.7, 19.7, 28.8,
    20.3, 18.8, 18.5, 19.6, 24.7, 19.3,
    18.9, 21.6, 19.1, 23.5, 21.8, 31.6,
    28.0, 21.2, 27.4, 23.7, 25.2, 21.7,
)  # fmt: skip
#: The row of coins.png that parts the two upper rows of coins from the two lower ones.
COINS_MIDDLE_ROW = 158


#: The stereo scene's focal length and distance of principal points in pixels, baseline in metres.
FOCAL_PIXELS, PRINCIPAL_PIXELS, BASELINE_M = 994.978, 31.086, 0.193001


class Digits(NamedTuple):
    """Grey levels [n, 8, 8] in 0..16, and the digit of each."""

    pixels: Floats
    digits: Sequence[int]


class Stereo(NamedTuple):
    """One view's half of a stereo pair: left and right picture, and the left one's disparity.

    All are [height, width]; disparity is in pixels, NaN where it is unknown.
    """

    left: Bytes
    right: Bytes
    disparity: Floats


class TableRows(NamedTuple):
    """Rows of a table: names of the columns, values [n, columns], targets [n]."""

    names: Sequence[str]
    values: Floats
    targets: Floats


@functools.cache
def digits(split: Split) -> Digits:
    """Handwritten digits (E. Alpaydin and C. Kaynak, UCI, 1998)."""
    data = load_digits()
    part = slice(TRAINING_DIGITS) if split is Split.TRAIN else slice(TRAINING_DIGITS, None)
    return Digits(data.images[part], [int(digit) for digit in data.target[part]])


@functools.cache
def picture(name: str) -> Bytes:
    """A picture of scikit-image's package as grey levels [height, width]."""
    path = Path(skimage.__file__).parent / "data" / name
    with Image.open(path) as image:
        return np.asarray(image.convert("L"), dtype=np.uint8)


def photographs(split: Split) -> list[Bytes]:
    """The photographs of a split."""
    return [picture(name) for name in PHOTOGRAPHS[split]]


def textures(split: Split) -> dict[str, Bytes]:
    """The left halves of the textures for training, the right halves for the benchmark."""
    halves = {}
    for name in TEXTURES:
        whole = picture(f"{name}.png")
        middle = whole.shape[1] // 2
        halves[name] = whole[:, :middle] if split is Split.TRAIN else whole[:, middle:]
    return halves


def coins(split: Split) -> tuple[Bytes, list[tuple[int, int]]]:
    """The upper (training) or lower half of the coins, and the centres of its coins."""
    whole = picture("coins.png")
    if split is Split.TRAIN:
        centres = [(y, x) for y, x in COIN_CENTRES if y < COINS_MIDDLE_ROW]
        return whole[:COINS_MIDDLE_ROW], centres
    centres = [(y - COINS_MIDDLE_ROW, x) for y, x in COIN_CENTRES if y > COINS_MIDDLE_ROW]
    return whole[COINS_MIDDLE_ROW:], centres


class HalfCoins(NamedTuple):
    """A half of the coins at half its size: grey levels [height, width], circles [n, 3].

    A circle is row and column of its centre and its radius, in pixels, a pixel's own centre lying
    at whole numbers.
    """

    picture: Bytes
    circles: Floats


@functools.cache
def half_coins(split: Split) -> HalfCoins:
    """The coins of `coins`, each pixel the mean of four, and the circles of their outlines."""
    whole, centres = coins(split)
    radii = [
        radius
        for (y, _), radius in zip(COIN_CENTRES, COIN_RADII, strict=True)
        if (y < COINS_MIDDLE_ROW) is (split is Split.TRAIN)
    ]
    height, width = (size // 2 for size in whole.shape)
    fours = whole[: 2 * height, : 2 * width].reshape(height, 2, width, 2).astype(np.float64)
    picture_ = np.round(fours.mean(axis=(1, 3))).astype(np.uint8)
    # The centre of pixel 0 of the half lies at 0.5 of the whole.
    circles = [
        ((y - 0.5) / 2, (x - 0.5) / 2, r / 2) for (y, x), r in zip(centres, radii, strict=True)
    ]
    return HalfCoins(picture_, np.array(circles))


@functools.cache
def stereo(split: Split) -> Stereo:
    """The left half (training) or the right half of the motorcycle scene.

    D. Scharstein et al., "High-resolution stereo datasets with subpixel-accurate ground truth",
    GCPR 2014, at a quarter of its resolution.
    """
    path = Path(skimage.__file__).parent / "data" / "motorcycle_disp.npz"
    with np.load(path) as file:
        disparity = np.array(file["arr_0"], dtype=np.float64)
    disparity[~np.isfinite(disparity)] = np.nan
    middle = disparity.shape[1] // 2
    part = slice(middle) if split is Split.TRAIN else slice(middle, None)
    left, right = (picture(f"motorcycle_{side}.png") for side in ("left", "right"))
    return Stereo(left[:, part], right[:, part], disparity[:, part])


def depth_of(disparity: Floats) -> Floats:
    """Depth in metres of the stereo scene's disparity in pixels; NaN stays NaN."""
    return np.asarray(FOCAL_PIXELS * BASELINE_M / (disparity + PRINCIPAL_PIXELS))


def wine(split: Split) -> TableRows:
    """Chemical assays of wines of three cultivars (M. Forina et al., UCI, 1991)."""
    data = load_wine()
    return _rows(split, data.feature_names, data.data, data.target)


def diabetes(split: Split) -> TableRows:
    """Ten measurements of patients, and their disease's progression (B. Efron et al., 2004)."""
    data = load_diabetes(scaled=False)
    return _rows(split, data.feature_names, data.data, data.target)


def _rows(split: Split, names: Sequence[str], values: Floats, targets: Floats) -> TableRows:
    test = np.arange(len(values)) % TEST_ROW_EVERY == TEST_ROW_EVERY - 1
    part = test if split is Split.TEST else ~test
    return TableRows(list(names), values[part], targets[part])
