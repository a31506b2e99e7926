"""People by their key points, and the path of a camera."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from general_level.submission.answers import Extent, FlatBox
from services.grader.decode.values import PersonSet
from services.grader.media.binding import MediaJob
from services.grader.media.key_reader import KeyReader, ReferenceUnusable
from services.grader.media.reading import Reading, beside, columns_of, crowd_marks, measurable
from services.grader.metrics.detection.keypoints import KnownPeople, People
from services.grader.metrics.geometry.odometry import LENGTHS_M, relative_translation_error

_Poses = NDArray[np.float64]


class _Extent(msgspec.Struct):
    """How large a person of the key is, where the key says so."""

    box: FlatBox | None = None
    area: Extent | None = None


def _keypoints(people: PersonSet, count: int | None = None) -> NDArray[np.float64] | None:
    """float64 [n, k, 3]; None where people have different numbers of points, or not ``count``."""
    lengths = np.diff(people.offsets)
    if count is None:
        count = int(lengths[0]) if len(lengths) else 0
    if np.any(lengths != count):
        return None
    return people.points.reshape(len(lengths), count, 3)


def _read_people(key: KeyReader, value: object) -> KnownPeople:
    people = key.answer(value)
    points = _keypoints(people) if isinstance(people, PersonSet) else None
    if points is None or np.any(points[:, :, 2] < 0):
        raise ReferenceUnusable("people of equally many key points, visibilities from 0 on")
    try:
        extents = msgspec.convert(value, list[_Extent])
    except msgspec.ValidationError:
        raise ReferenceUnusable("a box of x, y, width, height and an area") from None
    boxes = np.array(
        [
            _box_around(person) if extent.box is None else extent.box
            for person, extent in zip(points, extents, strict=True)
        ],
        dtype=np.float64,
    ).reshape(-1, 4)
    areas = np.array(
        [
            box[2] * box[3] if extent.area is None else extent.area
            for box, extent in zip(boxes.tolist(), extents, strict=True)
        ],
        dtype=np.float64,
    )
    return KnownPeople(points, boxes, areas, crowd_marks(value))


def _box_around(points: NDArray[np.float64]) -> Sequence[float]:
    """The box around the labelled ones of key points [k, 3]."""
    labelled = points[points[:, 2] > 0, :2]
    if len(labelled) == 0:
        return 0.0, 0.0, 0.0, 0.0
    corner = labelled.min(axis=0)
    return [*corner.tolist(), *(labelled.max(axis=0) - corner).tolist()]


def _people_columns(job: MediaJob) -> tuple[list[People | None], list[KnownPeople]]:
    references: list[KnownPeople] = []
    for known, answer in zip(job.expected(_read_people), job.answers, strict=True):
        if len(known.keypoints):
            references.append(known)
        else:  # nobody has any number of points, so that of the people in the answer
            found = None if answer is None else _keypoints(answer)
            count = 0 if found is None else found.shape[1]
            nobody = np.zeros((0, count, 3))
            references.append(KnownPeople(nobody, known.boxes, known.areas, known.crowd))

    def convert(answer: PersonSet, reference: KnownPeople) -> People | None:
        points = _keypoints(answer, reference.keypoints.shape[1])
        return None if points is None else People(points, answer.scores)

    return list(beside(job, references, convert)), references


def _read_path(key: KeyReader, value: object) -> _Poses:
    wanted = f"poses of a path of more than {LENGTHS_M[0]} m"
    found = key.answer(value)
    if not isinstance(found, np.ndarray):
        raise ReferenceUnusable(wanted)
    return measurable(relative_translation_error, found, wanted)


def _fit_path(answer: _Poses, reference: _Poses) -> _Poses | None:
    return answer if answer.shape == reference.shape else None


#: By the metrics' catalogue ids.
POSE_READINGS: Final[Mapping[str, Reading]] = MappingProxyType(
    {
        "ap50-keypoints": Reading(
            _people_columns,
            _read_people,
            'a list of {"keypoints": [[x, y, visibility], …]}, a visibility of 0 for a point that'
            ' is not labelled, and with "box", "area" and "crowd" where they are known; otherwise'
            " the box around the labelled points and its area",
        ),
        "rte": Reading(
            columns_of(_read_path, _fit_path),
            _read_path,
            "a list of poses of 12 numbers, camera to world in metres, of a path of more than"
            f" {LENGTHS_M[0]} m",
        ),
    }
)
