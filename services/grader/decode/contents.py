"""What is inside media answers, as parts: one frame for each file, and which parts make an item.

    parts (final frame)   values.parts int64 [all], values.groups int64 [n + 1] over them
    image                 pixels uint8 or uint16 [height, width], or uint8 [height, width, 3]
    video                 frames uint8 [frames, height, width, 3], rate float64 []
    audio                 samples float32 [samples, channels], rate int64 []
    flow, depth           flow [height, width, 2], depth [height, width], floats; one part or one
                          for each frame, or [frames, …] in one part
    normals, point-cloud  normals, points: floats [points, 3]
    mesh                  vertices floats [v, 3], faces int32 [f, 3]
    motion                motion floats [frames, features] or [frames, joints, 3]
    point-labels          classes int32 [points]; or instances int32 [points], scores, labels (text)
    panoptic              pixels int32 [height, width]; in the final frame values.segments int64,
                          values.segment_groups int64 [n + 1] and values.labels (text)

Floats are float32 or float64. The unpacking side checks everything again.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from general_level.catalogue.model import AnswerKind
from services.grader.decode.frames import Arrays, FrameInvalid, array
from services.grader.decode.strings import check_offsets, groups_of, pack_strings, unpack_strings
from services.grader.decode.values import Mesh, PanopticMap, PointGroups, Sound, Video

if TYPE_CHECKING:
    # Types only: the scorer imports this module and must not import the checker with it.
    from general_level.submission import answers


@dataclass(frozen=True, slots=True)
class Content:
    """An item inside the box: the numbers of its parts, and the answer that names them."""

    parts: Sequence[int]
    value: Any


def _require(condition: object) -> None:
    if not condition:
        raise FrameInvalid("a part of another type or shape than its kind has")


def _of(arrays: Arrays, name: str, dtypes: str, *shape: int | None) -> NDArray[Any]:
    """An array of one of the types and of this shape, None for any side of at least 1."""
    found = arrays.get(name)
    if found is None:
        raise FrameInvalid("an expected array is absent or of another type")
    _require(found.dtype.str.lstrip("<|") in dtypes.split() and found.ndim == len(shape))
    _require(all(side >= 1 for side in found.shape))
    wanted = zip(found.shape, shape, strict=True)
    _require(all(want in (None, side) for side, want in wanted))
    return found


def _scalar(arrays: Arrays, name: str, dtype: str) -> Any:
    return array(arrays, name, dtype, 0).item()


def _image(arrays: Arrays) -> NDArray[Any]:
    deep = arrays["pixels"].ndim if "pixels" in arrays else 0
    if deep == 3:
        return _of(arrays, "pixels", "u1", None, None, 3)
    return _of(arrays, "pixels", "u1 u2", None, None)


def _video(arrays: Arrays) -> Video:
    frames = _of(arrays, "frames", "u1", None, None, None, 3)
    rate = _scalar(arrays, "rate", "<f8")
    _require(rate >= 0)
    return Video(frames, rate)


def _sound(arrays: Arrays) -> Sound:
    rate = _scalar(arrays, "rate", "<i8")
    _require(rate > 0)
    return Sound(_of(arrays, "samples", "f4", None, None), rate)


def _mesh(arrays: Arrays) -> Mesh:
    vertices = _of(arrays, "vertices", "f4 f8", None, 3)
    faces = _of(arrays, "faces", "i4", None, 3)
    _require(faces.min() >= 0 and faces.max() < len(vertices))
    return Mesh(vertices, faces)


def _motion(arrays: Arrays) -> NDArray[Any]:
    if "motion" in arrays and arrays["motion"].ndim == 3:
        return _of(arrays, "motion", "f4 f8", None, None, 3)
    return _of(arrays, "motion", "f4 f8", None, None)


def _point_labels(arrays: Arrays) -> NDArray[Any] | PointGroups:
    if "classes" in arrays:
        return _of(arrays, "classes", "i4", None)
    instances = _of(arrays, "instances", "i4", None)
    scores = array(arrays, "scores", "<f8")
    labels = unpack_strings(arrays, "labels", len(scores))
    _require(len(labels) == len(scores))
    _require(instances.min() >= -1 and instances.max() < len(labels))
    return PointGroups(instances, labels, scores)


def _frame_of(name: str, *tail: int) -> Callable[[Arrays], NDArray[Any]]:
    def one(arrays: Arrays) -> NDArray[Any]:
        if name in arrays and arrays[name].ndim == 3 + len(tail):
            return _of(arrays, name, "f4 f8", None, None, None, *tail)
        return _of(arrays, name, "f4 f8", None, None, *tail)

    return one


#: Kinds of which one item may be several files, and how many dimensions one frame has.
FRAMED: Final[Mapping[AnswerKind, int]] = {AnswerKind.FLOW: 3, AnswerKind.DEPTH: 2}

_VALUES: Final[Mapping[AnswerKind, Callable[[Arrays], Any]]] = {
    AnswerKind.IMAGE: _image,
    AnswerKind.VIDEO: _video,
    AnswerKind.AUDIO: _sound,
    AnswerKind.FLOW: _frame_of("flow", 2),
    AnswerKind.DEPTH: _frame_of("depth"),
    AnswerKind.NORMALS: lambda arrays: _of(arrays, "normals", "f4 f8", None, 3),
    AnswerKind.POINT_CLOUD: lambda arrays: _of(arrays, "points", "f4 f8", None, 3),
    AnswerKind.MESH: _mesh,
    AnswerKind.MOTION: _motion,
    AnswerKind.POINT_LABELS: _point_labels,
    AnswerKind.PANOPTIC: lambda arrays: _of(arrays, "pixels", "i4", None, None),
}

#: The kinds whose answers cross as parts.
CONTENT_KINDS: Final = frozenset(_VALUES)


def pack_contents(kind: AnswerKind, values: Sequence[Content]) -> dict[str, NDArray[Any]]:
    """The final frame's columns of items whose parts have been sent."""
    packed: dict[str, NDArray[Any]] = {
        "values.parts": np.array([part for value in values for part in value.parts], np.int64),
        "values.groups": groups_of([value.parts for value in values]),
    }
    if kind is AnswerKind.PANOPTIC:
        maps: list[answers.Panoptic] = [value.value for value in values]
        segments = [segment for found in maps for segment in found.segments]
        packed["values.segments"] = np.array([one.segment for one in segments], np.int64)
        packed["values.segment_groups"] = groups_of([found.segments for found in maps])
        packed |= pack_strings("values.labels", [one.label for one in segments])
    return packed


