"""Average precision as COCO computes it, for any similarity of a found and a wanted object.

Source: the COCO detection evaluation (cocodataset.org, "Detection Evaluation"; Lin et al.,
Microsoft COCO, ECCV 2014): detections of one class are taken from the surest down, each matches
the most similar free object at or above the threshold, precision is made monotone and read at 101
recall levels 0, 0.01, …, 1; the value is the mean over the classes of the key.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from services.grader.metrics.media_items import pooled_result
from services.grader.metrics.result import PERCENT, MetricResult

#: Recall levels at which precision is read.
RECALL_LEVELS = np.linspace(0.0, 1.0, 101)

#: A threshold of 1 asks for this much, so that rounding cannot lose an exact match.
_ALMOST_ONE = 1 - 1e-10

_WRONG, _RIGHT, _NEITHER = 0, 1, 2

#: similarity(rows of the found, rows of the wanted) -> float64 [rows, rows] in 0..1
Similarity = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Scene:
    """One item, ready to be matched.

    ``labels`` int64 [n] and ``scores`` float64 [n] of the found objects; ``wanted`` int64 [m] the
    labels of the key's objects, ``ignored`` bool [m] those that count neither way when matched or
    missed, ``reusable`` bool [m] the ignored ones that any number of detections may match.
    """

    labels: NDArray[np.int64]
    scores: NDArray[np.float64]
    wanted: NDArray[np.int64]
    ignored: NDArray[np.bool_]
    reusable: NDArray[np.bool_]
    similarity: Similarity


@dataclass(slots=True)
class _Class:
    """What all items say about one class; outcomes are int8 [thresholds, detections]."""

    items: list[NDArray[np.int64]] = field(default_factory=list)
    scores: list[NDArray[np.float64]] = field(default_factory=list)
    outcomes: list[NDArray[np.int8]] = field(default_factory=list)
    positives: dict[int, int] = field(default_factory=dict)


def average_precision(
    scenes: Iterable[Scene],
    n: int,
    missing: int,
    *,
    thresholds: Sequence[float],
    max_detections: int,
) -> MetricResult:
    """The mean AP over the classes of the key and over the thresholds, in percent, 0..100.

    Of one class in one item the ``max_detections`` surest detections count. Detections of a class
    that the key does not have count nowhere. An item that is missing has no detections: all its
    objects are missed. ``per_sample`` is None; the standard error is a jackknife over items. Raises
    ValueError where the key has no object at all.
    """
    classes: dict[int, _Class] = defaultdict(_Class)
    for item, scene in enumerate(scenes):
        _match_scene(classes, item, scene, thresholds, max_detections)
    tables = [_table(found, n, len(thresholds)) for found in classes.values() if found.positives]

    def value_of(chosen: NDArray[np.bool_]) -> float:
        values: list[float] = []
        for items, scores, outcomes, positives in tables:
            total = int(positives[chosen].sum())
            if total:
                kept = chosen[items]
                values += [
                    interpolated_precision(scores[kept], outcome[kept], total)
                    for outcome in outcomes
                ]
        return PERCENT * float(np.mean(values)) if values else np.nan

    return pooled_result(n, missing, value_of)


def interpolated_precision(
    scores: NDArray[np.float64], outcomes: NDArray[np.int8], positives: int
) -> float:
    """The mean precision at the recall levels, in 0..1; equal scores keep the given order."""
    outcomes = outcomes[np.argsort(-scores, kind="stable")]
    right = np.cumsum(outcomes == _RIGHT)
    wrong = np.cumsum(outcomes == _WRONG)
    precision = right / np.maximum(right + wrong, 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    place = np.searchsorted(right / positives, RECALL_LEVELS, side="left")
    reached = place < len(precision)
    return float(precision[place[reached]].sum() / len(RECALL_LEVELS))


def _match_scene(
    classes: dict[int, _Class],
    item: int,
    scene: Scene,
    thresholds: Sequence[float],
    max_detections: int,
) -> None:
    order = np.argsort(-scene.scores, kind="stable")
    for label in np.unique(scene.wanted).tolist():
        rows = np.flatnonzero(scene.wanted == label)
        if count := int(np.count_nonzero(~scene.ignored[rows])):
            classes[label].positives[item] = count
    for label in np.unique(scene.labels).tolist():
        found = order[scene.labels[order] == label][:max_detections]
        wanted = np.flatnonzero(scene.wanted == label)
        entry = classes[label]
        entry.items.append(np.full(len(found), item))
        entry.scores.append(scene.scores[found])
        if len(wanted) == 0:
            entry.outcomes.append(np.zeros((len(thresholds), len(found)), dtype=np.int8))
            continue
        similar = scene.similarity(found, wanted)
        ignored, reusable = scene.ignored[wanted], scene.reusable[wanted]
        entry.outcomes.append(
            np.stack([_match(similar, ignored, reusable, level) for level in thresholds])
        )


def _match(
    similar: NDArray[np.float64],
    ignored: NDArray[np.bool_],
    reusable: NDArray[np.bool_],
    threshold: float,
) -> NDArray[np.int8]:
    """The outcome int8 [found] of each detection, given from the surest down.

    An object that counts is preferred to one that is ignored; of equally similar ones the last.
    """
    enough = similar >= min(threshold, _ALMOST_ONE)
    outcomes = np.full(len(similar), _WRONG, dtype=np.int8)
    free = np.ones(similar.shape[1], dtype=np.bool_)
    for row in np.flatnonzero(enough.any(axis=1)).tolist():
        open_to = enough[row] & (free | reusable)
        counting = open_to & ~ignored
        candidates = np.flatnonzero(counting if counting.any() else open_to)
        if len(candidates) == 0:
            continue
        values = similar[row, candidates]
        best = int(candidates[len(values) - 1 - int(np.argmax(values[::-1]))])
        free[best] = False
        outcomes[row] = _NEITHER if ignored[best] else _RIGHT
    return outcomes


def _table(
    found: _Class, n: int, thresholds: int
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int8], NDArray[np.int64]]:
    """Items [d], scores [d], outcomes [thresholds, d] and positives [n] of one class."""
    positives = np.zeros(n, dtype=np.int64)
    positives[list(found.positives)] = list(found.positives.values())
    if not found.items:
        return (
            np.zeros(0, dtype=np.int64),
            np.zeros(0),
            np.zeros((thresholds, 0), dtype=np.int8),
            positives,
        )
    return (
        np.concatenate(found.items),
        np.concatenate(found.scores),
        np.concatenate(found.outcomes, axis=1),
        positives,
    )
