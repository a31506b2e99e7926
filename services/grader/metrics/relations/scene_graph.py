"""Recall of the triplets of a scene graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.grader.metrics.detection.boxes import box_iou, check_rows, check_width
from services.grader.metrics.media_items import check_items
from services.grader.metrics.result import PERCENT, MetricResult, count_missing, mean_result

#: Both boxes of a triplet have to reach this IoU.
BOX_IOU: Final = 0.5


@dataclass(frozen=True, slots=True)
class SceneGraph:
    """Objects and the relations between them.

    ``labels`` int64 [n] and ``boxes`` float64 [n, 4] (x, y, width, height in pixels) of the
    objects; ``relations`` int64 [r, 3] as subject (a row), predicate (a class), object (a row);
    ``scores`` float64 [r], which in a key are not read.
    """

    labels: NDArray[np.int64]
    boxes: NDArray[np.float64]
    relations: NDArray[np.int64]
    scores: NDArray[np.float64]

    def __post_init__(self) -> None:
        check_width(self.boxes, 4)
        check_width(self.relations, 3)
        check_rows(len(self.labels), self.labels, self.boxes)
        check_rows(len(self.relations), self.relations, self.scores)
        ends = self.relations[:, [0, 2]]
        if np.any(ends < 0) or np.any(ends >= len(self.labels)):
            raise ValueError("a relation joins two objects of its graph")


def scene_graph_recall(
    predictions: Sequence[SceneGraph | None], references: Sequence[SceneGraph], *, k: int = 50
) -> MetricResult:
    """The mean over images of the share of the key's triplets among the k surest, percent, 0..100.

    A triplet is found where subject class, predicate and object class agree and both boxes have an
    IoU of at least 0.5 with the key's. The share is of all triplets of the image, as in the field,
    so with more than k of them 100 is out of reach. Several relations of one pair of objects may
    be predicted, each uses up a place. ``per_sample`` [n] holds the images' values. 0/0, an image
    without triplets in the key, is 100 for any answer. A missing item is 0. Source: Lu et al.,
    Visual Relationship Detection with Language Priors, ECCV 2016; scene graph detection as in Xu
    et al., Scene Graph Generation by Iterative Message Passing, CVPR 2017. Raises ValueError
    where k is not positive.
    """
    n = check_items(predictions, references)
    if k < 1:
        raise ValueError("k is at least 1")
    samples = np.zeros(n)
    for item, (found, key) in enumerate(zip(predictions, references, strict=True)):
        if found is None:
            continue
        if len(key.relations) == 0:
            samples[item] = PERCENT
            continue
        order = np.argsort(-found.scores, kind="stable")[:k]
        samples[item] = PERCENT * float(np.mean(_found(found, found.relations[order], key)))
    return mean_result(samples, count_missing(predictions))


def _found(graph: SceneGraph, relations: NDArray[np.int64], key: SceneGraph) -> NDArray[np.bool_]:
    """Which of the key's triplets are among ``relations`` of ``graph``: bool [r]."""
    same = relations[:, None, 1] == key.relations[None, :, 1]
    for end in (0, 2):
        mine, wanted = relations[:, end], key.relations[:, end]
        same &= graph.labels[mine][:, None] == key.labels[wanted][None, :]
        same &= box_iou(graph.boxes[mine], key.boxes[wanted]) >= BOX_IOU
    return np.asarray(same.any(axis=0))
