"""Success rates: the share of a video's frames in which a detector finds what was prompted.

In percent, 0..100, higher is better: mean over the frames of a video, then over videos. A missing
video, and one without a frame, scores 0; 0/0 does not occur otherwise. A name is found where a
detection's label equals it, an attribute where a detection of that label has it as whole words in
its caption; case does not matter. Source: Z. Huang et al., "VBench", CVPR 2024.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from services.grader.metrics.media import check_aligned
from services.grader.metrics.result import PERCENT, MetricResult, mean_result

Media = Sequence[NDArray[Any] | None]
Relation = Literal["left of", "right of", "above", "below"]

#: The boxes of two objects that stand in a relation overlap less than this, as IoU.
LARGEST_IOU = 0.1


@dataclass(frozen=True, slots=True)
class Detection:
    """One object found in a frame; ``box`` is (left, top, right, bottom) in pixels, y downwards."""

    label: str
    box: tuple[float, float, float, float]
    caption: str = ""


class Detector(Protocol):
    """Frames [t, h, w, 3] uint8 to the detections of each frame."""

    def __call__(self, frames: NDArray[Any], /) -> Sequence[Sequence[Detection]]:
        """The detections in each of ``frames``."""


@dataclass(frozen=True, slots=True)
class PlacedPair:
    """The prompt of a spatial relation: ``first`` stands ``relation`` ``second``."""

    first: str
    relation: Relation
    second: str


def objects_success(
    videos: Media, objects: Sequence[Sequence[str]], *, detector: Detector
) -> MetricResult:
    """The share of frames in which every one of an item's objects is found.

    One name per item is the single object rate, two are the multiple object rate. Raises ValueError
    for an item without an object.
    """
    check_aligned(videos, objects)
    if not all(objects):
        raise ValueError("a prompt names at least one object")

    def found(item: int, frame: Sequence[Detection]) -> bool:
        labels = {_form(detection.label) for detection in frame}
        return all(_form(name) in labels for name in objects[item])

    return _frame_share(videos, found, detector)


def attribute_success(
    videos: Media, objects: Sequence[str], attributes: Sequence[str], *, detector: Detector
) -> MetricResult:
    """The share of frames in which the object is found with its colour or its material."""
    check_aligned(videos, objects, attributes)

    def found(item: int, frame: Sequence[Detection]) -> bool:
        wanted, attribute = _form(objects[item]), f" {_form(attributes[item])} "
        return any(
            _form(detection.label) == wanted and attribute in f" {_form(detection.caption)} "
            for detection in frame
        )

    return _frame_share(videos, found, detector)


def relation_success(
    videos: Media, pairs: Sequence[PlacedPair], *, detector: Detector
) -> MetricResult:
    """The share of frames in which some pair of boxes of the two objects stands as prompted.

    The centres are further apart along the relation's axis than across it, in its direction, and
    the IoU of the boxes is below 0.1.
    """
    check_aligned(videos, pairs)

    def found(item: int, frame: Sequence[Detection]) -> bool:
        pair = pairs[item]
        first, second = _form(pair.first), _form(pair.second)
        return any(
            stands(a, pair.relation, b)
            for a in frame
            if _form(a.label) == first
            for b in frame
            if b is not a and _form(b.label) == second
        )

    return _frame_share(videos, found, detector)


def stands(first: Detection, relation: Relation, second: Detection) -> bool:
    """Whether one detection stands in the relation to another."""
    right = (first.box[0] + first.box[2] - second.box[0] - second.box[2]) / 2
    down = (first.box[1] + first.box[3] - second.box[1] - second.box[3]) / 2
    along, across = (right, down) if relation in {"left of", "right of"} else (down, right)
    if relation in {"left of", "above"}:
        along = -along
    return along > abs(across) and box_iou(first.box, second.box) < LARGEST_IOU


def box_iou(
    first: tuple[float, float, float, float], second: tuple[float, float, float, float]
) -> float:
    """Intersection over union of boxes (left, top, right, bottom); 0/0: two of no area are 0."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    shared = max(width, 0.0) * max(height, 0.0)
    areas = sum(max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0) for box in (first, second))
    union = areas - shared
    return shared / union if union > 0 else 0.0


def _frame_share(
    videos: Media, found: Callable[[int, Sequence[Detection]], bool], detector: Detector
) -> MetricResult:
    samples = np.zeros(len(videos))
    missing = 0
    for item, video in enumerate(videos):
        if video is None or len(video) == 0:
            missing += 1
            continue
        frames = detector(video)
        if len(frames) != len(video):
            raise ValueError(f"a detector gave {len(frames)} answers for {len(video)} frames")
        samples[item] = PERCENT * np.mean([found(item, frame) for frame in frames])
    return mean_result(samples, missing)


def _form(text: str) -> str:
    return " ".join(text.casefold().split())
