"""Boxes in a picture and how far they overlap."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


def check_rows(count: int, *columns: NDArray[np.generic]) -> None:
    """ValueError unless each column has ``count`` rows and holds finite numbers only."""
    for column in columns:
        if len(column) != count:
            raise ValueError("the columns of one answer have one row for each object")
        if column.dtype.kind == "f" and not np.isfinite(column).all():
            raise ValueError("an answer holds finite numbers only")


def check_width(rows: NDArray[np.generic], width: int) -> None:
    """ValueError unless ``rows`` has the shape [n, width]."""
    if rows.ndim != 2 or rows.shape[1] != width:
        raise ValueError(f"rows of {width} numbers are wanted")


@dataclass(frozen=True, slots=True)
class Detections:
    """The boxes that a model found in one picture.

    ``boxes`` float64 [n, 4] as x, y of the top left corner, width, height in pixels; ``labels``
    int64 [n]; ``scores`` float64 [n], higher is surer.
    """

    boxes: NDArray[np.float64]
    labels: NDArray[np.int64]
    scores: NDArray[np.float64]

    def __post_init__(self) -> None:
        check_width(self.boxes, 4)
        check_rows(len(self.boxes), self.boxes, self.labels, self.scores)


@dataclass(frozen=True, slots=True)
class Objects:
    """The boxes that a key holds for one picture; ``crowd`` bool [n] marks regions of many objects.

    A detection inside a crowd region is neither right nor wrong. Empty ``crowd`` means no regions.
    """

    boxes: NDArray[np.float64]
    labels: NDArray[np.int64]
    crowd: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))

    def __post_init__(self) -> None:
        check_width(self.boxes, 4)
        check_rows(
            len(self.boxes), self.boxes, self.labels, crowd_rows(self.crowd, len(self.boxes))
        )


def crowd_rows(crowd: NDArray[np.bool_], count: int) -> NDArray[np.bool_]:
    """``crowd`` itself, or ``count`` times False where it is empty."""
    return crowd if len(crowd) else np.zeros(count, dtype=np.bool_)


def overlap_ratio(
    shared: NDArray[np.float64],
    found: NDArray[np.float64],
    wanted: NDArray[np.float64],
    crowd: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """IoU from intersections and areas of shapes that numpy brings to that of ``shared``, in 0..1.

    Against a crowd region it is the share of the found area that lies inside, as COCO has it. 0/0,
    two empty areas, is 0.
    """
    union = found + wanted - shared
    if crowd is not None:
        union = np.where(crowd, found, union)
    ratio = np.divide(shared, union, out=np.zeros_like(shared), where=shared > 0)
    return np.asarray(np.minimum(ratio, 1.0), dtype=np.float64)  # rounding may pass 1


def paired_iou(
    found: NDArray[np.float64],
    wanted: NDArray[np.float64],
    crowd: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """IoU [...] of boxes [..., 4] (x, y, width, height), each with the other's of its place, 0..1.

    Coordinates are continuous: a box of width 3 covers 3 pixels, without the extra one of PASCAL
    VOC. ``crowd`` as in :func:`overlap_ratio`.
    """
    top_left = np.maximum(found[..., :2], wanted[..., :2])
    bottom_right = np.minimum(found[..., :2] + found[..., 2:], wanted[..., :2] + wanted[..., 2:])
    inside = np.maximum(bottom_right - top_left, 0.0)
    return overlap_ratio(
        inside[..., 0] * inside[..., 1],
        found[..., 2] * found[..., 3],
        wanted[..., 2] * wanted[..., 3],
        crowd,
    )


def box_iou(
    found: NDArray[np.float64],
    wanted: NDArray[np.float64],
    crowd: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """:func:`paired_iou` [n, m] of every two of boxes [n, 4] and [m, 4]; ``crowd`` [m]."""
    return paired_iou(found[:, None], wanted[None], crowd)
