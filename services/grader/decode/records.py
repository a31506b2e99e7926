"""Structured answers as columns, and back. ``values.groups`` int64 [n + 1] divides them by item.

    boxes         boxes float64 [all, 4 or 7], labels (text), scores float64 [all]
    masks         runs of all masks, labels, scores, frames int64 [all]
    scene graphs  boxes, labels; edge_groups int64 [n + 1], edges int64 [e, 2], predicates, scores
    tubes         frames int64 [f], frame_groups int64 [paths + 1], boxes [f, 4], labels, scores
    tracks        as tubes, names (text), masked uint8 [paths], runs of the masked paths' frames
    key points    points float64 [p, 3], point_groups int64 [people + 1], scores
    trajectories  poses float64 [f, 12]
    piano rolls   times float64 [all, 2] onset and duration, keys int64 [all, 2], parts (text)

Runs are ``sizes`` int32 [masks, 2], ``counts`` int32 [runs] and ``count_groups`` int64 [masks + 1].
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from general_level.catalogue.limits import MAX_NUMBER_MAGNITUDE
from services.grader.decode.frames import Arrays, FrameInvalid, array
from services.grader.decode.limits import MAX_MASK_PIXELS
from services.grader.decode.rle import decode_counts
from services.grader.decode.strings import check_offsets, groups_of, pack_strings, unpack_strings
from services.grader.decode.values import (
    BoxSet,
    Graph,
    MaskSet,
    NoteSet,
    Path,
    PersonSet,
    Runs,
)

if TYPE_CHECKING:
    # Types only: the scorer imports this module and must not import the checker with it.
    from general_level.submission import answers

Columns = dict[str, NDArray[Any]]

FLAT_BOX: Final = 4
SOLID_BOX: Final = 7
_MAX_MIDI: Final = 127


def _require(condition: object) -> None:
    if not condition:
        raise FrameInvalid("columns that contradict one another")


def _flat(values: Iterable[Sequence[Any]]) -> list[Any]:
    return list(itertools.chain.from_iterable(values))


def _floats(rows: Sequence[Any], *shape: int) -> NDArray[np.float64]:
    return np.array(rows, dtype=np.float64).reshape(-1, *shape)


def _integers(rows: Sequence[Any], *shape: int) -> NDArray[np.int64]:
    return np.array(rows, dtype=np.int64).reshape(-1, *shape)


def _numbers(arrays: Arrays, name: str, count: int | None, *shape: int) -> NDArray[Any]:
    """A float column [count, *shape] of plausible numbers."""
    found = array(arrays, f"values.{name}", "<f8", 1 + len(shape))
    _require(found.shape[1:] == shape and count in (None, len(found)))
    _require((np.abs(found) <= MAX_NUMBER_MAGNITUDE).all())
    return found


def _whole(arrays: Arrays, name: str, count: int | None, *shape: int) -> NDArray[Any]:
    """An integer column [count, *shape], nothing below zero."""
    found = array(arrays, f"values.{name}", "<i8", 1 + len(shape))
    _require(found.shape[1:] == shape and count in (None, len(found)))
    _require((found >= 0).all())
    return found


def _labels(arrays: Arrays, name: str, count: int) -> list[str]:
    found = unpack_strings(arrays, f"values.{name}", count)
    _require(len(found) == count)
    return found


def _bounds(arrays: Arrays, name: str, total: int, max_count: int) -> list[tuple[int, int]]:
    offsets = array(arrays, f"values.{name}", "<i8")
    check_offsets(offsets, total, max_count)
    return list(itertools.pairwise(offsets.tolist()))


# Boxes


def pack_boxes(values: Sequence[Sequence[answers.Box | answers.Box3D]], width: int) -> Columns:
    flat = _flat(values)
    return {
        "values.groups": groups_of(values),
        "values.boxes": _floats([found.box for found in flat], width),
        "values.scores": _floats([found.score for found in flat]),
        **pack_strings("values.labels", [found.label for found in flat]),
    }


def unpack_boxes(arrays: Arrays, max_count: int, width: int) -> list[BoxSet]:
    boxes = _numbers(arrays, "boxes", None, width)
    scores = _numbers(arrays, "scores", len(boxes))
    labels = _labels(arrays, "labels", len(boxes))
    return [
        BoxSet(boxes[a:b], labels[a:b], scores[a:b])
        for a, b in _bounds(arrays, "groups", len(boxes), max_count)
    ]


# Masks


def runs_of(masks: Sequence[answers.Rle]) -> Runs | None:
    """The masks' runs; None where one covers more pixels than a mask may."""
    counts: list[NDArray[np.int32]] = []
    for mask in masks:
        pixels = mask.size[0] * mask.size[1]
        runs = decode_counts(mask.counts, pixels) if pixels <= MAX_MASK_PIXELS else None
        if runs is None:
            return None
        counts.append(runs)
    sizes = np.array([mask.size for mask in masks], dtype=np.int32).reshape(-1, 2)
    flat = np.concatenate(counts) if counts else np.empty(0, np.int32)
    return Runs(sizes, flat, groups_of(counts))


