"""Masks as runs of pixels, measured without ever painting them.

COCO's run-length encoding walks a picture column by column and counts runs of zeros and ones in
turn, zeros first. As the pixels of a mask are intervals on that walk, an intersection is the
length that two sets of intervals share: its cost depends on the number of runs, not on the
picture's size, so a hostile size costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.grader.metrics.media_items import ranges

#: Spans of all pairs that are looked at together, about: bounds the memory of many large masks.
_SPANS_AT_ONCE: Final = 1 << 20


class Spans(NamedTuple):
    """A set of positions as intervals [start, end), int64 each, ascending, none touching."""

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    @property
    def covered(self) -> int:
        """How many positions it holds."""
        return int((self.ends - self.starts).sum())


class Walk(NamedTuple):
    """The pixels of several masks of one size on one walk, mask after mask, column by column.

    Position p of mask i is i * ``pixels`` + p there. The spans are not empty, but may touch;
    ``first`` int64 [n + 1] is where each mask's begin.
    """

    spans: Spans
    first: NDArray[np.int64]
    pixels: int

    def areas(self) -> NDArray[np.int64]:
        """The number of pixels of each mask, int64 [n]."""
        before = np.concatenate(([0], np.cumsum(self.spans.ends - self.spans.starts)))
        return np.diff(before[self.first])

    def reach(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where each mask begins and ends, counted from its own first pixel; int64 [n] each.

        Both are 0 for a mask without pixels.
        """
        begins, ends = np.zeros((2, len(self.first) - 1), dtype=np.int64)
        some = np.flatnonzero(np.diff(self.first))
        begins[some] = self.spans.starts[self.first[some]] - some * self.pixels
        ends[some] = self.spans.ends[self.first[some + 1] - 1] - some * self.pixels
        return begins, ends


@dataclass(frozen=True, slots=True)
class RunLengths:
    """The masks of one picture, or of the frames of one video.

    ``size`` is (height, width) in pixels; ``counts`` integers hold the runs of all masks one after
    another, ``offsets`` int64 [n + 1] where each mask's runs begin.
    """

    size: tuple[int, int]
    counts: NDArray[np.integer[Any]]
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

    def walk(self) -> Walk:
        """All masks on one long walk."""
        begins = np.repeat(self.offsets[:-1], np.diff(self.offsets))
        second = (np.arange(len(self.counts)) - begins) % 2 == 1
        filled = np.flatnonzero(second & (self.counts > 0))
        ends = np.cumsum(self.counts, dtype=np.int64)[filled]
        starts = ends - self.counts[filled].astype(np.int64)
        first = np.searchsorted(filled, self.offsets)
        return Walk(Spans(starts, ends), first, self.size[0] * self.size[1])

    def areas(self) -> NDArray[np.int64]:
        """The number of pixels of each mask, int64 [n]."""
        return self.walk().areas()

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


def intersections(
    left: Walk, right: Walk, rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> NDArray[np.int64]:
    """How many pixels mask ``rows[i]`` of ``left`` shares with ``columns[i]`` of ``right``.

    int64 [pairs]; the masks of both sides have one size.
    """
    result = np.zeros(len(rows), dtype=np.int64)
    (begins, ends), (other_begins, other_ends) = left.reach(), right.reach()
    near = (begins[rows] < other_ends[columns]) & (other_begins[columns] < ends[rows])
    pairs = np.flatnonzero(near)
    sizes = np.diff(left.first)[rows[pairs]]
    cuts = np.arange(_SPANS_AT_ONCE, sizes.sum(), _SPANS_AT_ONCE)
    for part in np.split(np.arange(len(pairs)), np.searchsorted(np.cumsum(sizes), cuts)):
        row, column, size = rows[pairs[part]], columns[pairs[part]], sizes[part]
        spans = ranges(left.first[row], size)
        shift = np.repeat((column - row) * left.pixels, size)
        inside = _covered_below(right.spans, left.spans.ends[spans] + shift)
        inside -= _covered_below(right.spans, left.spans.starts[spans] + shift)
        before = np.concatenate(([0], np.cumsum(inside)))
        last = np.cumsum(size)
        result[pairs[part]] = before[last] - before[last - size]
    return result


def _covered_below(spans: Spans, positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each position how many of the spans' positions are smaller, int64 [n]."""
    if len(spans.starts) == 0:
        return np.zeros(len(positions), dtype=np.int64)
    before = np.concatenate(([0], np.cumsum(spans.ends - spans.starts)))
    place = np.searchsorted(spans.starts, positions, side="right")
    beyond = np.maximum(spans.ends[place - 1] - positions, 0)
    return np.asarray(np.where(place > 0, before[place] - beyond, 0), dtype=np.int64)
