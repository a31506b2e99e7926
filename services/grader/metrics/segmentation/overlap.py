"""Overlap of one region: Dice of pictures, IoU of videos."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.grader.metrics.media_items import check_items
from services.grader.metrics.result import PERCENT, MetricResult, mean_result
from services.grader.metrics.segmentation.runs import RunLengths, Spans, shared, union


@dataclass(frozen=True, slots=True)
class Region:
    """All masks of one item taken together: what any of them covers is the region.

    ``frames`` int64 [n] says which frame of a video each mask lies in, 0-based and all 0 for a
    picture. A frame without a mask has no region.
    """

    masks: RunLengths
    frames: NDArray[np.int64]

    def __post_init__(self) -> None:
        if len(self.frames) != len(self.masks):
            raise ValueError("each mask lies in one frame")

    def spans(self) -> Spans:
        """The region on one long walk through all frames, each column by column."""
        pixels = self.masks.size[0] * self.masks.size[1]
        parts = list(self.masks)
        if not parts:
            nothing = np.zeros(0, dtype=np.int64)
            return Spans(nothing, nothing)
        shift = np.repeat(self.frames * pixels, [len(part.starts) for part in parts])
        return union(
            np.concatenate([part.starts for part in parts]) + shift,
            np.concatenate([part.ends for part in parts]) + shift,
        )


def dice(predictions: Sequence[Region | None], references: Sequence[Region]) -> MetricResult:
    """The mean over images of 2 |A and B| / (|A| + |B|), in percent, 0..100, higher is better.

    ``per_sample`` [n] holds the images' values. 0/0, nothing on either side, is 100. A missing
    item, and masks of another size than the key's, are 0. Symmetric in its two sides. Source:
    L. R. Dice, Measures of the Amount of Ecologic Association Between Species, Ecology 1945.
    """
    return _mean_overlap(
        predictions, references, lambda both, found, wanted: 2 * both / (found + wanted)
    )


def region_iou(predictions: Sequence[Region | None], references: Sequence[Region]) -> MetricResult:
    """The mean over items of |A and B| / |A or B|, in percent, 0..100; otherwise as :func:`dice`.

    In a video intersection and union are summed over the frames before they are divided, and a
    mask in a frame that the key leaves empty adds to the union. Of pictures this is the measure of
    referring segmentation. Source: Everingham et al., IJCV 2010; summed over frames as in the
    published scorer's video segmentation.
    """
    return _mean_overlap(
        predictions, references, lambda both, found, wanted: both / (found + wanted - both)
    )


def video_miou(predictions: Sequence[Region | None], references: Sequence[Region]) -> MetricResult:
    """:func:`region_iou` of videos."""
    return region_iou(predictions, references)


def _mean_overlap(
    predictions: Sequence[Region | None],
    references: Sequence[Region],
    ratio: Callable[[int, int, int], float],
) -> MetricResult:
    n = check_items(predictions, references)
    samples = np.zeros(n)
    missing = 0
    for item, (found, key) in enumerate(zip(predictions, references, strict=True)):
        if found is None or found.masks.size != key.masks.size:
            missing += 1
            continue
        mine, wanted = found.spans(), key.spans()
        if mine.covered == wanted.covered == 0:
            samples[item] = PERCENT
        else:
            samples[item] = PERCENT * ratio(shared(mine, wanted), mine.covered, wanted.covered)
    return mean_result(samples, missing)