def _pack_runs(parts: Sequence[Runs]) -> Columns:
    sizes = [part.sizes for part in parts] or [np.empty((0, 2), np.int32)]
    counts = [part.counts for part in parts] or [np.empty(0, np.int32)]
    lengths = [np.diff(part.offsets) for part in parts] or [np.empty(0, np.int64)]
    return {
        "values.sizes": np.concatenate(sizes),
        "values.counts": np.concatenate(counts),
        "values.count_groups": np.concatenate(([0], np.cumsum(np.concatenate(lengths)))).astype(
            np.int64
        ),
    }


def _unpack_runs(arrays: Arrays, masks: int) -> Runs:
    sizes = array(arrays, "values.sizes", "<i4", 2)
    counts = array(arrays, "values.counts", "<i4")
    offsets = array(arrays, "values.count_groups", "<i8")
    check_offsets(offsets, len(counts), masks)
    _require(sizes.shape == (masks, 2) and len(offsets) == masks + 1)
    pixels = sizes[:, 0].astype(np.int64) * sizes[:, 1]
    _require((sizes >= 1).all() and (pixels <= MAX_MASK_PIXELS).all() and (counts >= 0).all())
    totals = np.concatenate(([0], np.cumsum(counts, dtype=np.int64)))[offsets]
    _require((np.diff(totals) == pixels).all())
    return Runs(sizes, counts, offsets)


def _some_runs(runs: Runs, a: int, b: int) -> Runs:
    start, end = int(runs.offsets[a]), int(runs.offsets[b])
    return Runs(runs.sizes[a:b], runs.counts[start:end], runs.offsets[a : b + 1] - start)


def pack_masks(values: Sequence[tuple[Sequence[answers.Mask], Runs]]) -> Columns:
    """Of masks and their runs, from :func:`runs_of`."""
    flat = _flat(masks for masks, _ in values)
    return {
        "values.groups": groups_of([masks for masks, _ in values]),
        "values.scores": _floats([mask.score for mask in flat]),
        "values.frames": _integers([mask.frame for mask in flat]),
        **pack_strings("values.labels", [mask.label for mask in flat]),
        **_pack_runs([runs for _, runs in values]),
    }


def unpack_masks(arrays: Arrays, max_count: int) -> list[MaskSet]:
    scores = _numbers(arrays, "scores", None)
    frames = _whole(arrays, "frames", len(scores))
    labels = _labels(arrays, "labels", len(scores))
    runs = _unpack_runs(arrays, len(scores))
    return [
        MaskSet(_some_runs(runs, a, b), labels[a:b], scores[a:b], frames[a:b])
        for a, b in _bounds(arrays, "groups", len(scores), max_count)
    ]


# Scene graphs


def pack_graphs(values: Sequence[answers.SceneGraph]) -> Columns:
    objects = _flat(value.objects for value in values)
    edges = _flat(value.relations for value in values)
    return {
        "values.groups": groups_of([value.objects for value in values]),
        "values.boxes": _floats([found.box for found in objects], FLAT_BOX),
        **pack_strings("values.labels", [found.label for found in objects]),
        "values.edge_groups": groups_of([value.relations for value in values]),
        "values.edges": _integers([(edge.subject, edge.object) for edge in edges], 2),
        "values.scores": _floats([edge.score for edge in edges]),
        **pack_strings("values.predicates", [edge.predicate for edge in edges]),
    }


def unpack_graphs(arrays: Arrays, max_count: int) -> list[Graph]:
    boxes = _numbers(arrays, "boxes", None, FLAT_BOX)
    labels = _labels(arrays, "labels", len(boxes))
    edges = _whole(arrays, "edges", None, 2)
    scores = _numbers(arrays, "scores", len(edges))
    predicates = _labels(arrays, "predicates", len(edges))
    objects = _bounds(arrays, "groups", len(boxes), max_count)
    relations = _bounds(arrays, "edge_groups", len(edges), max_count)
    _require(len(objects) == len(relations))
    graphs: list[Graph] = []
    for (a, b), (c, d) in zip(objects, relations, strict=True):
        _require((edges[c:d] < b - a).all())
        graphs.append(Graph(boxes[a:b], labels[a:b], edges[c:d], predicates[c:d], scores[c:d]))
    return graphs


# Tubes and tracks

if TYPE_CHECKING:
    _AnyPath = answers.Tube | answers.Track | answers.Track3D


