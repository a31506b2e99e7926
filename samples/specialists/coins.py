"""Specialists for coins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.feature import match_template
from skimage.filters import sobel
from skimage.segmentation import watershed

from samples.example import Answer, Example, Question, rounded
from samples.fields import mask_runs
from samples.media import read_gif, read_png
from samples.tasks.coins import COIN
from samples.tasks.drawing import numbers_of

# scikit-image has no types for these.
_edges: Callable[..., Any] = sobel
_grow: Callable[..., Any] = watershed
_match: Callable[..., Any] = match_template

#: Grey levels that are surely table and surely coin.
_TABLE, _COIN = 30, 150


def coin_pixels(question: Question) -> NDArray[np.bool_]:
    """The pixels of coins by a watershed of the edges, holes filled."""
    grey = read_png(question.media["image"])
    markers = np.where(grey < _TABLE, 1, np.where(grey > _COIN, 2, 0))
    return np.asarray(ndimage.binary_fill_holes(_grow(_edges(grey), markers) == 2))


def region_areas(coins: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The number of each pixel's region, from 1, and the regions' areas in pixels."""
    regions = np.asarray(ndimage.label(coins)[0], dtype=np.int64)
    return regions, np.bincount(regions.ravel())[1:]


def coin_detection(_train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """Boxes of the regions of a watershed that are at least half a coin, by area."""
    half_a_coin = 175  # pixels
    answers = []
    for question in questions:
        regions, areas = region_areas(coin_pixels(question))
        boxes = []
        for slices, area in zip(ndimage.find_objects(regions), areas.tolist(), strict=True):
            if area < half_a_coin:
                continue
            rows, columns = slices
            height, width = rows.stop - rows.start, columns.stop - columns.start
            boxes.append({"box": [columns.start, rows.start, width, height], "label": COIN})
        answers.append(boxes)
    return answers


def coin_segmentation(_train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """The pixels of a watershed's coins."""
    return [[{"mask": mask_runs(coin_pixels(question)), "label": COIN}] for question in questions]


def coin_tracking(_train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """Where the first frame's patch correlates best with each frame (J. P. Lewis, 1995)."""
    answers = []
    for question in questions:
        clip = read_gif(question.media["video"]).astype(np.float64)
        x, y, width, height = numbers_of(question.text)[1:5]
        top, left = int(np.floor(y)), int(np.floor(x))
        bottom, right = int(np.ceil(y + height)), int(np.ceil(x + width))
        patch = clip[0, max(top, 0) : bottom, max(left, 0) : right]
        boxes = []
        for frame in clip:
            fit = _match(frame, patch)
            row, column = np.unravel_index(int(fit.argmax()), fit.shape)
            moved = [x + column - max(left, 0), y + row - max(top, 0)]
            boxes.append(rounded([*moved, width, height], 2))
        answers.append([{"track": 1, "frames": list(range(len(clip))), "boxes": boxes}])
    return answers
