"""Specialists for photographs that are turned and moved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from skimage.registration import optical_flow_ilk

from samples.example import Answer, Example, Floats, Media, Question, rounded
from samples.fields import flo
from samples.media import read_gif, read_png
from samples.tasks.warps import CARD_LEVEL, TABLE_LEVEL

# scikit-image has no types for this.
_flow: Callable[..., Any] = optical_flow_ilk

#: Turns of a card that are tried.
_TURNS = np.radians(np.arange(-44.5, 45, 0.5))


def picture_flow(_train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """Iterated least squares in windows (B. Lucas, T. Kanade, 1981), then the one affine map.

    The map that fits the windows' vectors best takes away what single windows get wrong.
    """
    answers = []
    for question in questions:
        first, second = read_gif(question.media["video"]) / 255.0
        down, right = _flow(first, second, radius=5, num_warp=20)
        rows, columns = np.mgrid[: first.shape[0], : first.shape[1]]
        plane = np.stack([np.ones(first.size), rows.ravel(), columns.ravel()], axis=1)
        inner = np.zeros(first.shape, dtype=bool)
        inner[4:-4, 4:-4] = True
        known = inner.ravel()
        fitted = [
            plane @ np.linalg.lstsq(plane[known], part.ravel()[known], rcond=None)[0]
            for part in (right, down)
        ]
        flow = np.stack([part.reshape(first.shape) for part in fitted], axis=2)
        answers.append(Media(flo(flow), ".flo"))
    return answers


def card_corners(_train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """The smallest turned rectangle around what is brighter than the table."""
    threshold = (TABLE_LEVEL + CARD_LEVEL) / 2
    answers = []
    for question in questions:
        places = np.argwhere(read_png(question.media["image"]) > threshold).astype(np.float64)
        corners = min((_rectangle(places, turn) for turn in _TURNS), key=_area)
        points = [[*rounded([x, y], 2), 1] for y, x in corners]
        answers.append([{"keypoints": points}])
    return answers


def _rectangle(places: Floats, turn: float) -> Floats:
    """Corners [4, 2], row and column, of the rectangle of this turn around places [n, 2]."""
    axes = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    seen = places @ axes
    # A pixel or two of noise must not widen it.
    low, high = np.quantile(seen, 0.01, axis=0), np.quantile(seen, 0.99, axis=0)
    corners = np.array([low, [low[0], high[1]], high, [high[0], low[1]]])
    return np.asarray(corners @ axes.T)


def _area(corners: Floats) -> float:
    top, right = corners[1] - corners[0], corners[2] - corners[1]
    return float(np.linalg.norm(top) * np.linalg.norm(right))
