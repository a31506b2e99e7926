"""Panoptic quality."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.grader.metrics.detection.boxes import check_rows, crowd_rows
from services.grader.metrics.media_items import check_items, pooled_result
from services.grader.metrics.result import PERCENT, MetricResult


@dataclass(frozen=True, slots=True)
class PanopticPicture:
    """Every pixel's segment, and every segment's class.

    ``pixels`` integers [height, width] hold numbers of ``segments`` int64 [k], which are all
    different; a pixel of any other number is void. ``labels`` int64 [k] are the segments' classes.
    ``crowd`` bool [k] marks regions of many objects in a key; empty where there are none.
    """

    pixels: NDArray[np.integer[Any]]
    segments: NDArray[np.int64]
    labels: NDArray[np.int64]
    crowd: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))

    def __post_init__(self) -> None:
        count = len(self.segments)
        check_rows(count, self.labels, crowd_rows(self.crowd, count))
        if len(np.unique(self.segments)) != count:
            raise ValueError("each segment is described once")

    def rows(self) -> NDArray[np.int64]:
        """Each pixel's row in ``segments``, -1 for void; int64 [pixels]."""
        flat = self.pixels.reshape(-1)
        if len(self.segments) == 0:
            return np.full(flat.shape, -1, dtype=np.int64)
        order = np.argsort(self.segments)
        place = np.searchsorted(self.segments, flat, sorter=order)
        row = order[np.minimum(place, len(order) - 1)]
        return np.where(self.segments[row] == flat, row, -1)


@dataclass(frozen=True, slots=True)
class _Events:
    """What one picture adds: for each event its class, its IoU where matched, and its kind."""

    labels: NDArray[np.int64]
    ious: NDArray[np.float64]
    weights: NDArray[np.float64]  # 1 for a match, 1/2 for a miss or a false alarm


def panoptic_quality(
    predictions: Sequence[PanopticPicture | None], references: Sequence[PanopticPicture]
) -> MetricResult:
    """The mean over classes of sum IoU / (TP + FP/2 + FN/2), in percent, 0..100.

    A predicted segment matches the key's segment of its class where their IoU is over 0.5, the
    key's void pixels left out of the union; a match is then unique. Crowd regions are never
    matched and never missed; an unmatched prediction of which more than half lies in void or in
    crowd regions of its class is no false alarm. All items are pooled, so ``per_sample`` is None;
    the mean is over the classes that the key has or the model predicted, so that invented classes
    cost. 0/0 cannot occur for such a class. A missing item, and a picture of another size than
    the key's, has no segments: all of the key's are missed. Source: Kirillov et al., Panoptic
    Segmentation, CVPR 2019, section 4.
    """
    n = check_items(predictions, references)
    events: list[_Events] = []
    missing = 0
    for found, key in zip(predictions, references, strict=True):
        answered = found if found is not None and found.pixels.shape == key.pixels.shape else None
        missing += answered is None
        events.append(_compare(answered, key))
    item_of = np.repeat(np.arange(n), [len(event.labels) for event in events])
    labels = np.concatenate([event.labels for event in events])
    ious = np.concatenate([event.ious for event in events])
    weights = np.concatenate([event.weights for event in events])
    classes, column = np.unique(labels, return_inverse=True)

    def value_of(chosen: NDArray[np.bool_]) -> float:
        kept = chosen[item_of]
        quality = np.bincount(column[kept], ious[kept], minlength=len(classes))
        weight = np.bincount(column[kept], weights[kept], minlength=len(classes))
        counted = weight > 0
        return (
            PERCENT * float(np.mean(quality[counted] / weight[counted])) if kept.any() else np.nan
        )

    return pooled_result(n, missing, value_of)


def _compare(found: PanopticPicture | None, key: PanopticPicture) -> _Events:
    crowd = crowd_rows(key.crowd, len(key.segments))
    wanted = key.rows()
    wanted_area = np.bincount(wanted + 1, minlength=len(key.segments) + 1)[1:]
    countable = (wanted_area > 0) & ~crowd
    if found is None:
        return _events(np.zeros(0, dtype=np.int64), np.zeros(0), key.labels[countable])
    mine = found.rows()
    area = np.bincount(mine + 1, minlength=len(found.segments) + 1)[1:]
    # Only pairs that share a pixel: at most as many as pixels, whatever the answer describes.
    pairs, overlap = np.unique(
        (wanted + 1) * (len(found.segments) + 1) + mine + 1, return_counts=True
    )
    row, other = np.divmod(pairs, len(found.segments) + 1)
    row, other = row - 1, other - 1
    in_void = np.zeros(len(found.segments), dtype=np.int64)
    void = (row < 0) & (other >= 0)
    in_void[other[void]] = overlap[void]

    both = (row >= 0) & (other >= 0)
    row, other, overlap = row[both], other[both], overlap[both]
    same = found.labels[other] == key.labels[row]
    union = area[other] + wanted_area[row] - overlap - in_void[other]
    matched = same & ~crowd[row] & (2 * overlap > union)
    spared = in_void.copy()
    in_crowd = same & crowd[row]
    np.add.at(spared, other[in_crowd], overlap[in_crowd])

    missed = countable.copy()
    missed[row[matched]] = False
    alarms = (area > 0) & (2 * spared <= area)
    alarms[other[matched]] = False
    return _events(
        key.labels[row[matched]],
        overlap[matched] / union[matched],
        np.concatenate((key.labels[missed], found.labels[alarms])),
    )


def _events(
    matched: NDArray[np.int64], ious: NDArray[np.float64], unmatched: NDArray[np.int64]
) -> _Events:
    return _Events(
        np.concatenate((matched, unmatched)),
        np.concatenate((ious, np.zeros(len(unmatched)))),
        np.concatenate((np.ones(len(matched)), np.full(len(unmatched), 0.5))),
    )
