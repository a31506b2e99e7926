"""The catalogue's average precisions in pictures: boxes, masks, key points.

Each is in percent, 0..100, higher is better. A missing item has no detections, so all its objects
are missed: for an item that holds objects no answer can be worse. 0/0, precision without
detections, is 0. ``per_sample`` is None: the value belongs to the whole column.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.grader.metrics.detection.average_precision import (
    Scene,
    Similarity,
    average_precision,
)
from services.grader.metrics.detection.boxes import (
    Detections,
    Objects,
    check_rows,
    crowd_rows,
    overlap_ratio,
    paired_iou,
)
from services.grader.metrics.detection.keypoints import (
    KnownPeople,
    People,
    object_keypoint_similarity,
    sigmas_of,
)
from services.grader.metrics.media_items import check_items
from services.grader.metrics.result import MetricResult, count_missing
from services.grader.metrics.segmentation.runs import RunLengths, Walk, intersections

#: COCO's limits of detections for one class in one picture.
MAX_DETECTIONS: Final = 100
MAX_PEOPLE: Final = 20

#: The thresholds of the AP that has no number: 0.50, 0.55, …, 0.95.
COCO_THRESHOLDS: Final = tuple(np.linspace(0.5, 0.95, 10).tolist())


@dataclass(frozen=True, slots=True)
class MaskDetections:
    """The masks that a model found in one picture; ``labels`` int64 [n], ``scores`` float64 [n]."""

    masks: RunLengths
    labels: NDArray[np.int64]
    scores: NDArray[np.float64]

    def __post_init__(self) -> None:
        check_rows(len(self.masks), self.labels, self.scores)


@dataclass(frozen=True, slots=True)
class MaskObjects:
    """The masks that a key holds for one picture; ``crowd`` as in ``Objects``."""

    masks: RunLengths
    labels: NDArray[np.int64]
    crowd: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))

    def __post_init__(self) -> None:
        check_rows(len(self.masks), self.labels, crowd_rows(self.crowd, len(self.masks)))


def box_average_precision(
    predictions: Sequence[Detections | None],
    references: Sequence[Objects],
    *,
    thresholds: Sequence[float] = COCO_THRESHOLDS,
) -> MetricResult:
    """COCO's AP of boxes, the mean over IoU ``thresholds`` and over the classes of the key.

    Of each class the 100 surest boxes in a picture count. mAP and mAP@50 are other names of it.
    """
    n = check_items(predictions, references)
    return average_precision(
        _box_scenes(predictions, references),
        n,
        count_missing(predictions),
        thresholds=thresholds,
        max_detections=MAX_DETECTIONS,
    )


def ap50(predictions: Sequence[Detections | None], references: Sequence[Objects]) -> MetricResult:
    """:func:`box_average_precision` at IoU 0.5."""
    return box_average_precision(predictions, references, thresholds=(0.5,))


def ap75(predictions: Sequence[Detections | None], references: Sequence[Objects]) -> MetricResult:
    """:func:`box_average_precision` at IoU 0.75."""
    return box_average_precision(predictions, references, thresholds=(0.75,))


def mask_average_precision(
    predictions: Sequence[MaskDetections | None],
    references: Sequence[MaskObjects],
    *,
    thresholds: Sequence[float] = COCO_THRESHOLDS,
) -> MetricResult:
    """COCO's AP of masks: as :func:`box_average_precision` with the IoU of the pixels.

    A picture whose masks have another size than the key's counts as missing.
    """
    n = check_items(predictions, references)
    given = [
        prediction
        if prediction is not None and prediction.masks.size == wanted.masks.size
        else None
        for prediction, wanted in zip(predictions, references, strict=True)
    ]
    return average_precision(
        _mask_scenes(given, references),
        n,
        count_missing(given),
        thresholds=thresholds,
        max_detections=MAX_DETECTIONS,
    )


def ap50_masks(
    predictions: Sequence[MaskDetections | None], references: Sequence[MaskObjects]
) -> MetricResult:
    """:func:`mask_average_precision` at IoU 0.5."""
    return mask_average_precision(predictions, references, thresholds=(0.5,))


def keypoint_average_precision(
    predictions: Sequence[People | None],
    references: Sequence[KnownPeople],
    *,
    thresholds: Sequence[float] = COCO_THRESHOLDS,
    sigmas: NDArray[np.float64] | None = None,
) -> MetricResult:
    """COCO's AP of people by object keypoint similarity; the 20 surest of a picture count.

    ``sigmas`` float64 [k] are the spreads of the skeleton's points, COCO's for 17 points and 0.05
    for all others where none are given. An answer with another number of points than the key
    counts as missing.
    """
    n = check_items(predictions, references)
    given = [
        prediction
        if prediction is not None and prediction.keypoints.shape[1] == wanted.keypoints.shape[1]
        else None
        for prediction, wanted in zip(predictions, references, strict=True)
    ]
    return average_precision(
        _people_scenes(given, references, sigmas),
        n,
        count_missing(given),
        thresholds=thresholds,
        max_detections=MAX_PEOPLE,
    )


def ap50_keypoints(
    predictions: Sequence[People | None], references: Sequence[KnownPeople]
) -> MetricResult:
    """:func:`keypoint_average_precision` at similarity 0.5."""
    return keypoint_average_precision(predictions, references, thresholds=(0.5,))


_NO_LABELS: Final = np.zeros(0, dtype=np.int64)
_NO_SCORES: Final = np.zeros(0)


def _nothing(found: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.zeros(np.broadcast(found, wanted).shape)


def _box_scenes(
    predictions: Sequence[Detections | None], references: Sequence[Objects]
) -> Iterator[Scene]:
    for found, key in zip(predictions, references, strict=True):
        crowd = crowd_rows(key.crowd, len(key.boxes))
        if found is None:
            yield Scene(_NO_LABELS, _NO_SCORES, key.labels, crowd, crowd, _nothing)
        else:
            overlap = _box_overlap(found.boxes, key.boxes, crowd)
            yield Scene(found.labels, found.scores, key.labels, crowd, crowd, overlap)


def _box_overlap(
    boxes: NDArray[np.float64], known: NDArray[np.float64], crowd: NDArray[np.bool_]
) -> Similarity:
    return lambda rows, wanted: paired_iou(boxes[rows], known[wanted], crowd[wanted])


def _mask_scenes(
    predictions: Sequence[MaskDetections | None], references: Sequence[MaskObjects]
) -> Iterator[Scene]:
    for found, key in zip(predictions, references, strict=True):
        crowd = crowd_rows(key.crowd, len(key.masks))
        if found is None:
            yield Scene(_NO_LABELS, _NO_SCORES, key.labels, crowd, crowd, _nothing)
        else:
            overlap = _mask_overlap(found.masks.walk(), key.masks.walk(), crowd)
            yield Scene(found.labels, found.scores, key.labels, crowd, crowd, overlap)


def _mask_overlap(masks: Walk, known: Walk, crowd: NDArray[np.bool_]) -> Similarity:
    found_areas, wanted_areas = (side.areas().astype(np.float64) for side in (masks, known))
    return lambda rows, wanted: overlap_ratio(
        intersections(masks, known, rows, wanted).astype(np.float64),
        found_areas[rows],
        wanted_areas[wanted],
        crowd[wanted],
    )


def _people_scenes(
    predictions: Sequence[People | None],
    references: Sequence[KnownPeople],
    sigmas: NDArray[np.float64] | None,
) -> Iterator[Scene]:
    for found, key in zip(predictions, references, strict=True):
        one_class = np.zeros(len(key.keypoints), dtype=np.int64)
        if found is None:
            yield Scene(_NO_LABELS, _NO_SCORES, one_class, key.ignored, key.crowd, _nothing)
        else:
            spreads = sigmas_of(found.keypoints.shape[1]) if sigmas is None else sigmas
            labels = np.zeros(len(found.keypoints), dtype=np.int64)
            alike = _likeness(found.keypoints, key, spreads)
            yield Scene(labels, found.scores, one_class, key.ignored, key.crowd, alike)


def _likeness(
    points: NDArray[np.float64], key: KnownPeople, spreads: NDArray[np.float64]
) -> Similarity:
    def similarity(rows: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.float64]:
        # All people are of one class: each of the surest is compared with everybody.
        surest, place = np.unique(rows, return_inverse=True)
        table = object_keypoint_similarity(points[surest], key, spreads)
        return np.asarray(table[place, wanted])

    return similarity
