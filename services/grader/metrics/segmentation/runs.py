"""Masks as runs of pixels, measured without ever painting them.

COCO's run-length encoding walks a picture column by column and counts runs of zeros and ones in
turn, zeros first. As the pixels of a mask are intervals on that walk, an intersection is the
length that two sets of intervals share: its cost depends on the number of runs, not on the
picture's size, so a hostile size costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Spans(NamedTuple):
    """A set of positions as intervals [start, end), int64 each, ascending, none touching."""

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    @property
    def covered(self) -> int:
        """How many positions it holds."""
        return int((self.ends - self.starts).sum())


@dataclass(frozen=True, slots=True)
class RunLengths:
    """The masks of one picture, or of the frames of one video.

    ``size`` is (height, width) in pixels; ``counts`` int64 holds the runs of all masks one after
    another, ``offsets`` int64 [n + 1] where each mask's runs begin.
    """

    size: tuple[int, int]
    counts: NDArray[np.int64]
    offsets: NDArray[np.int64]

    def __post_init__(self) -> None:
        pixels = self.size[0] * self.size[1]
        offsets = self.offsets
        if len(offsets) == 0 or offsets[0] != 0 or offsets[-1] != len(self.counts):
            raise ValueError("offsets rise from zero to the number of runs")
        if np.any(np.diff(offsets) < 0) or np.any(self.counts < 0) or np.any(self.counts > pixels):
            raise ValueError("runs are counts of pixels")
        total = np.concatenate(([0], np.cumsum(self.counts)))[offsets]
        if np.any(np.diff(total) != pixels):
            raise ValueError("the runs of a mask cover its picture exactly")

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __iter__(self) -> Iterator[Spans]:
        return (self.spans(mask) for mask in range(len(self)))

    def spans(self, mask: int) -> Spans:
        """The pixels of one mask, column by column."""
        bounds = np.cumsum(self.counts[self.offsets[mask] : self.offsets[mask + 1]])
        ends = bounds[1::2]
        return union(bounds[0::2][: len(ends)], ends)

    def areas(self) -> NDArray[np.int64]:
        """The number of pixels of each mask, int64 [n]."""
        return np.array([spans.covered for spans in self], dtype=np.int64)

    def take(self, masks: NDArray[np.int64]) -> RunLengths:
        """Some of the masks, in the given order."""
        runs = [self.counts[self.offsets[mask] : self.offsets[mask + 1]] for mask in masks.tolist()]
        offsets = np.zeros(len(runs) + 1, dtype=np.int64)
        np.cumsum([len(run) for run in runs], out=offsets[1:])
        return RunLengths(
            self.size, np.concatenate(runs) if runs else np.zeros(0, dtype=np.int64), offsets
        )

    def dense(self) -> NDArray[np.bool_]:
        """The masks as pixels, bool [n, height, width]; for pictures of a checked size only."""
        height, width = self.size
        painted = np.zeros((len(self), width * height), dtype=np.bool_)
        for mask, (starts, ends) in enumerate(self):
            for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
                painted[mask, start:end] = True
        return painted.reshape(len(self), width, height).transpose(0, 2, 1)


def run_lengths(masks: NDArray[np.bool_]) -> RunLengths:
    """The runs of masks bool [n, height, width]."""
    n, height, width = masks.shape
    runs: list[NDArray[np.int64]] = []
    for mask in masks:
        flat = np.concatenate(([False], mask.T.reshape(-1)))
        changes = np.flatnonzero(flat[1:] != flat[:-1])
        runs.append(np.diff(np.concatenate(([0], changes, [height * width]))))
    offsets = np.zeros(n + 1, dtype=np.int64)
    np.cumsum([len(run) for run in runs], out=offsets[1:])
    counts = np.concatenate(runs) if runs else np.zeros(0, dtype=np.int64)
    return RunLengths((height, width), counts.astype(np.int64), offsets)


def union(starts: NDArray[np.int64], ends: NDArray[np.int64]) -> Spans:
    """The positions that lie in any of the intervals, which may overlap and come in any order."""
    filled = ends > starts
    starts, ends = starts[filled], ends[filled]
    if len(starts) == 0:
        return Spans(starts, ends)
    order = np.argsort(starts, kind="stable")
    starts, reach = starts[order], np.maximum.accumulate(ends[order])
    first = np.concatenate(([True], starts[1:] > reach[:-1]))
    last = np.concatenate((first[1:], [True]))
    return Spans(starts[first], reach[last])


def shared(left: Spans, right: Spans) -> int:
    """How many positions lie in both."""
    return int(_covered_below(right, left.ends).sum() - _covered_below(right, left.starts).sum())


def intersections(left: RunLengths, right: RunLengths) -> NDArray[np.int64]:
    """How many pixels each mask of ``left`` shares with each of ``right``, int64 [n, m]."""
    mine = list(left)
    starts = np.concatenate([spans.starts for spans in mine] or [np.zeros(0, dtype=np.int64)])
    ends = np.concatenate([spans.ends for spans in mine] or [np.zeros(0, dtype=np.int64)])
    owner = np.repeat(np.arange(len(mine)), [len(spans.starts) for spans in mine])
    result = np.zeros((len(left), len(right)), dtype=np.int64)
    for column, other in enumerate(right):
        inside = _covered_below(other, ends) - _covered_below(other, starts)
        np.add.at(result[:, column], owner, inside)
    return result


def _covered_below(spans: Spans, positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each position how many of the spans' positions are smaller, int64 [n]."""
    if len(spans.starts) == 0:
        return np.zeros(len(positions), dtype=np.int64)
    before = np.concatenate(([0], np.cumsum(spans.ends - spans.starts)))
    place = np.searchsorted(spans.starts, positions, side="right")
    beyond = np.maximum(spans.ends[place - 1] - positions, 0)
    return np.asarray(np.where(place > 0, before[place] - beyond, 0), dtype=np.int64)
