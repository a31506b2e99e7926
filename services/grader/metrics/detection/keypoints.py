"""People as key points and how similar two of them are (object keypoint similarity)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.grader.metrics.detection.boxes import check_rows, check_width

#: How widely annotators spread around each of COCO's 17 key points, relative to the person's size
#: (nose, eyes, ears, shoulders, elbows, wrists, hips, knees, ankles); cocodataset.org,
#: "Keypoint Evaluation".
COCO_SIGMAS: Final = np.array(
    [26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89], dtype=np.float64
) / 1000  # fmt: skip

#: The spread taken for every key point of another skeleton.
UNIFORM_SIGMA: Final = 0.05

_EPSILON: Final = float(np.spacing(1))


@dataclass(frozen=True, slots=True)
class People:
    """The people that a model found in one picture.

    ``keypoints`` float64 [n, k, 3] as x, y in pixels and a confidence, which is not read;
    ``scores`` float64 [n], higher is surer.
    """

    keypoints: NDArray[np.float64]
    scores: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.keypoints.ndim != 3 or self.keypoints.shape[2] != 3:
            raise ValueError("key points have the shape [n, k, 3]")
        check_rows(len(self.keypoints), self.keypoints, self.scores)


@dataclass(frozen=True, slots=True)
class KnownPeople:
    """The people that a key holds for one picture.

    ``keypoints`` float64 [m, k, 3] with visibility 0 (not labelled), 1 or 2 as the third number;
    ``boxes`` float64 [m, 4] as x, y, width, height; ``areas`` float64 [m] in pixels, of the
    person's mask where the data set has one; ``crowd`` bool [m]. Someone without a labelled key
    point, and a crowd, count neither when found nor when missed.
    """

    keypoints: NDArray[np.float64]
    boxes: NDArray[np.float64]
    areas: NDArray[np.float64]
    crowd: NDArray[np.bool_]

    def __post_init__(self) -> None:
        if self.keypoints.ndim != 3 or self.keypoints.shape[2] != 3:
            raise ValueError("key points have the shape [m, k, 3]")
        check_width(self.boxes, 4)
        check_rows(len(self.keypoints), self.keypoints, self.boxes, self.areas, self.crowd)

    @property
    def ignored(self) -> NDArray[np.bool_]:
        """bool [m]: who counts neither way."""
        labelled = np.any(self.keypoints[:, :, 2] > 0, axis=1)
        return np.asarray(self.crowd | ~labelled)


def object_keypoint_similarity(
    found: NDArray[np.float64], known: KnownPeople, sigmas: NDArray[np.float64]
) -> NDArray[np.float64]:
    """OKS [n, m] of found [n, k, 3] and known people [m, k, 3], in 0..1.

    The mean over the labelled key points i of exp(-d_i^2 / (2 area (2 sigma_i)^2)). For someone
    without a labelled point d is how far all points lie outside the box enlarged to three times
    its width and height.
    """
    labelled = known.keypoints[:, :, 2] > 0
    offset = found[:, None, :, :2] - known.keypoints[None, :, :, :2]
    low = (known.boxes[:, :2] - known.boxes[:, 2:])[None, :, None, :]
    high = (known.boxes[:, :2] + 2 * known.boxes[:, 2:])[None, :, None, :]
    points = found[:, None, :, :2]
    outside = np.maximum(low - points, 0.0) + np.maximum(points - high, 0.0)
    unlabelled = np.logical_not(np.any(labelled, axis=1, keepdims=True))[:, 0]
    offset = np.where(unlabelled[None, :, None, None], outside, offset)
    counted = np.where(unlabelled[:, None], True, labelled)
    size = 2 * (known.areas[None, :, None] + _EPSILON) * (2 * sigmas[None, None, :]) ** 2
    closeness = np.exp(-np.sum(offset * offset, axis=3) / size)
    return np.asarray(
        np.sum(closeness * counted[None], axis=2) / counted.sum(axis=1)[None, :], dtype=np.float64
    )


def sigmas_of(keypoints: int) -> NDArray[np.float64]:
    """COCO's spreads for 17 key points, UNIFORM_SIGMA for any other number."""
    return COCO_SIGMAS if keypoints == len(COCO_SIGMAS) else np.full(keypoints, UNIFORM_SIGMA)
