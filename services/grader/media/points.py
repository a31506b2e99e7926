"""Points of clouds and shapes: their classes, parts, instances and normals."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from general_level.catalogue.limits import MAX_MASKS_PER_ANSWER
from services.grader.decode.values import PointGroups
from services.grader.media.binding import LazyColumn, MediaJob
from services.grader.media.key_reader import KeyReader, ReferenceUnusable
from services.grader.media.labels import Classes
from services.grader.media.reading import Reading, beside, columns_of, measurable
from services.grader.metrics.detection.points import PointInstances
from services.grader.metrics.geometry.normals import normal_rmse
from services.grader.metrics.segmentation.confusion import MAX_CLASSES, VOID, miou_points
from services.grader.metrics.segmentation.parts import ShapeParts

_Labels = NDArray[np.integer[Any]]
_Normals = NDArray[np.floating[Any]]


# Classes


def _read_labels(key: KeyReader, value: object) -> _Labels:
    found = key.answer(value)
    if isinstance(found, PointGroups):
        raise ReferenceUnusable("a class for each point")
    return np.asarray(found)


def _read_classes(key: KeyReader, value: object) -> _Labels:
    wanted = f"classes from 0 to {MAX_CLASSES - 1}, {VOID} for void, not all of them void"
    return measurable(miou_points, _read_labels(key, value), wanted)


def _same_points(answer: _Labels | PointGroups, reference: _Labels) -> _Labels | None:
    if isinstance(answer, PointGroups) or len(answer) != len(reference):
        return None
    return answer


# Parts


def _is_categorised(value: object) -> bool:
    return isinstance(value, Mapping) and "labels" in value and "instances" not in value


def _category(key: KeyReader, value: object) -> str:
    if not _is_categorised(value):
        return ""
    return str(key.fields(value, category=str | int)["category"])


def _read_parts(key: KeyReader, value: object) -> _Labels:
    _category(key, value)
    if _is_categorised(value):
        value = key.fields(value, labels=Any)["labels"]
    found = _read_labels(key, value)
    if found.min() < 0:
        raise ReferenceUnusable("parts from 0 on")
    return found


def _part_columns(job: MediaJob) -> tuple[LazyColumn[_Labels | None], list[ShapeParts]]:
    categories = list(job.expected(_category))
    numbers = Classes(categories).numbers(categories).tolist()
    references = [
        ShapeParts(labels, category)
        for labels, category in zip(job.expected(_read_parts), numbers, strict=True)
    ]
    return beside(job, references, lambda found, key: _same_points(found, key.labels)), references


# Instances


def _read_groups(key: KeyReader, value: object) -> PointGroups:
    if isinstance(value, Mapping) and isinstance(value.get("labels"), list):
        value = {"scores": [1.0] * len(value["labels"]), **value}
    found = key.answer(value)
    if not isinstance(found, PointGroups):
        raise ReferenceUnusable("an instance for each point, and their labels")
    return found


def _group_columns(job: MediaJob) -> tuple[list[PointInstances | None], list[PointInstances]]:
    known = list(job.expected(_read_groups))
    classes = Classes(label for groups in known for label in groups.labels)

    def instances(groups: PointGroups) -> PointInstances:
        return PointInstances(groups.instances, classes.numbers(groups.labels), groups.scores)

    def convert(answer: _Labels | PointGroups, reference: PointGroups) -> PointInstances | None:
        if not isinstance(answer, PointGroups) or not np.isfinite(answer.scores).all():
            return None
        if len(answer.instances) != len(reference.instances):
            return None
        # The table of overlaps has a row for each label, so that they have to be few.
        return instances(answer) if len(answer.labels) <= MAX_MASKS_PER_ANSWER else None

    return list(beside(job, known, convert)), [instances(groups) for groups in known]


# Normals


def _read_normals(key: KeyReader, value: object) -> _Normals:
    return measurable(normal_rmse, np.asarray(key.answer(value)), "normals of a length above 0")


def _fit_normals(answer: _Normals, reference: _Normals) -> _Normals | None:
    return answer if answer.shape == reference.shape and np.isfinite(answer).all() else None


_CLASS_LIST: Final = "a list or the path of a file (.npy, .npz, .txt) with the class of each point"

#: By the metrics' catalogue ids.
POINT_READINGS: Final[Mapping[str, Reading]] = MappingProxyType(
    {
        "miou-points": Reading(
            columns_of(_read_classes, _same_points),
            _read_classes,
            f"{_CLASS_LIST}, a whole number from 0 to {MAX_CLASSES - 1}, or {VOID} for void; not"
            " all points void",
        ),
        "instance-miou": Reading(
            _part_columns,
            _read_parts,
            f'{{"labels": …, "category": "chair"}}, the labels {_CLASS_LIST}, from 0 on',
        ),
        "ap50-points": Reading(
            _group_columns,
            _read_groups,
            '{"instances": [an instance for each point, -1 for none], "labels": [the label of each'
            " instance]}",
        ),
        "normal-rmse": Reading(
            columns_of(_read_normals, _fit_normals),
            _read_normals,
            "the path of a file (.npy, .npz, .xyz, .txt) with a normal of a length above 0 for"
            " each point",
        ),
    }
)
