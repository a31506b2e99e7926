"""Grounding accuracy: whether the box for an expression lies where it should."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from services.grader.metrics.detection.boxes import Detections, Objects, box_iou
from services.grader.metrics.media_items import check_items
from services.grader.metrics.result import PERCENT, MetricResult, count_missing, mean_result


def grounding_accuracy(
    predictions: Sequence[Detections | None],
    references: Sequence[Objects],
    *,
    iou: float = 0.5,
) -> MetricResult:
    """The share of expressions whose box reaches the IoU ``iou``, in percent, 0..100.

    Of several predicted boxes the surest counts (the first of equally sure ones); labels and crowd
    marks are not read. ``per_sample`` [n] is 0 or 100. A missing item, an empty answer and 0/0,
    two empty boxes, are wrong. Source: the accuracy of RefCOCO (Yu et al., Modeling Context in
    Referring Expressions, ECCV 2016). Raises ValueError unless 0 < ``iou`` <= 1 and each item of
    the key has exactly one box.
    """
    n = check_items(predictions, references)
    if not 0 < iou <= 1:
        raise ValueError("the threshold lies in (0, 1]")
    samples = np.zeros(n)
    for item, (found, key) in enumerate(zip(predictions, references, strict=True)):
        if len(key.boxes) != 1:
            raise ValueError(f"item {item}: an expression means exactly one box")
        if found is None or len(found.boxes) == 0:
            continue
        surest = int(np.argmax(found.scores))
        overlap = box_iou(found.boxes[surest : surest + 1], key.boxes)[0, 0]
        samples[item] = PERCENT * (overlap >= iou)
    return mean_result(samples, count_missing(predictions))
