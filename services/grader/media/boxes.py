"""Boxes and the graphs between them: average precision, grounding, boxes in space, triplets."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from services.grader.decode.records import FLAT_BOX, SOLID_BOX
from services.grader.decode.values import BoxSet, Graph
from services.grader.media.binding import MediaJob
from services.grader.media.key_reader import KeyReader, ReferenceUnusable
from services.grader.media.labels import Classes
from services.grader.media.reading import Reading, crowd_marks
from services.grader.metrics.detection.boxes import Detections, Objects
from services.grader.metrics.detection.centre_distance import SpaceBoxes
from services.grader.metrics.relations.scene_graph import SceneGraph

_Columns = tuple[list[Detections | None], list[Objects]]


def _read_boxes(key: KeyReader, value: object) -> BoxSet:
    found = key.answer(value)
    if not isinstance(found, BoxSet) or found.boxes.shape[1] != FLAT_BOX:
        raise ReferenceUnusable("boxes of x, y, width and height")
    crowd_marks(value)
    return found


def _read_one_box(key: KeyReader, value: object) -> BoxSet:
    found = _read_boxes(key, value)
    if len(found.boxes) != 1 or not (found.boxes[:, 2:] > 0).all():
        raise ReferenceUnusable("exactly one box, of a width and a height above 0")
    return found


def _read_space_boxes(key: KeyReader, value: object) -> BoxSet:
    found = key.answer(value)
    if not isinstance(found, BoxSet) or found.boxes.shape[1] != SOLID_BOX:
        raise ReferenceUnusable("boxes of a centre, three extents and a yaw angle")
    return found


def _read_graph(key: KeyReader, value: object) -> Graph:
    found: Graph = key.answer(value)
    return found


def _box_columns(job: MediaJob) -> _Columns:
    known = list(job.expected(_read_boxes))
    classes = Classes(label for boxes in known for label in boxes.labels)
    marks = job.expected(lambda _key, value: crowd_marks(value))
    references = [
        Objects(boxes.boxes, classes.numbers(boxes.labels), crowd)
        for boxes, crowd in zip(known, marks, strict=True)
    ]

    def convert(answer: BoxSet) -> Detections:
        return Detections(answer.boxes, classes.numbers(answer.labels), answer.scores)

    return list(job.answered(convert)), references


def _grounding_columns(job: MediaJob) -> _Columns:
    def convert(answer: BoxSet) -> Detections:
        return Detections(answer.boxes, np.zeros(len(answer.boxes), np.int64), answer.scores)

    references = [Objects(one.boxes, np.zeros(1, np.int64)) for one in job.expected(_read_one_box)]
    return list(job.answered(convert)), references


def _space_columns(job: MediaJob) -> tuple[list[SpaceBoxes | None], list[SpaceBoxes]]:
    known = list(job.expected(_read_space_boxes))
    classes = Classes(label for boxes in known for label in boxes.labels)

    def convert(boxes: BoxSet) -> SpaceBoxes:
        return SpaceBoxes(boxes.boxes[:, :3], classes.numbers(boxes.labels), boxes.scores)

    return list(job.answered(convert)), [convert(boxes) for boxes in known]


def _graph_columns(job: MediaJob) -> tuple[list[SceneGraph | None], list[SceneGraph]]:
    known = list(job.expected(_read_graph))
    objects = Classes(label for graph in known for label in graph.labels)
    predicates = Classes(name for graph in known for name in graph.predicates)

    def convert(graph: Graph) -> SceneGraph:
        subject, target = graph.edges[:, 0], graph.edges[:, 1]
        relations = np.stack((subject, predicates.numbers(graph.predicates), target), axis=1)
        return SceneGraph(objects.numbers(graph.labels), graph.boxes, relations, graph.scores)

    return list(job.answered(convert)), [convert(graph) for graph in known]


_BOXES: Final = Reading(
    _box_columns,
    _read_boxes,
    'a list of {"box": [x, y, width, height], "label": …}, which may be empty, with "crowd": 1 for'
    " a region of many objects",
)

#: By the metrics' catalogue ids.
BOX_READINGS: Final[Mapping[str, Reading]] = MappingProxyType(
    {
        "ap50": _BOXES,
        "ap75": _BOXES,
        "grounding-accuracy": Reading(
            _grounding_columns,
            _read_one_box,
            'a list with exactly one {"box": [x, y, width, height]}, of an area above 0',
        ),
        "map-3d": Reading(
            _space_columns,
            _read_space_boxes,
            'a list of {"box": [x, y, z, length, width, height, yaw], "label": …}, in metres',
        ),
        "scene-graph-recall": Reading(
            _graph_columns,
            _read_graph,
            'an object {"objects": [{"label", "box": [x, y, width, height]}, …], "relations":'
            ' [{"subject", "predicate", "object"}, …]}, relations naming objects by their place',
        ),
    }
)
