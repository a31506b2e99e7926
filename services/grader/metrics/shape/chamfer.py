"""Chamfer distance of generated point clouds and points on meshes.

H. Fan, H. Su, L. Guibas, "A point set generation network for 3D object reconstruction from a single
image", CVPR 2017. Nearest neighbours are exact (a k-d tree), in float64, on one thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from services.grader.metrics.media import check_aligned
from services.grader.metrics.media_items import error_result
from services.grader.metrics.result import MetricResult

Cloud = NDArray[np.float64]
Norm = Literal["euclidean", "squared"]
Pooling = Literal["mean", "sum"]

#: Larger distances count as this one, so that no answer can overflow a score; in the cloud's unit.
LARGEST_DISTANCE = 1e60
#: Points of a tree's leaf. Many leaves are as near to a point far from a surface; of this size they
#: cost no more for a near point, and a tenth for a far one.
LEAF_POINTS = 100


@dataclass(frozen=True, slots=True)
class ChamferForm:
    """Which of the published Chamfer distances.

    ``norm``: distances to the nearest neighbour as they are (CD-L1) or squared (CD-L2). ``points``:
    their mean or sum over a cloud's points. ``directions``: the mean or the sum of the two
    directions. ``scale`` multiplies the value.
    """

    norm: Norm = "euclidean"
    points: Pooling = "mean"
    directions: Pooling = "sum"
    scale: float = 1.0


#: Mean distance to the nearest neighbour, both directions added.
STANDARD = ChamferForm()


def chamfer(
    predictions: Sequence[Cloud | None],
    references: Sequence[Cloud],
    *,
    norm: Norm = "euclidean",
    points: Pooling = "mean",
    directions: Pooling = "sum",
    scale: float = 1.0,
) -> MetricResult:
    """The mean Chamfer distance of clouds [points, 3], in the task's unit; 0 is perfect.

    :class:`ChamferForm` has the options. Lower is better, no upper end. Mean over items. 0/0: an
    answer without points counts as missing. A missing item costs the largest diagonal of a
    reference's bounding box at every point, which no guess inside those boxes exceeds, or the
    largest answered distance of the task where that is more. Raises ValueError for a reference
    without points and for coordinates that are not finite.
    """
    n = check_aligned(predictions, references)
    form = ChamferForm(norm, points, directions, scale)
    samples = np.full(n, np.nan)
    widest = 0.0
    for item, (prediction, reference) in enumerate(zip(predictions, references, strict=True)):
        wanted = _cloud(reference)
        if len(wanted) == 0:
            raise ValueError("a reference cloud has points")
        widest = max(widest, _diagonal(wanted, form))
        if prediction is not None and len(prediction):
            samples[item] = chamfer_distance(_cloud(prediction), wanted, form)
    return error_result(samples, widest)


def chamfer_distance(first: Cloud, second: Cloud, form: ChamferForm = STANDARD) -> float:
    """The Chamfer distance of two clouds [points, 3], each with at least one point; symmetric."""
    return _pooled(_nearest(first, second), _nearest(second, first), form)


def _nearest(points: Cloud, others: Cloud) -> Cloud:
    """The distance [n] of each point to the nearest of ``others``.

    A place where many of them lie is in the tree once: a leaf that cannot be divided would be
    searched through for each point, and its length is the lab's to choose.
    """
    if len(np.unique(others[:, 0])) < len(others):  # else no two are in one place
        others = np.unique(others, axis=0)
    distances = cKDTree(others, leafsize=LEAF_POINTS).query(points, workers=1)[0]
    return np.asarray(distances, dtype=np.float64)


def _pooled(forth: Cloud, back: Cloud, form: ChamferForm) -> float:
    directions = [np.minimum(side, LARGEST_DISTANCE) for side in (forth, back)]
    if form.norm == "squared":
        directions = [side**2 for side in directions]
    pool = np.mean if form.points == "mean" else np.sum
    total = sum(float(pool(side)) for side in directions)
    return form.scale * (total / 2 if form.directions == "mean" else total)


def _diagonal(reference: Cloud, form: ChamferForm) -> float:
    with np.errstate(over="ignore"):
        diagonal = np.linalg.norm(reference.max(axis=0) - reference.min(axis=0))
    side = np.full(len(reference), diagonal)
    return _pooled(side, side, form)


def _cloud(points: Cloud) -> Cloud:
    cloud = np.asarray(points, dtype=np.float64)
    if cloud.ndim != 2 or cloud.shape[1] != 3:
        raise ValueError("a cloud is [points, 3]")
    if not np.isfinite(cloud).all():
        raise ValueError("a cloud has finite coordinates")
    return cloud
