"""One object through a video: tube IoU and the success of a tracker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.grader.metrics.detection.boxes import check_rows, check_width, paired_iou
from services.grader.metrics.media_items import check_items
from services.grader.metrics.result import PERCENT, MetricResult, count_missing, mean_result

#: The overlaps that a frame has to exceed: 0, 0.05, …, 1.
SUCCESS_THRESHOLDS: Final = np.linspace(0.0, 1.0, 21)


@dataclass(frozen=True, slots=True)
class Tube:
    """One object over time.

    ``frames`` int64 [t], 0-based and ascending; ``boxes`` float64 [t, 4] as x, y, width, height in
    pixels; ``score`` orders the tubes of one answer.
    """

    frames: NDArray[np.int64]
    boxes: NDArray[np.float64]
    score: float = 1.0

    def __post_init__(self) -> None:
        check_width(self.boxes, 4)
        check_rows(len(self.frames), self.frames, self.boxes)
        if np.any(np.diff(self.frames) <= 0):
            raise ValueError("the frames of a tube ascend")


def tube_viou(
    predictions: Sequence[Sequence[Tube] | None], references: Sequence[Tube]
) -> MetricResult:
    """The mean over items of sum IoU_t over shared frames / frames in either tube, percent 0..100.

    Of several predicted tubes the surest counts (the first of equally sure ones). ``per_sample``
    [n] holds the items' values. 0/0, no frame on either side, is 0. A missing item and an empty
    answer are 0. Symmetric in its two sides. Source: Zhang et al., Where Does It Exist:
    Spatio-Temporal Video Grounding for Multi-Form Sentences, CVPR 2020 (m_vIoU).
    """
    n = check_items(predictions, references)
    samples = np.zeros(n)
    for item, (answer, key) in enumerate(zip(predictions, references, strict=True)):
        found = _surest(answer)
        if found is None:
            continue
        mine, wanted = _shared_frames(found, key)
        either = len(found.frames) + len(key.frames) - len(mine)
        if either:
            overlap = paired_iou(found.boxes[mine], key.boxes[wanted])
            samples[item] = PERCENT * float(overlap.sum()) / either
    return mean_result(samples, count_missing(predictions))


def success_auc(
    predictions: Sequence[Sequence[Tube] | None], references: Sequence[Tube]
) -> MetricResult:
    """The mean over 21 thresholds of the share of frames whose IoU exceeds it, percent, 0..100.

    The frames are those in which the key has the object; a frame that the tracker leaves out has
    IoU 0, and what it says elsewhere is not read. As an IoU of 1 does not exceed the threshold 1,
    a perfect tracker reaches 20 / 21, 95.24, as in the field's toolkits. Of several predicted
    tracks the surest counts. ``per_sample`` [n] holds the videos' values, the value is their mean.
    A missing item and an empty answer are 0. Sources: Wu, Lim and Yang, Online Object Tracking: A
    Benchmark, CVPR 2013; Fan et al., LaSOT, CVPR 2019. Raises ValueError for an item of the key
    without frames (0/0).
    """
    n = check_items(predictions, references)
    samples = np.zeros(n)
    for item, (answer, key) in enumerate(zip(predictions, references, strict=True)):
        if len(key.frames) == 0:
            raise ValueError(f"item {item}: the key's track has frames")
        found = _surest(answer)
        if found is None:
            continue
        mine, wanted = _shared_frames(found, key)
        overlap = np.zeros(len(key.frames))
        overlap[wanted] = paired_iou(found.boxes[mine], key.boxes[wanted])
        success = np.mean(overlap[:, None] > SUCCESS_THRESHOLDS[None, :], axis=0)
        samples[item] = PERCENT * float(np.mean(success))
    return mean_result(samples, count_missing(predictions))


def _surest(answer: Sequence[Tube] | None) -> Tube | None:
    return max(answer, key=lambda tube: tube.score) if answer else None


def _shared_frames(found: Tube, key: Tube) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows of both sides in the frames that both have."""
    _, mine, wanted = np.intersect1d(
        found.frames, key.frames, assume_unique=True, return_indices=True
    )
    return mine, wanted