def pack_paths(values: Sequence[Sequence[_AnyPath]], width: int, runs: Sequence[Runs]) -> Columns:
    """``runs`` are those of the paths that have masks, in order."""
    flat: list[_AnyPath] = _flat(values)
    boxes = _flat(path.boxes for path in flat if path.boxes is not None)
    names = [str(getattr(path, "track", "")) for path in flat]
    return {
        "values.groups": groups_of(values),
        "values.frame_groups": groups_of([path.frames for path in flat]),
        "values.frames": _integers(_flat(path.frames for path in flat)),
        "values.masked": np.array([path.boxes is None for path in flat], dtype=np.uint8),
        "values.boxes": _floats(boxes, width),
        "values.scores": _floats([path.score for path in flat]),
        **pack_strings("values.labels", [path.label for path in flat]),
        **pack_strings("values.names", names),
        **_pack_runs(runs),
    }


def unpack_paths(arrays: Arrays, max_count: int, width: int) -> list[list[Path]]:
    scores = _numbers(arrays, "scores", None)
    count = len(scores)
    labels, names = _labels(arrays, "labels", count), _labels(arrays, "names", count)
    masked = array(arrays, "values.masked", "u1")
    frames = _whole(arrays, "frames", None)
    spans = _bounds(arrays, "frame_groups", len(frames), count)
    _require(len(masked) == len(spans) == count and (masked <= 1).all())
    lengths = np.array([b - a for a, b in spans], dtype=np.int64)
    boxes = _numbers(arrays, "boxes", int(lengths[masked == 0].sum()), width)
    runs = _unpack_runs(arrays, int(lengths[masked == 1].sum()))
    paths: list[Path] = []
    box = mask = 0
    for (a, b), is_masked, label, name, score in zip(
        spans, masked.tolist(), labels, names, scores.tolist(), strict=True
    ):
        _require((np.diff(frames[a:b]) > 0).all())
        size = b - a
        if is_masked:
            part = _some_runs(runs, mask, mask + size)
            paths.append(Path(frames[a:b], None, part, label, score, name))
            mask += size
        else:
            rows = boxes[box : box + size]
            paths.append(Path(frames[a:b], rows, None, label, score, name))
            box += size
    return [paths[a:b] for a, b in _bounds(arrays, "groups", count, max_count)]


# Poses


def pack_people(values: Sequence[Sequence[answers.Person]]) -> Columns:
    flat = _flat(values)
    return {
        "values.groups": groups_of(values),
        "values.point_groups": groups_of([person.keypoints for person in flat]),
        "values.points": _floats(_flat(person.keypoints for person in flat), 3),
        "values.scores": _floats([person.score for person in flat]),
    }


def unpack_people(arrays: Arrays, max_count: int) -> list[PersonSet]:
    points = _numbers(arrays, "points", None, 3)
    scores = _numbers(arrays, "scores", None)
    offsets = array(arrays, "values.point_groups", "<i8")
    check_offsets(offsets, len(points), len(scores))
    _require(len(offsets) == len(scores) + 1)
    people: list[PersonSet] = []
    for a, b in _bounds(arrays, "groups", len(scores), max_count):
        start, end = int(offsets[a]), int(offsets[b])
        people.append(PersonSet(points[start:end], offsets[a : b + 1] - start, scores[a:b]))
    return people


def pack_trajectories(values: Sequence[Sequence[answers.PoseMatrix]]) -> Columns:
    return {"values.groups": groups_of(values), "values.poses": _floats(_flat(values), 12)}


def unpack_trajectories(arrays: Arrays, max_count: int) -> list[NDArray[np.float64]]:
    """Per item float64 [frames, 3, 4]."""
    poses = _numbers(arrays, "poses", None, 12)
    return [
        poses[a:b].reshape(-1, 3, 4) for a, b in _bounds(arrays, "groups", len(poses), max_count)
    ]


# Piano rolls


def pack_rolls(values: Sequence[Sequence[answers.Note]]) -> Columns:
    flat = _flat(values)
    return {
        "values.groups": groups_of(values),
        "values.times": _floats([(note.onset, note.duration) for note in flat], 2),
        "values.keys": _integers([(note.pitch, note.velocity) for note in flat], 2),
        **pack_strings("values.parts", [note.part for note in flat]),
    }


def unpack_rolls(arrays: Arrays, max_count: int) -> list[NoteSet]:
    times = _numbers(arrays, "times", None, 2)
    keys = _whole(arrays, "keys", len(times), 2)
    parts = _labels(arrays, "parts", len(times))
    _require((times >= 0).all() and (keys <= _MAX_MIDI).all())
    return [
        NoteSet(times[a:b, 0], times[a:b, 1], keys[a:b, 0], keys[a:b, 1], parts[a:b])
        for a, b in _bounds(arrays, "groups", len(times), max_count)
    ]
