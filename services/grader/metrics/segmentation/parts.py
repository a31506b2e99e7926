"""Part segmentation of 3D shapes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.grader.metrics.media_items import check_items
from services.grader.metrics.result import PERCENT, MetricResult, mean_result


@dataclass(frozen=True, slots=True)
class ShapeParts:
    """A shape of the key: ``labels`` integers [p], the part of each point, and its ``category``."""

    labels: NDArray[np.integer[Any]]
    category: int = 0


def instance_miou(
    predictions: Sequence[NDArray[np.integer[Any]] | None], references: Sequence[ShapeParts]
) -> MetricResult:
    """The mean over shapes of the mean IoU over the parts of the shape's category, percent, 0..100.

    Predictions are labels, integers [p]. The parts of a category are those that any of its shapes
    in the key has. A part that neither side has counts 1 (the rule for 0/0), as the benchmark of
    the data set has it; a label that is no part of the category is just wrong. ``per_sample`` [n]
    holds the shapes' values. A missing shape, and one with another number of points than the
    key's, is 0. Source: Yi et al., A Scalable Active Framework for Region Annotation in 3D Shape
    Collections, SIGGRAPH Asia 2016; Qi et al., PointNet, CVPR 2017, section 5.1.
    """
    n = check_items(predictions, references)
    parts: dict[int, set[int]] = {}
    for shape in references:
        parts.setdefault(shape.category, set()).update(np.unique(shape.labels).tolist())
    samples = np.zeros(n)
    missing = 0
    for item, (found, shape) in enumerate(zip(predictions, references, strict=True)):
        if len(shape.labels) == 0:
            raise ValueError(f"item {item}: a shape of the key has points")
        if found is None or found.shape != shape.labels.shape:
            missing += 1
            continue
        ratios: list[float] = []
        for part in parts[shape.category]:
            mine, wanted = found == part, shape.labels == part
            either = int(np.count_nonzero(mine | wanted))
            ratios.append(int(np.count_nonzero(mine & wanted)) / either if either else 1.0)
        samples[item] = PERCENT * float(np.mean(ratios))
    return mean_result(samples, missing)
