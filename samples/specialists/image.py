"""Specialists for pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import ndimage
from skimage.feature import local_binary_pattern
from skimage.filters import sobel
from skimage.restoration import denoise_tv_chambolle
from skimage.segmentation import watershed
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.svm import SVC

from samples.example import Answer, Bytes, Example, Floats, Question, rounded
from samples.media import png, read_png
from samples.tasks.image import CANVAS_SIDE, EVEN, LARGE, LOOPED, PRIME, READ_DIGITS, RELATIONS

# scikit-image has no types for these.
_edges: Callable[..., Any] = sobel
_grow: Callable[..., Any] = watershed
_patterns: Callable[..., Any] = local_binary_pattern
_smooth: Callable[..., Any] = denoise_tv_chambolle

_GREY_STEP = 15.0  # grey levels per level of a digit's pixel


def _picture(question: Question) -> Bytes:
    return read_png(question.media["image"])


def _digit_pixels(question: Question) -> Floats:
    return _picture(question) / _GREY_STEP


def digit_recognition(train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """A support vector machine, with the parameters usual for these digits."""
    known = np.stack([_digit_pixels(example.question).ravel() for example in train])
    model = SVC(gamma=0.001, C=10.0).fit(known, [example.answer for example in train])
    return [str(x) for x in model.predict(np.stack([_digit_pixels(q).ravel() for q in questions]))]


def number_reading(train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """A support vector machine for single digits, on each fifth of the picture."""

    def parts(question: Question) -> Floats:
        columns = np.split(_digit_pixels(question), READ_DIGITS, axis=1)
        return np.stack([column.ravel() for column in columns])

    known = np.concatenate([parts(example.question) for example in train])
    model = SVC(gamma=0.002, C=5.0).fit(known, [x for example in train for x in example.answer])
    return ["".join(model.predict(parts(question))) for question in questions]


def digit_properties(train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """Nearest neighbours vote on each property."""
    names = (EVEN, PRIME, LOOPED, LARGE)
    known = np.stack([_digit_pixels(example.question).ravel() for example in train])
    wanted = np.array([[name in example.answer for name in names] for example in train], dtype=int)
    model = KNeighborsClassifier(5).fit(known, wanted)
    given = model.predict(np.stack([_digit_pixels(question).ravel() for question in questions]))
    return [[name for name, holds in zip(names, row, strict=True) if holds] for row in given]


def coin_counting(_train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """Regions of a watershed that are at least half a coin, by area."""
    half_a_coin = 700  # pixels
    counts = []
    for question in questions:
        grey = _picture(question)
        markers = np.where(grey < 30, 1, np.where(grey > 150, 2, 0))
        coins = ndimage.binary_fill_holes(_grow(_edges(grey), markers) == 2)
        areas = np.bincount(ndimage.label(coins)[0].ravel())[1:]
        counts.append(int((areas >= half_a_coin).sum()))
    return counts


def texture_recognition(train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """Histograms of local binary patterns, and their nearest neighbours.

    T. Ojala, M. Pietikäinen, T. Mäenpää, IEEE TPAMI 24(7), 2002.
    """

    def histogram(question: Question) -> Floats:
        codes = _patterns(_picture(question), P=8, R=1, method="uniform")
        counts = np.bincount(codes.astype(int).ravel(), minlength=10)
        return np.asarray(counts / counts.sum())

    model = KNeighborsClassifier(5, metric="manhattan")
    model.fit(np.stack([histogram(e.question) for e in train]), [e.answer for e in train])
    return [str(x) for x in model.predict(np.stack([histogram(q) for q in questions]))]


def digit_captioning(train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """The layout with the most ink under its two windows, and a classifier of windows."""
    names: list[str] = []
    windows: list[Floats] = []
    for example in train:
        _, pair = _layout(_digit_pixels(example.question))
        words = example.answer.split()
        names += [words[1], words[4]]
        windows += [window.ravel() for window in pair]
    model = SVC(gamma=0.001, C=10.0).fit(np.stack(windows), names)
    captions = []
    for question in questions:
        relation, pair = _layout(_digit_pixels(question))
        one, other = model.predict(np.stack([window.ravel() for window in pair]))
        captions.append(f"a {one} {relation} a {other}")
    return captions


def _layout(canvas: Floats) -> tuple[str, list[Floats]]:
    best: tuple[float, str, list[Floats]] = (-1.0, "", [])
    for relation, corners in RELATIONS.items():
        for shift in range(CANVAS_SIDE - 8 + 1):
            pair = []
            for y, x in corners:
                top, left = (y, x + shift) if relation == "above" else (y + shift, x)
                pair.append(canvas[top : top + 8, left : left + 8])
            ink = float(sum((window**2).sum() for window in pair))
            if ink > best[0]:
                best = (ink, relation, pair)
    return best[1], best[2]


def digit_completion(train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """The mean lower half of the fifteen digits with the likest upper half."""
    model = KNeighborsRegressor(15, weights="distance")
    known = np.stack([_digit_pixels(example.question).ravel() for example in train])
    model.fit(known, np.array([example.answer for example in train]))
    given = model.predict(np.stack([_digit_pixels(question).ravel() for question in questions]))
    return [rounded(row, 3) for row in given]


def row_continuation(train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """One linear rule for all columns: a pixel from those above it, two rows and five columns."""

    def surroundings(question: Question) -> Floats:
        rows = np.pad(_picture(question)[-2:].astype(np.float64), ((0, 0), (2, 2)), mode="edge")
        width = rows.shape[1] - 4
        return np.stack([rows[:, x : x + 5].ravel() for x in range(width)])

    known = np.concatenate([surroundings(example.question) for example in train])
    wanted = np.concatenate([example.answer for example in train])
    rule = np.linalg.lstsq(known, wanted, rcond=None)[0]
    return [rounded(np.clip(surroundings(q) @ rule, 0, 255), 3) for q in questions]


def picture_denoising(_train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """Total variation denoising (A. Chambolle, J. Math. Imaging and Vision 20, 2004)."""
    pictures = [_smooth(_picture(q) / 255.0, weight=0.06) for q in questions]
    return [png(np.round(np.clip(p, 0, 1) * 255).astype(np.uint8)) for p in pictures]
