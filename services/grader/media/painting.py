"""From runs to what metrics look at: masks of one size, regions, label maps, boxes.

Runs cost nothing whatever size they claim; pixels do. So pixels are made of masks that have the
size of the key's only, and of many masks at once: an answer may hold thousands of them, and each
one painted by itself would cost a whole picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.grader.decode.values import Runs
from services.grader.metrics.segmentation.overlap import Region
from services.grader.metrics.segmentation.runs import RunLengths, Spans

Size = tuple[int, int]


def fitted(runs: Runs, size: Size) -> RunLengths | None:
    """Masks as those of a picture of ``size`` (height, width); None where one has another size."""
    if np.any(runs.sizes != size):
        return None
    return RunLengths(size, runs.counts, runs.offsets)


def joined(size: Size, parts: Sequence[RunLengths]) -> RunLengths:
    """The masks of pictures of one size, one after another."""
    counts = [np.zeros(0, np.int32), *(part.counts for part in parts)]
    lengths = [np.zeros(1, np.int64), *(np.diff(part.offsets) for part in parts)]
    return RunLengths(size, np.concatenate(counts), np.cumsum(np.concatenate(lengths)))


class _Layer(NamedTuple):
    """A picture column by column: position ``starts[i]`` and those after it have ``values[i]``.

    The first start is 0, and a value of 0 lets what lies below be seen.
    """

    starts: NDArray[np.int64]
    values: NDArray[np.int32]

    @classmethod
    def of(cls, spans: Spans, value: int) -> _Layer:
        starts = np.stack((spans.starts, spans.ends), axis=1).reshape(-1)
        values = np.tile(np.array([value, 0], np.int32), len(spans.starts))
        if len(starts) and starts[0] == 0:
            return cls(starts, values)
        return cls(np.concatenate(([0], starts)), np.concatenate((_CLEAR, values)))

    def under(self, above: _Layer) -> _Layer:
        """Both in one."""
        starts = np.concatenate((self.starts, above.starts))
        order = np.argsort(starts, kind="stable")  # merges what is sorted already
        from_above = order >= len(self.starts)
        starts = starts[order]
        top = above.values[np.cumsum(from_above) - 1]
        low = self.values[np.cumsum(~from_above) - 1]
        # Of equal starts, 0 among them, the last one knows both sides.
        last = np.concatenate((starts[1:] != starts[:-1], [True]))
        return _Layer(starts[last], np.where(top != 0, top, low)[last])


_CLEAR = np.zeros(1, np.int32)


def label_map(masks: RunLengths, values: NDArray[np.int64]) -> NDArray[np.int32]:
    """A picture int32 [height, width] of masks painted in their order, 0 where there is none.

    ``values`` [n], none of them 0, are the masks' colours; where masks overlap the last is seen.
    """
    layers = [_Layer.of(*pair) for pair in zip(masks, values.tolist(), strict=True)]
    while len(layers) > 1:
        pairs = zip_longest(layers[0::2], layers[1::2])
        layers = [low if top is None else low.under(top) for low, top in pairs]
    height, width = masks.size
    starts, colours = layers[0] if layers else (np.zeros(1, np.int64), _CLEAR)
    lengths = np.diff(np.concatenate((starts, [height * width])))
    return np.asarray(np.repeat(colours, lengths).reshape(width, height).T)


def frames_of(region: Region, count: int) -> NDArray[np.bool_]:
    """A region as the first ``count`` frames of a video, bool [count, height, width]."""
    height, width = region.masks.size
    inside = np.flatnonzero(region.frames < count)
    spans = Region(region.masks.take(inside), region.frames[inside]).spans()
    edges = np.stack((spans.starts, spans.ends), axis=1).reshape(-1)
    lengths = np.diff(np.concatenate(([0], edges, [count * height * width])))
    painted = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    return np.asarray(painted.reshape(count, width, height).transpose(0, 2, 1))


def bounding_boxes(runs: Runs) -> NDArray[np.float64]:
    """The smallest box of whole pixels around each mask, float64 [n, 4]; all 0 for an empty one.

    From the runs alone, which go column by column: a run that reaches the next column touches the
    lowest and the highest row.
    """
    count = len(runs)
    boxes = np.zeros((count, 4))
    lengths = np.diff(runs.offsets)
    mask = np.repeat(np.arange(count), lengths)
    place = np.arange(len(runs.counts)) - np.repeat(runs.offsets[:-1], lengths)
    total = np.concatenate(([0], np.cumsum(runs.counts, dtype=np.int64)))
    first = total[:-1] - np.repeat(total[runs.offsets[:-1]], lengths)
    filled = (place % 2 == 1) & (runs.counts > 0)
    mask, first = mask[filled], first[filled]
    if len(mask) == 0:
        return boxes
    last = first + runs.counts[filled] - 1
    height = runs.sizes[mask, 0].astype(np.int64)
    left, right = first // height, last // height
    top = np.where(left == right, first % height, 0)
    bottom = np.where(left == right, last % height, height - 1)
    owners, starts = np.unique(mask, return_index=True)

    def bound(extreme: np.ufunc, values: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(extreme.reduceat(values, starts))

    corner = np.stack((bound(np.minimum, left), bound(np.minimum, top)), axis=1)
    end = np.stack((bound(np.maximum, right), bound(np.maximum, bottom)), axis=1)
    boxes[owners] = np.concatenate((corner, end + 1 - corner), axis=1)
    return boxes
