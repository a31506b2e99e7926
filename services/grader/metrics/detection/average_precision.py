"""Average precision as COCO computes it, for any similarity of a found and a wanted object.

Source: the COCO detection evaluation (cocodataset.org, "Detection Evaluation"; Lin et al.,
Microsoft COCO, ECCV 2014): detections of one class are taken from the surest down, each matches
the most similar free object at or above the threshold, precision is made monotone and read at 101
recall levels 0, 0.01, …, 1; the value is the mean over the classes of the key.

Which free object a detection prefers depends on no threshold and on no earlier match. So the pairs
of one picture that are similar enough are sorted by preference once, and each threshold is one walk
along them: few, as most pairs of a picture do not overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.grader.metrics.media_items import pooled_result, ranges
from services.grader.metrics.result import PERCENT, MetricResult

#: Recall levels at which precision is read.
RECALL_LEVELS = np.linspace(0.0, 1.0, 101)

#: A threshold of 1 asks for this much, so that rounding cannot lose an exact match.
_ALMOST_ONE = 1 - 1e-10

_WRONG, _RIGHT, _NEITHER = 0, 1, 2

#: similarity(rows of the found, rows of the wanted) -> float64 [pairs] in 0..1, both int64 [pairs]
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


@dataclass(frozen=True, slots=True)
class _Matched:
    """The detections of one item that count: labels, scores [d], outcomes int8 [thresholds, d]."""

    labels: NDArray[np.int64]
    scores: NDArray[np.float64]
    outcomes: NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class _Class:
    """One class of the key in all items: its detections from the surest down, and its objects.

    ``found`` int64 [d] and ``wanted`` int64 [m] are the items of detections and of objects that
    count; ``outcomes`` int8 [thresholds, d].
    """

    found: NDArray[np.int64]
    outcomes: NDArray[np.int8]
    wanted: NDArray[np.int64]


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
    limits = [min(threshold, _ALMOST_ONE) for threshold in thresholds]
    matched: list[_Matched] = []
    wanted: list[NDArray[np.int64]] = []
    for scene in scenes:
        matched.append(_match_scene(scene, limits, max_detections))
        wanted.append(scene.wanted[~scene.ignored])
    classes = _classes(matched, wanted)

    def value_of(chosen: NDArray[np.bool_]) -> float:
        values = [
            interpolated_precision(one.outcomes[:, chosen[one.found]], positives)
            for one in classes
            if (positives := int(np.count_nonzero(chosen[one.wanted])))
        ]
        return PERCENT * float(np.mean(np.concatenate(values))) if values else np.nan

    return pooled_result(n, missing, value_of)


def interpolated_precision(outcomes: NDArray[np.int8], positives: int) -> NDArray[np.float64]:
    """The mean precision at the recall levels, in 0..1 [thresholds].

    ``outcomes`` [thresholds, d] are those of the detections from the surest down.
    """
    wrong = np.cumsum(outcomes == _WRONG, axis=1)
    means = np.zeros(len(outcomes))
    for level, row in enumerate(outcomes):
        # Precision is highest where a detection is right, so no other place is looked at.
        hits = np.flatnonzero(row == _RIGHT)
        right = np.arange(1, len(hits) + 1)
        precision = right / (right + wrong[level, hits])
        precision = np.maximum.accumulate(precision[::-1])[::-1]
        place = np.searchsorted(right / positives, RECALL_LEVELS, side="left")
        means[level] = precision[place[place < len(hits)]].sum() / len(RECALL_LEVELS)
    return means


def _classes(matched: Sequence[_Matched], wanted: Sequence[NDArray[np.int64]]) -> list[_Class]:
    """The classes of the key; equally sure detections keep the order of the items."""
    labels = np.concatenate([one.labels for one in matched])
    scores = np.concatenate([one.scores for one in matched])
    items = np.repeat(np.arange(len(matched)), [len(one.labels) for one in matched])
    order = np.lexsort((-scores, labels))
    labels, items = labels[order], items[order]
    outcomes = np.concatenate([one.outcomes for one in matched], axis=1)[:, order]
    wanted_labels = np.concatenate(wanted)
    wanted_items = np.repeat(np.arange(len(wanted)), [len(one) for one in wanted])
    wanted_order = np.argsort(wanted_labels, kind="stable")
    wanted_labels, wanted_items = wanted_labels[wanted_order], wanted_items[wanted_order]
    known, first = np.unique(wanted_labels, return_index=True)
    last = np.append(first, len(wanted_labels))[1:]
    found_first = np.searchsorted(labels, known, side="left")
    found_last = np.searchsorted(labels, known, side="right")
    return [
        _Class(items[a:b], outcomes[:, a:b], wanted_items[c:d])
        for a, b, c, d in zip(found_first, found_last, first, last, strict=True)
    ]


def _match_scene(scene: Scene, limits: Sequence[float], max_detections: int) -> _Matched:
    """The outcomes of one item's detections.

    An object that counts is preferred to one that is ignored; of equally similar ones the last.
    """
    kept = _surest(scene.labels, scene.scores, max_detections)
    labels = scene.labels[kept]
    outcomes = np.full((len(limits), len(kept)), _WRONG, dtype=np.int8)
    found, wanted = _pairs(labels, scene.wanted)
    if len(found):
        similar = scene.similarity(kept[found], wanted)
        enough = similar >= min(limits)
        found, wanted, similar = found[enough], wanted[enough], similar[enough]
        ignored, reusable = scene.ignored[wanted], scene.reusable[wanted]
        order = np.lexsort((-wanted, -similar, ignored, found))
        pairs = list(
            zip(
                found[order].tolist(),
                wanted[order].tolist(),
                similar[order].tolist(),
                np.where(ignored, _NEITHER, _RIGHT)[order].tolist(),
                reusable[order].tolist(),
                strict=True,
            )
        )
        for level, limit in enumerate(limits):
            _match(pairs, limit, outcomes[level])
    return _Matched(labels, scene.scores[kept], outcomes)


def _match(
    pairs: Sequence[tuple[int, int, float, int, bool]], limit: float, outcomes: NDArray[np.int8]
) -> None:
    """Sets the outcomes [d] of the detections of ``pairs``.

    A pair is detection, object, similarity, outcome, and whether the object may be matched again;
    detections go from the surest down, the pairs of one by preference.
    """
    taken: set[int] = set()
    done = -1
    for detection, wanted, similar, outcome, again in pairs:
        if detection == done or similar < limit or wanted in taken:
            continue
        done = detection
        outcomes[detection] = outcome
        if not again:
            taken.add(wanted)


def _surest(labels: NDArray[np.int64], scores: NDArray[np.float64], most: int) -> NDArray[np.int64]:
    """The rows of at most so many detections of each class, by class, from the surest down."""
    order = np.lexsort((-scores, labels))
    ordered = labels[order]
    rank = np.arange(len(order)) - np.searchsorted(ordered, ordered, side="left")
    return np.asarray(order[rank < most], dtype=np.int64)


def _pairs(
    found: NDArray[np.int64], wanted: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All pairs of one label, as places in ``found`` (ascending) and in ``wanted``."""
    order = np.argsort(wanted, kind="stable")
    ordered = wanted[order]
    first = np.searchsorted(ordered, found, side="left")
    counts = np.searchsorted(ordered, found, side="right") - first
    return np.repeat(np.arange(len(found)), counts), order[ranges(first, counts)]
