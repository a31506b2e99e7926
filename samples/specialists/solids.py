"""Specialists for solids by formula."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from scipy.spatial import ConvexHull, cKDTree
from sklearn.neighbors import KNeighborsClassifier

from samples.example import Answer, Example, Floats, Media, Question
from samples.fields import off
from samples.media import read_xyz, xyz


def _points(question: Question) -> Floats:
    return read_xyz(question.media["points"])


def _profile(question: Question) -> Floats:
    """Height and distance from the axis of each point, in units of the whole thing's."""
    points = _points(question)
    points -= np.append(points[:, :2].mean(axis=0), points[:, 2].min())
    away = np.linalg.norm(points[:, :2], axis=1)
    return np.stack([points[:, 2] / np.ptp(points[:, 2]), away / away.max()], axis=1)


def part_labels(train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """For each thing the nearest neighbours of a point's height and distance from the axis."""
    known: dict[str, list[tuple[Floats, Sequence[int]]]] = defaultdict(list)
    for example in train:
        thing = example.question.fields["thing"]
        known[thing].append((_profile(example.question), example.answer))
    models = {
        thing: KNeighborsClassifier(9).fit(
            np.concatenate([profile for profile, _ in clouds]),
            np.concatenate([labels for _, labels in clouds]),
        )
        for thing, clouds in known.items()
    }
    return [
        models[question.fields["thing"]].predict(_profile(question)).tolist()
        for question in questions
    ]


def surface_normals(_train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """The direction in which a point's ten nearest vary least (H. Hoppe et al., 1992)."""
    answers = []
    for question in questions:
        points = _points(question)
        near = points[cKDTree(points).query(points, 10)[1]]
        near = near - near.mean(axis=1, keepdims=True)
        normals = np.linalg.svd(near, full_matrices=False)[2][:, -1]
        answers.append(Media(xyz(normals), ".xyz"))
    return answers


def solid_completion(_train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """What is seen and its image through the middle: most solids are symmetric about a point."""
    answers = []
    for question in questions:
        points = _points(question)
        answers.append(Media(xyz(np.concatenate([points, -points])), ".xyz"))
    return answers


def surface_mesh(_train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """The convex hull: the solids are convex, or nearly so."""
    answers = []
    for question in questions:
        points = _points(question)
        answers.append(Media(off(points, ConvexHull(points).simplices), ".off"))
    return answers
