"""Structured answers from a prediction.json to the trusted side, and columns that lie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from general_level.catalogue.model import AnswerKind
from general_level.submission.codes import Code
from services.grader.decode import columns
from services.grader.decode.frames import FrameInvalid
from services.grader.decode.rle import to_mask
from services.grader.decode.values import BoxSet, Graph, MaskSet, NoteSet, Path, PersonSet
from tests.support.decoding import decode

KIND = AnswerKind


def values(kind: AnswerKind, *rows: Any, options: Mapping[str, str] | None = None) -> list[Any]:
    decoded = decode(kind, rows, options=options)
    assert decoded.arrays is not None
    return columns.unpack(kind, decoded.arrays, options).values


def test_boxes() -> None:
    one, none, two = values(
        KIND.BOXES,
        [{"box": [1, 2, 3, 4.5], "label": "é", "score": 0.5}],
        [],
        [{"box": [0, 0, 1, 1]}, {"box": [-5, 0, 1, 1], "label": "b"}],
    )
    assert isinstance(one, BoxSet)
    assert one.boxes.tolist() == [[1, 2, 3, 4.5]]
    assert (one.labels, one.scores.tolist()) == (["é"], [0.5])
    assert none.boxes.shape == (0, 4)
    assert (two.labels, two.scores.tolist()) == (["", "b"], [1.0, 1.0])
    assert not two.boxes.flags.writeable


def test_boxes_in_space() -> None:
    (found,) = values(
        KIND.BOXES,
        [{"box": [1, 2, 3, 4, 5, 6, -0.5], "label": "car"}],
        options={"form": "boxes-3d"},
    )
    assert found.boxes.tolist() == [[1, 2, 3, 4, 5, 6, -0.5]]


def test_masks_in_both_forms_of_coco() -> None:
    text = {"size": [2, 3], "counts": "123"}  # 1, 2 and 3 pixels
    plain = {"size": [1, 4], "counts": [0, 4]}
    first, none, second = values(
        KIND.MASKS, [{"mask": text, "frame": 7, "score": 0.1}, {"mask": plain, "label": "b"}], [],
        [{"mask": plain}],
    )  # fmt: skip
    assert isinstance(first, MaskSet)
    assert first.runs.sizes.tolist() == [[2, 3], [1, 4]]
    assert first.runs.offsets.tolist() == [0, 3, 5]
    assert (first.frames.tolist(), first.labels) == ([7, 0], ["", "b"])
    mask = to_mask(first.runs.counts[:3], (2, 3))
    assert mask.astype(int).tolist() == [[0, 1, 0], [1, 0, 0]]
    assert len(none.runs) == 0
    assert second.runs.counts.tolist() == [0, 4]
    assert second.runs.offsets.tolist() == [0, 2]


def test_scene_graphs() -> None:
    graph = {
        "objects": [{"label": "a", "box": [0, 0, 1, 1]}, {"label": "b", "box": [1, 1, 2, 2]}],
        "relations": [{"subject": 1, "predicate": "on", "object": 0, "score": 0.25}],
    }
    first, empty, second = values(KIND.SCENE_GRAPH, graph, {"objects": [], "relations": []}, graph)
    assert isinstance(first, Graph)
    for found in (first, second):
        assert (found.labels, found.predicates) == (["a", "b"], ["on"])
        assert (found.edges.tolist(), found.scores.tolist()) == ([[1, 0]], [0.25])
    assert empty.boxes.shape == (0, 4)


def test_tubes_and_tracks() -> None:
    tube = {"frames": [2, 5], "boxes": [[0, 0, 1, 1], [1, 1, 1, 1]], "label": "x", "score": 2}
    (first, second), none = values(KIND.TUBES, [tube, {"frames": [], "boxes": []}], [])
    assert isinstance(first, Path)
    assert (first.frames.tolist(), first.label, first.score, first.name) == ([2, 5], "x", 2.0, "")
    assert first.boxes is not None
    assert first.boxes.tolist() == [[0, 0, 1, 1], [1, 1, 1, 1]]
    assert len(second.frames) == 0
    assert none == []
    mask = {"size": [1, 2], "counts": [1, 1]}
    wide = {"size": [1, 3], "counts": [3]}
    [(boxed, masked), (other,)] = values(
        KIND.TRACKS,
        [
            {"track": 3, "frames": [1], "boxes": [[0, 0, 2, 2]]},
            {"track": "m", "frames": [0, 4], "masks": [mask, wide], "label": "dog"},
        ],
        [{"track": 0, "frames": [9], "masks": [wide]}],
    )
    assert (boxed.name, boxed.runs) == ("3", None)
    assert masked.boxes is None
    assert masked.runs.sizes.tolist() == [[1, 2], [1, 3]]
    assert other.runs.counts.tolist() == [3]
    [(solid,)] = values(
        KIND.TRACKS,
        [{"track": 1, "frames": [0], "boxes": [[1, 2, 3, 4, 5, 6, 7]]}],
        options={"form": "boxes-3d"},
    )
    assert solid.boxes.tolist() == [[1, 2, 3, 4, 5, 6, 7]]


def test_people_trajectories_and_notes() -> None:
    people, none = values(
        KIND.POSE,
        [{"keypoints": [[1, 2, 1], [3, 4, 0]], "score": 0.5}, {"keypoints": [[5, 6, 1]]}],
        [],
        options={"form": "keypoints"},
    )
    assert isinstance(people, PersonSet)
    assert people.offsets.tolist() == [0, 2, 3]
    assert people.points.tolist() == [[1, 2, 1], [3, 4, 0], [5, 6, 1]]
    assert none.offsets.tolist() == [0]
    pose = [float(number) for number in range(12)]
    (track,) = values(KIND.POSE, [pose, pose], options={"form": "trajectory"})
    assert track.shape == (2, 3, 4)
    assert track[1].ravel().tolist() == pose
    notes, silence = values(
        KIND.PIANO_ROLL, [{"onset": 1.5, "duration": 2, "pitch": 60, "part": "piano"}], []
    )
    assert isinstance(notes, NoteSet)
    assert (notes.onsets.tolist(), notes.durations.tolist()) == ([1.5], [2.0])
    assert (notes.pitches.tolist(), notes.velocities.tolist()) == ([60], [64])
    assert notes.parts == ["piano"]
    assert len(silence.onsets) == 0


def test_a_mask_that_does_not_add_up_refuses_the_file_as_the_checker_does() -> None:
    mask = {"size": [2, 2], "counts": [1, 2]}
    decoded = decode(KIND.MASKS, [[{"mask": mask}]])
    assert decoded.arrays is None
    assert [finding.code for finding in decoded.findings] == [Code.INCONSISTENT_ANSWER]


MASK = [{"mask": {"size": [1, 4], "counts": [1, 3]}}, {"mask": {"size": [2, 2], "counts": [4]}}]
BOX = [{"box": [0, 0, 1, 1], "label": "a"}, {"box": [0, 0, 1, 1]}]
GRAPH = {
    "objects": [{"label": "a", "box": [0, 0, 1, 1]}],
    "relations": [{"subject": 0, "predicate": "on", "object": 0}],
}
TRACK = [
    {"track": 3, "frames": [1, 2], "boxes": [[0, 0, 2, 2]] * 2},
    {"track": 4, "frames": [1], "masks": [MASK[0]["mask"]]},
]
NOTE = [{"onset": 1, "duration": 2, "pitch": 60}]
PERSON = [{"keypoints": [[1, 2, 1], [3, 4, 0]]}, {"keypoints": [[5, 6, 1]]}]


@pytest.mark.parametrize(
    ("kind", "row", "name", "array"),
    [
        (KIND.BOXES, BOX, "boxes", np.zeros((1, 4))),
        (KIND.BOXES, BOX, "boxes", np.zeros((2, 7))),
        (KIND.BOXES, BOX, "boxes", np.full((2, 4), 1e16)),
        (KIND.BOXES, BOX, "scores", np.zeros(3)),
        (KIND.BOXES, BOX, "groups", np.array([0, 1])),
        (KIND.BOXES, BOX, "groups", np.array([0, 1, 2])),
        (KIND.BOXES, BOX, "labels.offsets", np.array([0, 1])),
        (KIND.MASKS, MASK, "counts", np.array([2, 3, 4], dtype=np.int32)),
        (KIND.MASKS, MASK, "counts", np.array([5, -1, 4], dtype=np.int32)),
        (KIND.MASKS, MASK, "counts", np.array([1, 3, 4])),
        (KIND.MASKS, MASK, "sizes", np.array([[1, 4], [0, 0]], dtype=np.int32)),
        (KIND.MASKS, MASK, "sizes", np.array([[1, 4], [30_000, 30_000]], dtype=np.int32)),
        (KIND.MASKS, MASK, "sizes", np.array([[1, 4]], dtype=np.int32)),
        (KIND.MASKS, MASK, "count_groups", np.array([0, 3, 3])),
        (KIND.MASKS, MASK, "count_groups", np.array([0, 3])),
        (KIND.MASKS, MASK, "frames", np.array([0, -1])),
        (KIND.SCENE_GRAPH, GRAPH, "edges", np.array([[0, 1]])),
        (KIND.SCENE_GRAPH, GRAPH, "edges", np.array([[-1, 0]])),
        (KIND.SCENE_GRAPH, GRAPH, "edge_groups", np.array([0])),
        (KIND.SCENE_GRAPH, GRAPH, "edge_groups", np.array([0, 0, 1])),
        (KIND.TRACKS, TRACK, "frames", np.array([2, 1, 1])),
        (KIND.TRACKS, TRACK, "frames", np.array([1, 2])),
        (KIND.TRACKS, TRACK, "masked", np.array([1, 1], dtype=np.uint8)),
        (KIND.TRACKS, TRACK, "masked", np.array([0, 2], dtype=np.uint8)),
        (KIND.TRACKS, TRACK, "masked", np.array([0], dtype=np.uint8)),
        (KIND.TRACKS, TRACK, "frame_groups", np.array([0, 1, 3])),
        (KIND.PIANO_ROLL, NOTE, "keys", np.array([[128, 0]])),
        (KIND.PIANO_ROLL, NOTE, "times", np.array([[-1.0, 0]])),
        (KIND.POSE, PERSON, "point_groups", np.array([0, 3])),
        (KIND.POSE, PERSON, "points", np.zeros((4, 3))),
    ],
)
def test_columns_that_lie_are_refused(kind: AnswerKind, row: Any, name: str, array: Any) -> None:
    arrays = decode(kind, [row]).arrays
    assert arrays is not None
    columns.unpack(kind, arrays)
    with pytest.raises(FrameInvalid):
        columns.unpack(kind, {**arrays, f"values.{name}": array})
    with pytest.raises(FrameInvalid):
        columns.unpack(kind, {key: arrays[key] for key in arrays if key != f"values.{name}"})
