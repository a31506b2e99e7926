"""Specialists for pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import ndimage
from skimage.feature import local_binary_pattern
from skimage.restoration import denoise_tv_chambolle
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.svm import SVC

from samples.example import Answer, Bytes, Example, Floats, Media, Question, rounded
from samples.media import png, read_png
from samples.specialists.coins import coin_pixels, region_areas
from samples.tasks.image import DEFECT_SIDE, EVEN, LARGE, LOOPED, PRIME, READ_DIGITS

# scikit-image has no types for these.
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
    areas = [region_areas(coin_pixels(question))[1] for question in questions]
    return [int((found >= half_a_coin).sum()) for found in areas]


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


def defect_localisation(train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """Trees that tell a spot's pixels by how unlike the rest of the picture their windows are."""
    rng = np.random.Generator(np.random.PCG64(0))
    known, wanted = [], []
    for example in train:
        chosen = rng.choice(DEFECT_SIDE**2, 200, replace=False)
        known.append(_unlike(_picture(example.question)).reshape(DEFECT_SIDE**2, -1)[chosen])
        wanted.append((read_png(example.answer.content) > 0).ravel()[chosen])
    model = ExtraTreesClassifier(60, min_samples_leaf=5, random_state=0)
    model.fit(np.concatenate(known), np.concatenate(wanted))
    answers = []
    for question in questions:
        windows = _unlike(_picture(question)).reshape(DEFECT_SIDE**2, -1)
        sure = model.predict_proba(windows)[:, 1].reshape(DEFECT_SIDE, DEFECT_SIDE)
        levels = np.round(255 * ndimage.gaussian_filter(sure, 1.0)).astype(np.uint8)
        answers.append(Media(png(levels), ".png"))
    return answers


def _unlike(picture: Bytes) -> Floats:
    """Roughness and edges around each pixel, against the picture's medians: [h, w, maps]."""
    grey = picture.astype(np.float64)
    maps = []
    for width in (3, 5, 9, 13):
        mean = ndimage.uniform_filter(grey, width)
        roughness = np.sqrt(np.maximum(ndimage.uniform_filter(grey**2, width) - mean**2, 0))
        edges = [ndimage.uniform_filter(np.abs(ndimage.sobel(grey, at)), width) for at in (0, 1)]
        bends = ndimage.uniform_filter(np.abs(ndimage.laplace(grey)), width)
        for values in (roughness, *edges, bends):
            level = np.log1p(values)
            maps += [level, level - np.median(level)]
        maps.append(np.abs(mean - np.median(mean)))
    return np.stack(maps, axis=2)


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
    levels = [np.round(np.clip(p, 0, 1) * 255).astype(np.uint8) for p in pictures]
    return [Media(png(picture), ".png") for picture in levels]
