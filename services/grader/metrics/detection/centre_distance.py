"""Detection in space, matched by how far apart the centres are (nuScenes)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.grader.metrics.detection.boxes import check_rows, check_width
from services.grader.metrics.media_items import check_items, pooled_result
from services.grader.metrics.result import PERCENT, MetricResult, count_missing

#: A detection matches within this distance of the centres on the ground, in metres.
DISTANCES_M: Final = (0.5, 1.0, 2.0, 4.0)

#: Recall and precision up to here are noise and count nothing.
MIN_RECALL: Final = 0.1
MIN_PRECISION: Final = 0.1

#: Boxes of one scene that count, the surest first.
MAX_BOXES: Final = 500

_RECALL_LEVELS: Final = np.linspace(0.0, 1.0, 101)
_FIRST_LEVEL: Final = round(100 * MIN_RECALL) + 1


@dataclass(frozen=True, slots=True)
class SpaceBoxes:
    """The boxes of one scene.

    ``centres`` float64 [n, 3] in metres, z upward; ``labels`` int64 [n]; ``scores`` float64 [n],
    which a key fills with anything. Extent and yaw take no part in the metric.
    """

    centres: NDArray[np.float64]
    labels: NDArray[np.int64]
    scores: NDArray[np.float64]

    def __post_init__(self) -> None:
        check_width(self.centres, 3)
        check_rows(len(self.centres), self.centres, self.labels, self.scores)


def map_3d(
    predictions: Sequence[SpaceBoxes | None], references: Sequence[SpaceBoxes]
) -> MetricResult:
    """The mean AP over the classes of the key and the distances 0.5, 1, 2, 4 m, in percent, 0..100.

    From the surest box of the data set down, a box takes the nearest free object of its class in
    its scene and is right where the centres are nearer than the distance, measured on the ground
    (x, y). Precision is interpolated at 101 recall levels; the AP is the mean over recall above
    0.1 of max(precision - 0.1, 0), over 0.9. 0/0, precision without detections, is 0. A missing
    scene has no boxes: all its objects are missed. ``per_sample`` is None. Source: Caesar et al.,
    nuScenes, CVPR 2020, section 3; its filters by range and by points are the key's business.
    """
    n = check_items(predictions, references)
    tables = _tables(predictions, references)

    def value_of(chosen: NDArray[np.bool_]) -> float:
        values: list[float] = []
        for items, right, positives in tables:
            total = int(positives[chosen].sum())
            if total:
                kept = chosen[items]
                values += [_ap(hits[kept], total) for hits in right]
        return PERCENT * float(np.mean(values)) if values else np.nan

    return pooled_result(n, count_missing(predictions), value_of)


_Table = tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.int64]]


def _tables(
    predictions: Sequence[SpaceBoxes | None], references: Sequence[SpaceBoxes]
) -> list[_Table]:
    """For each class of the key items [d], right bool [4, d] and positives [n].

    The boxes go from the surest down; of equally sure ones the last comes first.
    """
    given = [None if found is None else _surest(found) for found in predictions]
    tables: list[_Table] = []
    for label in np.unique(np.concatenate([key.labels for key in references])).tolist():
        items = [np.zeros(0, dtype=np.int64)]
        scores = [np.zeros(0)]
        right = [np.zeros((len(DISTANCES_M), 0), dtype=np.bool_)]
        for item, (found, key) in enumerate(zip(given, references, strict=True)):
            if found is not None:
                mine = found.labels == label
                items.append(np.full(int(mine.sum()), item))
                scores.append(found.scores[mine])
                right.append(_match(found.centres[mine, :2], key.centres[key.labels == label, :2]))
        item_of, score_of = np.concatenate(items), np.concatenate(scores)
        order = np.lexsort((np.arange(len(item_of)), -item_of, -score_of))
        positives = np.array([np.count_nonzero(key.labels == label) for key in references])
        hits = np.concatenate(right, axis=1)[:, order]
        tables.append((item_of[order], hits, positives))
    return tables


def _surest(found: SpaceBoxes) -> SpaceBoxes:
    """At most MAX_BOXES of the boxes, from the surest down; of equally sure ones the last first."""
    order = np.lexsort((np.arange(len(found.scores)), found.scores))[::-1][:MAX_BOXES]
    return SpaceBoxes(found.centres[order], found.labels[order], found.scores[order])


def _match(found: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether each box [d, 2], from the surest down, is right at each distance: bool [4, d]."""
    right = np.zeros((len(DISTANCES_M), len(found)), dtype=np.bool_)
    if len(wanted) == 0:
        return right
    distance = np.hypot(*np.moveaxis(found[:, None, :] - wanted[None, :, :], 2, 0))
    for level, limit in enumerate(DISTANCES_M):
        left = distance.copy()
        for row in np.flatnonzero((distance < limit).any(axis=1)).tolist():
            nearest = int(np.argmin(left[row]))
            if left[row, nearest] < limit:
                right[level, row] = True
                left[:, nearest] = np.inf
    return right


def _ap(right: NDArray[np.bool_], positives: int) -> float:
    hits = np.cumsum(right)
    if len(hits) == 0 or hits[-1] == 0:
        return 0.0
    precision = hits / np.arange(1, len(hits) + 1)
    levels = np.interp(_RECALL_LEVELS, hits / positives, precision, right=0)[_FIRST_LEVEL:]
    above = float(np.mean(np.maximum(levels - MIN_PRECISION, 0.0)))
    return min(above / (1 - MIN_PRECISION), 1.0)  # rounding may pass 1
