"""Which form each answer kind has, in types and in words, and what types alone cannot say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from general_level.catalogue import limits
from general_level.catalogue.model import AnswerKind
from general_level.submission import answers
from general_level.submission.codes import Code
from general_level.submission.limits import DEFAULT_LIMITS
from general_level.submission.paths import Fault, path_fault

#: The accepted endings of media answers, in lower case.
MEDIA_ENDINGS: Final[Mapping[AnswerKind, tuple[str, ...]]] = {
    AnswerKind.IMAGE: (".png", ".jpg", ".jpeg", ".webp"),
    AnswerKind.VIDEO: (".mp4", ".webm", ".mkv", ".mov", ".avi", ".gif"),
    AnswerKind.AUDIO: (".wav", ".flac", ".mp3", ".ogg", ".m4a"),
    AnswerKind.POINT_CLOUD: (".ply", ".npy", ".npz", ".xyz", ".pcd"),
    AnswerKind.MESH: (".obj", ".ply", ".glb", ".off", ".stl"),
    AnswerKind.MOTION: (".npy", ".npz"),
    AnswerKind.DEPTH: (".png", ".npy", ".npz"),
    AnswerKind.FLOW: (".flo", ".png", ".npy", ".npz"),
    AnswerKind.NORMALS: (".npy", ".npz", ".xyz", ".txt"),
    AnswerKind.POINT_LABELS: (".npy", ".npz", ".txt"),
    AnswerKind.PANOPTIC: (".png",),
}

#: How several labels may be written in one text.
DEFAULT_SEPARATOR: Final = "<p>"


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """The form of one kind of prediction.

    ``type`` is what msgspec decodes. ``expected`` says it in words. ``normalise`` brings accepted
    variants to one form. ``fault`` says what is wrong with a decoded value, or None.
    ``media_paths`` are the files that a value names, relative to the task's folder.
    """

    type: Any
    expected: str
    normalise: Callable[[Any], Any] | None = None
    fault: Callable[[Any], Fault | None] | None = None
    media_paths: Callable[[Any], Sequence[str]] | None = None


def form_of(kind: AnswerKind, options: Mapping[str, str] | None = None) -> AnswerForm:
    """The form of a task's predictions. ``options`` are the task's: ``form``, ``separator``."""
    options = options or {}
    special = _SPECIAL_FORMS.get((kind, options.get("form", "")))
    if special:
        return special
    if kind is AnswerKind.LABELS:
        return _labels_form(options.get("separator", DEFAULT_SEPARATOR))
    return _FORMS[kind]


def _labels_form(separator: str) -> AnswerForm:
    def normalise(value: str | list[str]) -> list[str]:
        parts = value.split(separator) if isinstance(value, str) else value
        return [part.strip() for part in parts if part.strip()]

    def fault(value: list[str]) -> Fault | None:
        if len(value) > limits.MAX_LABELS_PER_ANSWER:
            reason = f"it has more than {limits.MAX_LABELS_PER_ANSWER} labels"
        elif max(map(len, value), default=0) > limits.MAX_LABEL_CHARS:
            reason = f"a label has more than {limits.MAX_LABEL_CHARS} characters"
        else:
            return None
        return Code.TOO_LONG, {"reason": reason}

    return AnswerForm(
        type=answers.Text | answers.Labels,
        expected=f"a list of labels, or one text with {separator} between the labels",
        normalise=normalise,
        fault=fault,
    )


def media_fault(kind: AnswerKind, path: str) -> Fault | None:
    """Why a media path is refused before anyone looks for the file, or None."""
    if not path:
        return Code.BAD_MEDIA_PATH, {"value": path, "reason": "it is empty"}
    fault = path_fault(path, DEFAULT_LIMITS)
    if fault:
        reason = fault[1].get("reason", "it is too long, too deep or has unprintable characters")
        return Code.BAD_MEDIA_PATH, {"value": path, "reason": reason}
    endings = MEDIA_ENDINGS[kind]
    if not path.lower().endswith(endings):
        data = {"value": path, "kind": kind.value, "expected": ", ".join(endings)}
        return Code.BAD_MEDIA_FORMAT, data
    return None


def _paths_of(value: Any) -> Sequence[str]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list) and value and isinstance(value[0], str):
        return value
    return ()


def _media_form(kind: AnswerKind, type_: Any = answers.Path, more: str = "") -> AnswerForm:
    def fault(value: Any) -> Fault | None:
        for path in _paths_of(value):
            if found := media_fault(kind, path):
                return found
        if isinstance(value, answers.PointInstances):
            return _instances_fault(value)
        return None

    endings = ", ".join(MEDIA_ENDINGS[kind])
    return AnswerForm(
        type=type_,
        expected=f"the path of a file ({endings}) relative to the task's folder{more}",
        fault=fault,
        media_paths=_paths_of,
    )


def _contradiction(reason: str, expected: str) -> Fault:
    return Code.INCONSISTENT_ANSWER, {"reason": reason, "expected": expected}


def _instances_fault(value: answers.PointInstances) -> Fault | None:
    if len(value.labels) != len(value.scores):
        return _contradiction("labels and scores differ in number", "one score for each label")
    if max(value.instances, default=-1) >= len(value.labels):
        return _contradiction("an instance has no label", "one label for each instance")
    return None


def rle_pixel_count(counts: str | list[int]) -> int | None:
    """The sum of all runs of a COCO run-length encoding, or None where it is not one.

    Source of the text form: COCO API, ``maskApi.c``: groups of 5 bits, least first, bit 6 for
    "more follows", in characters from 48 on; from the fourth run on, differences to the run two
    before.
    """
    if not isinstance(counts, str):
        return sum(counts)
    runs = [0, 0]
    total = value = shift = position = 0
    for character in counts:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 30:
            return None
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        if position > 2:
            value += runs[0]
        if value < 0:
            return None
        runs = [runs[1], value]
        total += value
        position += 1
        value = shift = 0
    return total if shift == 0 else None


def _rle_fault(rle: answers.Rle) -> Fault | None:
    pixels = rle_pixel_count(rle.counts)
    if pixels is None:
        return _contradiction("a mask's counts are not COCO run-length encoding", "COCO RLE")
    if pixels != rle.size[0] * rle.size[1]:
        return _contradiction("a mask's runs do not add up to its size", "height times width")
    return None


def _first_fault(faults: Iterable[Fault | None]) -> Fault | None:
    return next(filter(None, faults), None)


def _masks_fault(value: list[answers.Mask]) -> Fault | None:
    return _first_fault(_rle_fault(mask.mask) for mask in value)


def _frames_fault(frames: list[int], count: int) -> Fault | None:
    if len(frames) != count:
        return _contradiction("frames and their boxes or masks differ in number", "one for each")
    if any(later <= earlier for earlier, later in pairwise(frames)):
        return _contradiction("its frames do not ascend", "each frame once, in order")
    return None


def _tubes_fault(value: list[answers.Tube]) -> Fault | None:
    return _first_fault(_frames_fault(tube.frames, len(tube.boxes)) for tube in value)


def _tracks_fault(value: list[answers.Track] | list[answers.Track3D]) -> Fault | None:
    names: set[str] = set()
    for track in value:
        if str(track.track) in names:
            return _contradiction("two tracks have one name", "one entry for each track")
        names.add(str(track.track))
        masks = track.masks if isinstance(track, answers.Track) else None
        if (track.boxes is None) == (masks is None):
            return _contradiction("a track has both boxes and masks, or neither", "one of the two")
        fault = _frames_fault(track.frames, len(masks or track.boxes or ()))
        fault = fault or _first_fault(_rle_fault(mask) for mask in masks or ())
        if fault:
            return fault
    return None


def _panoptic_fault(value: answers.Panoptic) -> Fault | None:
    if len({segment.segment for segment in value.segments}) != len(value.segments):
        return _contradiction("two segments have one number", "each segment once")
    return media_fault(AnswerKind.PANOPTIC, value.file)


def _panoptic_paths(value: answers.Panoptic) -> Sequence[str]:
    return (value.file,)


def _scene_graph_fault(value: answers.SceneGraph) -> Fault | None:
    count = len(value.objects)
    if any(max(edge.subject, edge.object) >= count for edge in value.relations):
        return _contradiction("a relation names an object that is not there", "object indices")
    return None


_BOX: Final = '{"box": [x, y, width, height], "label": …, "score": …}'
_RLE: Final = '{"size": [height, width], "counts": …}'

_FORMS: Final[Mapping[AnswerKind, AnswerForm]] = {
    AnswerKind.TEXT: AnswerForm(answers.Text, "a text in quotes"),
    AnswerKind.LABEL: AnswerForm(answers.Label, "one label as a text in quotes"),
    AnswerKind.NUMBER: AnswerForm(answers.Number, "a finite number"),
    AnswerKind.SERIES: AnswerForm(answers.Series, "a list of finite numbers"),
    AnswerKind.CODE: AnswerForm(answers.Code, "program code as a text in quotes"),
    AnswerKind.RANKING: AnswerForm(answers.Ranking, "a list of texts, the best first"),
    AnswerKind.BOXES: AnswerForm(answers.Boxes, f"a list of {_BOX}"),
    AnswerKind.MASKS: AnswerForm(
        answers.Masks,
        f'a list of {{"mask": {_RLE}, "label": …, "score": …, "frame": …}}',
        fault=_masks_fault,
    ),
    AnswerKind.PANOPTIC: AnswerForm(
        answers.Panoptic,
        '{"file": "….png", "segments": [{"segment": 1, "label": …}, …]}',
        fault=_panoptic_fault,
        media_paths=_panoptic_paths,
    ),
    AnswerKind.SCENE_GRAPH: AnswerForm(
        answers.SceneGraph,
        '{"objects": [{"label", "box"}], "relations": [{"subject", "predicate", "object", '
        '"score"}]}',
        fault=_scene_graph_fault,
    ),
    AnswerKind.TUBES: AnswerForm(
        answers.Tubes,
        'a list of {"frames": […], "boxes": [[x, y, width, height], …], "label", "score"}',
        fault=_tubes_fault,
    ),
    AnswerKind.TRACKS: AnswerForm(
        answers.Tracks,
        'a list of {"track", "frames": […], "boxes": […] or "masks": […], "label", "score"}',
        fault=_tracks_fault,
    ),
    AnswerKind.POSE: AnswerForm(
        answers.People, 'a list of {"keypoints": [[x, y, confidence], …], "score": …}'
    ),
    AnswerKind.PIANO_ROLL: AnswerForm(
        answers.PianoRoll,
        'a list of {"onset", "duration", "pitch", "velocity", "part"}',
    ),
    AnswerKind.POINT_LABELS: _media_form(
        AnswerKind.POINT_LABELS,
        answers.Path | answers.PointClasses | answers.PointInstances,
        ', a list with one class for each point, or {"instances", "labels", "scores"}',
    ),
    AnswerKind.FLOW: _media_form(
        AnswerKind.FLOW, answers.Path | answers.Paths, ", or a list with one for each frame"
    ),
    AnswerKind.DEPTH: _media_form(
        AnswerKind.DEPTH, answers.Path | answers.Paths, ", or a list with one for each frame"
    ),
    **{
        kind: _media_form(kind)
        for kind in (
            AnswerKind.IMAGE,
            AnswerKind.VIDEO,
            AnswerKind.AUDIO,
            AnswerKind.POINT_CLOUD,
            AnswerKind.MESH,
            AnswerKind.MOTION,
            AnswerKind.NORMALS,
        )
    },
}

#: Kinds whose form depends on the task's option ``form``.
_SPECIAL_FORMS: Final[Mapping[tuple[AnswerKind, str], AnswerForm]] = {
    (AnswerKind.BOXES, "boxes-3d"): AnswerForm(
        answers.Boxes3D,
        'a list of {"box": [x, y, z, length, width, height, yaw], "label": …, "score": …}',
    ),
    (AnswerKind.TRACKS, "boxes-3d"): AnswerForm(
        answers.Tracks3D,
        'a list of {"track", "frames": […], "boxes": [[x, y, z, length, width, height, yaw], …]}',
        fault=_tracks_fault,
    ),
    (AnswerKind.POSE, "trajectory"): AnswerForm(
        answers.Trajectory, "a list of poses of 12 numbers each (3 x 4 matrix, row by row)"
    ),
}
