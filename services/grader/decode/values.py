"""Structured answers as arrays: what metrics are made from, on the trusted side of the pipe.

Labels are texts as the lab wrote them. Boxes are x, y, width, height in pixels or, in space,
centre, extents in metres and yaw. All arrays are read-only views.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_Numbers = NDArray[np.float64]
_Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class BoxSet:
    """Detections: ``boxes`` [n, 4] or [n, 7], ``labels``, ``scores`` [n]."""

    boxes: _Numbers
    labels: Sequence[str]
    scores: _Numbers


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """Masks as COCO's runs: ``sizes`` int32 [n, 2] height and width, ``counts`` int32 [all runs],
    ``offsets`` int64 [n + 1] into them, from 0. The runs of a mask add up to its size."""

    sizes: NDArray[np.int32]
    counts: NDArray[np.int32]
    offsets: _Integers

    def __len__(self) -> int:
        return len(self.sizes)


@dataclass(frozen=True, slots=True, eq=False)
class MaskSet:
    """Segments: ``runs`` of n masks, ``labels``, ``scores`` [n], ``frames`` [n] for videos."""

    runs: Runs
    labels: Sequence[str]
    scores: _Numbers
    frames: _Integers


@dataclass(frozen=True, slots=True, eq=False)
class PanopticMap:
    """``pixels`` int32 [height, width] of segment numbers; ``segments`` [k] and their labels."""

    pixels: NDArray[np.int32]
    segments: _Integers
    labels: Sequence[str]


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """Objects ``boxes`` [n, 4] and ``labels``; ``edges`` [r, 2] are rows of subject and object."""

    boxes: _Numbers
    labels: Sequence[str]
    edges: _Integers
    predicates: Sequence[str]
    scores: _Numbers


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """One object over time, of a tube or a track: ``frames`` [t] ascending, and for each a box
    ([t, 4] or [t, 7]) or a mask. ``name`` is the track's, empty for a tube."""

    frames: _Integers
    boxes: _Numbers | None
    runs: Runs | None
    label: str
    score: float
    name: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class PersonSet:
    """People: ``points`` [all, 3] x, y, confidence; ``offsets`` [n + 1]; ``scores`` [n]."""

    points: _Numbers
    offsets: _Integers
    scores: _Numbers


@dataclass(frozen=True, slots=True, eq=False)
class NoteSet:
    """``onsets`` and ``durations`` [n], ``pitches`` and ``velocities`` [n] 0..127, ``parts``."""

    onsets: _Numbers
    durations: _Numbers
    pitches: _Integers
    velocities: _Integers
    parts: Sequence[str]


@dataclass(frozen=True, slots=True, eq=False)
class PointGroups:
    """Instances of a scene: ``instances`` int32 [points], -1 for none; ``labels``, ``scores``."""

    instances: NDArray[np.int32]
    labels: Sequence[str]
    scores: _Numbers


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """``samples`` float32 [samples, channels], ``rate`` in Hz."""

    samples: NDArray[np.float32]
    rate: int

    def mono(self) -> NDArray[np.float32]:
        """The mean of the channels, float32 [samples]."""
        channels = self.samples.shape[1]
        return self.samples[:, 0] if channels == 1 else self.samples.mean(axis=1, dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Video:
    """``frames`` uint8 [frames, height, width, 3], ``rate`` in frames per second, 0 unknown."""

    frames: NDArray[np.uint8]
    rate: float


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """``vertices`` float [v, 3], ``faces`` int32 [f, 3]."""

    vertices: NDArray[Any]
    faces: NDArray[np.int32]


def as_rgb(picture: NDArray[Any]) -> NDArray[np.uint8]:
    """Any picture that crosses as uint8 [height, width, 3]; 16 bits keep their upper 8."""
    eight = picture if picture.dtype == np.uint8 else (picture >> 8).astype(np.uint8)
    return np.repeat(eight[:, :, None], 3, axis=2) if eight.ndim == 2 else eight


def as_grey(picture: NDArray[Any]) -> NDArray[Any]:
    """Any picture that crosses as uint8 or uint16 [height, width].

    Colour becomes luma, 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), rounded.
    """
    if picture.ndim == 2:
        return picture
    red, green, blue = (picture[:, :, channel].astype(np.uint32) for channel in range(3))
    luma = (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16
    return luma.astype(np.uint8)
