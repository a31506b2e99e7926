"""Specialists for two digits on one canvas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from sklearn.svm import SVC

from samples.example import Answer, Example, Floats, Question
from samples.media import read_png
from samples.tasks.scenes import (
    CANVAS_SIDE,
    DIGIT_SIDE,
    INK_LEVEL,
    RELATIONS,
    graph_answer,
    panoptic_answer,
)

_GREY_STEP = 15.0  # grey levels per level of a digit's pixel

Corner = tuple[int, int]


class _Layout(NamedTuple):
    """How the first digit lies to the second, and the corners and pixels of both windows."""

    relation: str
    corners: tuple[Corner, Corner]
    windows: tuple[Floats, Floats]


def _layout(question: Question) -> _Layout:
    """The layout with the most ink under its two windows."""
    canvas = read_png(question.media["image"]) / _GREY_STEP
    best: tuple[float, _Layout | None] = (-1.0, None)
    for relation, places in RELATIONS.items():
        for shift in range(CANVAS_SIDE - DIGIT_SIDE + 1):
            one, other = (
                (y, x + shift) if relation == "above" else (y + shift, x) for y, x in places
            )
            first, second = (
                canvas[y : y + DIGIT_SIDE, x : x + DIGIT_SIDE] for y, x in (one, other)
            )
            ink = float((first**2).sum()) + float((second**2).sum())
            if ink > best[0]:
                best = (ink, _Layout(relation, (one, other), (first, second)))
    assert best[1] is not None
    return best[1]


def _named(
    train: Sequence[Example], names: Sequence[tuple[str, str]], layouts: Sequence[_Layout]
) -> list[tuple[str, str]]:
    """The names of both digits of each layout, by a classifier of windows."""
    known = [window.ravel() for e in train for window in _layout(e.question).windows]
    model = SVC(gamma=0.001, C=10.0).fit(np.stack(known), [name for pair in names for name in pair])
    asked = [window.ravel() for layout in layouts for window in layout.windows]
    given = [str(name) for name in model.predict(np.stack(asked))]
    return list(zip(given[::2], given[1::2], strict=True))


def digit_captioning(train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """The layout with the most ink under its two windows, and a classifier of windows."""
    words = [example.answer.split() for example in train]
    layouts = [_layout(question) for question in questions]
    pairs = _named(train, [(said[1], said[4]) for said in words], layouts)
    return [
        f"a {one} {layout.relation} a {other}"
        for layout, (one, other) in zip(layouts, pairs, strict=True)
    ]


def digit_panoptic(train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """The same; ink is what is dark enough in the windows."""
    layouts = [_layout(question) for question in questions]
    labels = [[segment["label"] for segment in e.answer["segments"]] for e in train]
    pairs = _named(train, [(names[1], names[2]) for names in labels], layouts)
    answers = []
    for layout, names in zip(layouts, pairs, strict=True):
        one, other = layout.windows
        answers.append(
            panoptic_answer(names, layout.corners, (one >= INK_LEVEL, other >= INK_LEVEL))
        )
    return answers


def digit_scene_graph(train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """The same, as a graph."""
    layouts = [_layout(question) for question in questions]
    labels = [[found["label"] for found in example.answer["objects"]] for example in train]
    pairs = _named(train, [(one, other) for one, other in labels], layouts)
    return [
        graph_answer(names, layout.corners, layout.relation)
        for layout, names in zip(layouts, pairs, strict=True)
    ]
