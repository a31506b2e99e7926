"""Specialists for 3D."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import median_filter, uniform_filter
from scipy.optimize import least_squares
from sklearn.neighbors import KNeighborsClassifier

from samples.baselines.columns import questions_of
from samples.example import Answer, Example, Floats, Media, Question, rounded
from samples.fields import depth_png
from samples.media import read_png, read_xyz
from samples.sources import depth_of
from samples.tasks.space import (
    GRID_SIDE,
    PATCH_SIDE,
    SEARCH_PIXELS,
    THROW_GIVEN,
    THROW_PREDICTED,
    fly,
)


def _points(question: Question) -> Floats:
    return read_xyz(question.media["points"])


def _shape(question: Question) -> Floats:
    """Distances between points, in units of their mean, and from the centre, as histograms.

    R. Osada et al., "Shape distributions", ACM Transactions on Graphics 21(4), 2002.
    """
    points = _points(question)
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    upper = apart[np.triu_indices(len(points), 1)]
    outward = np.linalg.norm(points - points.mean(axis=0), axis=1)
    pairs, _ = np.histogram(upper / upper.mean(), bins=16, range=(0, 2.5))
    radii, _ = np.histogram(outward / outward.mean(), bins=16, range=(0, 2))
    return np.concatenate([pairs / len(upper), radii / len(outward)])


def solid_recognition(train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """Nearest neighbours of shape distributions."""
    model = KNeighborsClassifier(7, metric="manhattan")
    model.fit(np.stack([_shape(e.question) for e in train]), [e.answer for e in train])
    return [str(x) for x in model.predict(np.stack([_shape(q) for q in questions]))]


def stereo_disparity(_train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """The shift with the least absolute difference, between whole pixels by a parabola."""
    answers = []
    for question in questions:
        left, right = (
            read_png(question.media[side]).astype(np.float64) for side in ("left", "right")
        )
        costs = np.array(
            [
                np.abs(left - right[:, SEARCH_PIXELS - d : SEARCH_PIXELS - d + PATCH_SIDE]).mean()
                for d in range(SEARCH_PIXELS + 1)
            ]
        )
        best = int(costs.argmin())
        shift = 0.0
        if 0 < best < SEARCH_PIXELS:
            before, here, after = costs[best - 1 : best + 2]
            shift = 0.5 * (before - after) / max(before - 2 * here + after, 1e-9)
        answers.append(rounded([best + shift], 3)[0])
    return answers


def stereo_depth(_train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """For each pixel the shift with the least difference in a window, neighbours' median, depth."""
    window = 7  # pixels
    answers = []
    for question in questions:
        left, right = (
            read_png(question.media[side]).astype(np.float64) for side in ("left", "right")
        )
        costs = [
            uniform_filter(
                np.abs(left - right[:, SEARCH_PIXELS - d : SEARCH_PIXELS - d + PATCH_SIDE]), window
            )
            for d in range(SEARCH_PIXELS + 1)
        ]
        disparity = median_filter(np.argmin(costs, axis=0).astype(np.float64), window)
        answers.append(Media(depth_png(depth_of(disparity)), ".png"))
    return answers


def surface_completion(train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """One linear rule for all rows: four depths from the known ones of the row and its neighbours.

    Depths are taken relative to the row's last known one.
    """
    half = GRID_SIDE // 2

    def surroundings(question: Question) -> tuple[Floats, Floats]:
        known = _points(question)[:, 2].reshape(GRID_SIDE, half)
        padded = np.pad(known, ((1, 1), (0, 0)), mode="edge")
        last = known[:, -1:]
        near = np.hstack([padded[at : at + GRID_SIDE] for at in range(3)])
        return near - last, last

    known, last = (
        np.concatenate(part) for part in zip(*map(surroundings, questions_of(train)), strict=True)
    )
    wanted = np.concatenate([np.reshape(e.answer, (GRID_SIDE, half)) for e in train]) - last
    rule = np.linalg.solve(known.T @ known + np.eye(known.shape[1]), known.T @ wanted)
    answers = []
    for question in questions:
        near, last = surroundings(question)
        answers.append(rounded((near @ rule + last).ravel(), 3))
    return answers


def throw_continuation(_train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """The throw whose simulation passes the seen places most closely."""
    answers = []
    for question in questions:
        seen = _points(question)

        def misses(start: Floats, seen: Floats = seen) -> Floats:
            return np.asarray((fly(start[:3], start[3:], THROW_GIVEN) - seen).ravel())

        guess = np.concatenate([seen[0], (seen[1] - seen[0]) / 0.1])
        start = least_squares(misses, guess, max_nfev=40).x
        path = fly(start[:3], start[3:], THROW_GIVEN + THROW_PREDICTED)
        answers.append(rounded(path[THROW_GIVEN:].ravel(), 3))
    return answers
