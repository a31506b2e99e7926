"""Average precision of instances in a point cloud."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.grader.metrics.detection.average_precision import Scene, average_precision
from services.grader.metrics.detection.boxes import check_rows, overlap_ratio
from services.grader.metrics.media_items import check_items
from services.grader.metrics.result import MetricResult, count_missing

#: Instances of one class in one scene that count, the surest first.
MAX_INSTANCES: Final = 100


@dataclass(frozen=True, slots=True)
class PointInstances:
    """The instances of one scene of p points.

    ``instances`` integers [p] are each point's row in ``labels``, -1 for none; ``labels`` int64 [n]
    and ``scores`` float64 [n] describe the instances. In a key the scores are not read.
    """

    instances: NDArray[np.integer[Any]]
    labels: NDArray[np.int64]
    scores: NDArray[np.float64]

    def __post_init__(self) -> None:
        check_rows(len(self.labels), self.labels, self.scores)
        if np.any(self.instances < -1) or np.any(self.instances >= len(self.labels)):
            raise ValueError("a point belongs to an instance that is described, or to none")


def ap50_points(
    predictions: Sequence[PointInstances | None], references: Sequence[PointInstances]
) -> MetricResult:
    """AP at point IoU 0.5, the mean over the classes of the key, in percent, 0..100.

    IoU is of sets of points; matching and integration are COCO's, as in the average precision of
    masks, with the 100 surest instances of a class in a scene. Instances of the key without a
    point do not count. 0/0, precision without detections, is 0. A missing scene, and one whose
    number of points is not the key's, has no detections: all its instances are missed.
    ``per_sample`` is None. Sources: COCO's detection evaluation; the task as in Dai et al.,
    ScanNet, CVPR 2017.
    """
    n = check_items(predictions, references)
    given = [
        found if found is not None and len(found.instances) == len(key.instances) else None
        for found, key in zip(predictions, references, strict=True)
    ]
    return average_precision(
        _scenes(given, references),
        n,
        count_missing(given),
        thresholds=(0.5,),
        max_detections=MAX_INSTANCES,
    )


def _scenes(
    predictions: Sequence[PointInstances | None], references: Sequence[PointInstances]
) -> Iterator[Scene]:
    for found, key in zip(predictions, references, strict=True):
        sizes = np.bincount(key.instances + 1, minlength=len(key.labels) + 1)[1:]
        present = np.flatnonzero(sizes)
        wanted = key.labels[present]
        counts = np.zeros(len(wanted), dtype=np.bool_)
        if found is None:
            empty = np.zeros((0, len(wanted)))
            yield _scene(np.zeros(0, dtype=np.int64), np.zeros(0), wanted, counts, empty)
            continue
        overlap = _overlap(found.instances, key.instances, len(found.labels), sizes)[:, present]
        yield _scene(found.labels, found.scores, wanted, counts, overlap)


def _scene(
    labels: NDArray[np.int64],
    scores: NDArray[np.float64],
    wanted: NDArray[np.int64],
    ignored: NDArray[np.bool_],
    overlap: NDArray[np.float64],
) -> Scene:
    def similarity(rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.asarray(overlap[rows, columns])

    return Scene(labels, scores, wanted, ignored, ignored, similarity)


def _overlap(
    found: NDArray[np.integer[Any]],
    wanted: NDArray[np.integer[Any]],
    count: int,
    sizes: NDArray[np.int64],
) -> NDArray[np.float64]:
    """The IoU float64 [found instances, wanted instances] of the sets of points."""
    both = (found >= 0) & (wanted >= 0)
    places = found[both].astype(np.int64) * len(sizes) + wanted[both]
    pairs = np.bincount(places, minlength=count * len(sizes))
    return overlap_ratio(
        pairs.reshape(count, len(sizes)).astype(np.float64),
        np.bincount(found + 1, minlength=count + 1)[1:, None].astype(np.float64),
        sizes.astype(np.float64),
    )