def unpack_contents(
    kind: AnswerKind, arrays: Arrays, parts: Sequence[Arrays], max_count: int
) -> list[Any]:
    """Per item what :data:`_VALUES` makes of its part, frames stacked; see ``values``."""
    numbers = array(arrays, "values.parts", "<i8")
    groups = array(arrays, "values.groups", "<i8")
    check_offsets(groups, len(numbers), max_count)
    if numbers.size:
        _require(numbers.min() >= 0 and numbers.max() < len(parts))
    values = [
        assemble(kind, [parts[number] for number in numbers[a:b].tolist()])
        for a, b in itertools.pairwise(groups.tolist())
    ]
    return _with_segments(arrays, values) if kind is AnswerKind.PANOPTIC else values


def assemble(kind: AnswerKind, parts: Sequence[Arrays]) -> Any:
    """One item from its parts, frames stacked; FrameInvalid where they are not of its kind.

    Of a panoptic picture the pixels alone: its segments are not in a part.
    """
    _require(len(parts) == 1 or (kind in FRAMED and parts))
    found = [_VALUES[kind](part) for part in parts]
    return found[0] if len(found) == 1 else _stacked(found, FRAMED[kind])


def with_segments(pixels: NDArray[np.int32], value: answers.Panoptic) -> PanopticMap:
    """A panoptic picture with the segments that its answer names."""
    numbers = np.array([one.segment for one in value.segments], np.int64)
    return PanopticMap(pixels, numbers, [one.label for one in value.segments])


def _stacked(frames: list[NDArray[Any]], dimensions: int) -> NDArray[Any]:
    _require(all(frame.ndim == dimensions for frame in frames))
    _require(len({frame.shape for frame in frames}) == 1)
    return np.stack(frames)


def _with_segments(arrays: Arrays, values: list[Any]) -> list[Any]:
    segments = array(arrays, "values.segments", "<i8")
    groups = array(arrays, "values.segment_groups", "<i8")
    check_offsets(groups, len(segments), len(values))
    labels = unpack_strings(arrays, "values.labels", len(segments))
    _require(len(labels) == len(segments) and len(groups) == len(values) + 1)
    maps: list[Any] = []
    for pixels, (a, b) in zip(values, itertools.pairwise(groups.tolist()), strict=True):
        _require((segments[a:b] >= 0).all() and len(set(segments[a:b].tolist())) == b - a)
        maps.append(PanopticMap(pixels, segments[a:b], labels[a:b]))
    return maps
