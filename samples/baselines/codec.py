"""Any structured answer as a row of numbers, learned from examples, and the way back.

Numbers stay numbers, words become one column for each word that was seen at their place, a file
becomes what is in it, a list its length and as many places as the longest had. Nothing here knows
an answer kind, but that the classes of points are words in spite of being numbers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from general_level.catalogue import AnswerKind
from samples.baselines.columns import NUMBER_DIGITS
from samples.example import Answer, Bytes, Floats, Media, rounded
from samples.fields import (
    depth_png,
    flo,
    mask_runs,
    npy,
    off,
    read_depth_png,
    read_flo,
    read_mask_runs,
    read_npy,
    read_off,
    read_segments_png,
    segments_png,
)
from samples.media import distinct, gif, png, read_gif, read_png, read_wav, read_xyz, wav, xyz


class Uneven(ValueError):
    """The training answers have no common structure."""


class Part(ABC):
    """One place of an answer and its columns."""

    width: int

    @abstractmethod
    def row(self, value: Any) -> Floats:
        """The columns of a value; NaN where it says nothing."""

    @abstractmethod
    def value(self, row: Floats) -> Any:
        """The value that columns stand for."""


@dataclass
class _Constant(Part):
    known: Any
    width: int = 0

    def row(self, value: Any) -> Floats:  # noqa: ARG002 - it is always the same
        return np.zeros(0)

    def value(self, row: Floats) -> Any:  # noqa: ARG002
        return self.known


@dataclass
class _Number(Part):
    whole: bool
    least: float  # the smallest that was seen: no negative width is made up
    width: int = 1

    def row(self, value: Any) -> Floats:
        return np.array([value], dtype=np.float64)

    def value(self, row: Floats) -> Any:
        number = max(float(row[0]), self.least)
        return round(number) if self.whole else rounded([number], NUMBER_DIGITS)[0]


class _Word(Part):
    def __init__(self, values: Sequence[Any]) -> None:
        self._words = sorted(set(values))
        self.width = len(self._words)

    def row(self, value: Any) -> Floats:
        return np.array([word == value for word in self._words], dtype=np.float64)

    def value(self, row: Floats) -> Any:
        return self._words[int(np.argmax(row))]


class _Array(Part):
    """What a file or a mask holds, where it has one shape in all training answers."""

    def __init__(
        self, values: Sequence[Any], read: Callable[[Any], Any], write: Callable[[Any], Any]
    ) -> None:
        shapes = {np.shape(read(value)) for value in values}
        if len(shapes) != 1:
            raise Uneven
        (self._shape,) = shapes
        self._read, self._write = read, write
        self.width = int(np.prod(self._shape))

    def row(self, value: Any) -> Floats:
        return np.asarray(self._read(value), dtype=np.float64).ravel()

    def value(self, row: Floats) -> Any:
        return self._write(row.reshape(self._shape))


class _Fields(Part):
    """An object; lists in it that were always of one length stay so."""

    def __init__(self, parts: dict[str, Part], values: Sequence[dict[str, Any]]) -> None:
        self._parts = parts
        self.width = sum(part.width for part in parts.values())
        lists = [name for name, part in parts.items() if isinstance(part, _List)]
        even = all(len({len(value[name]) for name in lists}) == 1 for value in values)
        self._even = lists if even else []

    def row(self, value: Any) -> Floats:
        return np.concatenate([part.row(value[name]) for name, part in self._parts.items()])

    def value(self, row: Floats) -> Any:
        found = dict(zip(self._parts, _values(list(self._parts.values()), row), strict=True))
        length = min((len(found[name]) for name in self._even), default=0)
        return found | {name: found[name][:length] for name in self._even}


class _List(Part):
    """A list; whole numbers that always ascended do so."""

    def __init__(self, parts: Sequence[Part], values: Sequence[list[Any]]) -> None:
        self._parts = parts
        self._shortest = min(map(len, values))
        self.width = 1 + sum(part.width for part in parts)
        self._ascends = all(
            isinstance(b, int) and a < b for value in values for a, b in pairwise(value)
        )

    def row(self, value: Any) -> Floats:
        places = [
            part.row(value[at]) if at < len(value) else np.full(part.width, np.nan)
            for at, part in enumerate(self._parts)
        ]
        return np.concatenate([[float(len(value))], *places])

    def value(self, row: Floats) -> Any:
        length = int(np.clip(np.round(row[0]), self._shortest, len(self._parts)))
        found = _values(self._parts, row[1:])[:length]
        if self._ascends:
            for at in range(1, length):
                found[at] = max(found[at], found[at - 1] + 1)
        return found


def _values(parts: Sequence[Part], row: Floats) -> list[Any]:
    ends = np.cumsum([part.width for part in parts])
    return [
        part.value(columns) for part, columns in zip(parts, np.split(row, ends[:-1]), strict=True)
    ]


def _levels(values: Floats) -> Bytes:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def _file(values: Sequence[Media], kind: AnswerKind) -> Part:
    ending = values[0].ending
    readers: dict[str, tuple[Callable[[bytes], Any], Callable[[Any], bytes]]] = {
        ".png": (read_png, lambda picture: png(_levels(picture))),
        ".gif": (read_gif, lambda frames: gif(distinct(_levels(frames)))),
        ".wav": (read_wav, wav),
        ".xyz": (read_xyz, xyz),
        ".flo": (read_flo, flo),
        ".npy": (read_npy, npy),
    }
    if kind is AnswerKind.DEPTH:
        readers[".png"] = read_depth_png, depth_png
    elif kind is AnswerKind.PANOPTIC:
        readers[".png"] = read_segments_png, lambda numbers: segments_png(_levels(numbers))
    elif kind is AnswerKind.MESH:
        faces = read_off(values[0].content)[1]
        if any(not np.array_equal(read_off(value.content)[1], faces) for value in values):
            raise Uneven
        readers[".off"] = lambda data: read_off(data)[0], lambda vertices: off(vertices, faces)
    read, write = readers[ending]
    return _Array(
        values, lambda media: read(media.content), lambda array: Media(write(array), ending)
    )


def _mask(values: Sequence[Any]) -> Part:
    return _Array(values, read_mask_runs, lambda share: mask_runs(share > 0.5))


def _part(values: Sequence[Any], kind: AnswerKind) -> Part:
    first = values[0]
    if isinstance(first, Media):
        return _file(values, kind)
    if isinstance(first, dict) and first.keys() == {"size", "counts"}:
        return _mask(values)
    if isinstance(first, dict):
        parts = {name: _part([value[name] for value in values], kind) for name in first}
        return _Fields(parts, values)
    if isinstance(first, list):
        longest = max(map(len, values))
        places = [[value[at] for value in values if len(value) > at] for at in range(longest)]
        return _List([_part(place, kind) for place in places], values)
    return _leaf(values, kind)


def _leaf(values: Sequence[Any], kind: AnswerKind) -> Part:
    if len(set(values)) == 1:
        return _Constant(values[0])
    if isinstance(values[0], str) or kind is AnswerKind.POINT_LABELS:
        return _Word(values)
    return _Number(all(isinstance(value, int) for value in values), float(min(values)))


class Codec:
    """The columns of one task's answers, scaled to one spread.

    Raises Uneven where the answers have no common structure.
    """

    def __init__(self, kind: AnswerKind, answers: Sequence[Answer]) -> None:
        self._part = _part(answers, kind)
        rows = np.stack([self._part.row(answer) for answer in answers])
        self._mean = np.nanmean(rows, axis=0)
        spread = np.nanstd(rows, axis=0)
        self._spread = np.where(spread > 0, spread, 1.0)

    def rows(self, answers: Sequence[Answer]) -> Floats:
        """Answers of the structure, [n, width]; what an answer does not say is the mean."""
        rows = np.stack([self._part.row(answer) for answer in answers])
        return np.asarray(np.nan_to_num((rows - self._mean) / self._spread))

    def answers(self, rows: Floats) -> list[Answer]:
        """The answers that predicted rows [n, width] stand for."""
        return [self._part.value(row) for row in rows * self._spread + self._mean]
