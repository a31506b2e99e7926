"""Mean IoU of label maps over the whole data set: pictures and point clouds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.grader.metrics.media_items import check_items, pooled_result
from services.grader.metrics.result import PERCENT, MetricResult, mean_result

#: A pixel or point of the key that counts for no class.
VOID: Final = -1
#: What no mask covers: it counts in unions, but has no IoU of its own.
BACKGROUND: Final = 0
#: Class numbers are below this; an answer's label beyond it is a class that no key knows.
MAX_CLASSES: Final = 65_536

LabelMap = NDArray[np.integer[Any]]


def miou(predictions: Sequence[LabelMap | None], references: Sequence[LabelMap]) -> MetricResult:
    """The mean IoU over the classes of the key, in percent, 0..100, higher is better.

    Items are label maps, integers [height, width]: 1 and up are classes, BACKGROUND 0 is what no
    mask covers, VOID -1 in the key is not counted at all. With two classes or more
    IoU_c = |pred = c and key = c| / |pred = c or key = c| over all pixels of the data set (the
    confusion matrix), and the value is the mean over the classes that occur in the key, background
    excepted; ``per_sample`` is None. Where the key has one class it is the mean over the images of
    the image's IoU, with ``per_sample`` [n]; 0/0, an image without the class on either side, is
    100. A missing item, and a map of another shape than the key's, is wrong in every pixel: it
    adds to the unions and never to an intersection, and an image's IoU is 0. Source: Everingham et
    al., The PASCAL Visual Object Classes Challenge, IJCV 2010, section 4.2.
    """
    counts = _Counts(predictions, references)
    classes = counts.classes[counts.classes > BACKGROUND]
    if len(classes) != 1:
        return counts.pooled(classes)
    column = int(np.searchsorted(counts.classes, classes[0]))
    shared, union = counts.shared[:, column], counts.union[:, column]
    samples = np.where(union > 0, shared / np.maximum(union, 1), 1.0)
    samples[counts.unanswered] = 0.0
    return mean_result(PERCENT * samples, int(counts.unanswered.sum()))


def miou_points(
    predictions: Sequence[LabelMap | None], references: Sequence[LabelMap]
) -> MetricResult:
    """The mean IoU over the classes of the key with all points pooled, in percent, 0..100.

    Items are labels, integers [p]; 0 is a class like every other, VOID -1 in the key is not
    counted. Formula and missing items as in :func:`miou`; always pooled, so ``per_sample`` is
    None. 0/0 cannot occur: each averaged class has points in the key.
    """
    counts = _Counts(predictions, references)
    return counts.pooled(counts.classes)


_Sparse = tuple[NDArray[np.int64], NDArray[np.int64]]


class _Counts:
    """What all items say about the classes of the key.

    ``classes`` int64 [c]; ``in_key``, ``shared`` and ``union`` int64 [n, c] are pixels;
    ``unanswered`` bool [n].
    """

    def __init__(
        self, predictions: Sequence[LabelMap | None], references: Sequence[LabelMap]
    ) -> None:
        n = check_items(predictions, references)
        self.unanswered = np.zeros(n, dtype=np.bool_)
        in_key: list[_Sparse] = []
        in_answer: list[_Sparse] = []
        in_both: list[_Sparse] = []
        for item, (found, key) in enumerate(zip(predictions, references, strict=True)):
            counted = key != VOID
            wanted = key[counted]
            if np.any(wanted < 0) or np.any(wanted >= MAX_CLASSES):
                raise ValueError(f"item {item}: a class of the key is out of range")
            in_key.append(_histogram(wanted))
            if found is None or found.shape != key.shape:
                self.unanswered[item] = True
                in_answer.append(_NOTHING)
                in_both.append(_NOTHING)
                continue
            given = found[counted]
            in_answer.append(_histogram(given[(given >= 0) & (given < MAX_CLASSES)]))
            in_both.append(_histogram(wanted[given == wanted]))
        self.classes = np.unique(np.concatenate([labels for labels, _ in in_key]))
        if len(self.classes) == 0:
            raise ValueError("the key holds no class")
        self.in_key = _columns(in_key, self.classes)
        self.shared = _columns(in_both, self.classes)
        self.union = self.in_key + _columns(in_answer, self.classes) - self.shared

    def pooled(self, classes: NDArray[np.int64]) -> MetricResult:
        """The mean over ``classes`` of the IoU over all items."""
        columns = np.searchsorted(self.classes, classes)
        shared, union = self.shared[:, columns], self.union[:, columns]
        in_key = self.in_key[:, columns]

        def value_of(chosen: NDArray[np.bool_]) -> float:
            present = in_key[chosen].sum(axis=0) > 0
            if not present.any():
                return np.nan
            ratio = shared[chosen].sum(axis=0)[present] / union[chosen].sum(axis=0)[present]
            return PERCENT * float(np.mean(ratio))

        return pooled_result(len(shared), int(self.unanswered.sum()), value_of)


_NOTHING: Final[_Sparse] = (np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))


def _histogram(labels: LabelMap) -> _Sparse:
    """The labels that occur, ascending, and how often; labels lie in 0..MAX_CLASSES."""
    counts = np.bincount(labels.reshape(-1))
    present = np.flatnonzero(counts)
    return present, counts[present]


def _columns(rows: Sequence[_Sparse], classes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The counts of ``classes`` [c] as int64 [n, c]; other labels are left out."""
    table = np.zeros((len(rows), len(classes)), dtype=np.int64)
    for row, (labels, counts) in enumerate(rows):
        known = np.isin(labels, classes)
        table[row, np.searchsorted(classes, labels[known])] = counts[known]
    return table
