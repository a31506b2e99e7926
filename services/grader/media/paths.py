"""Objects over time: tubes and tracks in videos, tracks in space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from services.grader.decode.records import FLAT_BOX, SOLID_BOX
from services.grader.decode.values import Path
from services.grader.media.binding import MediaJob
from services.grader.media.key_reader import KeyReader, ReferenceUnusable
from services.grader.media.labels import Classes
from services.grader.media.painting import Size, bounding_boxes
from services.grader.media.reading import Reading, beside
from services.grader.metrics.tracking.amota import SpaceTracks
from services.grader.metrics.tracking.tubes import Tube

_Columns = tuple[list[list[Tube] | None], list[Tube]]


@dataclass(frozen=True, slots=True)
class _Followed:
    """A tube and the size of the video, which masks say and boxes do not."""

    tube: Tube
    size: Size | None


def _followed(path: Path) -> _Followed | None:
    """One object in a video; None for masks of different sizes, and for boxes in space.

    A mask becomes the box around it. Where a box or a mask is empty the object is not there.
    """
    size = None
    if path.runs is None:
        boxes = path.boxes
        if boxes is None or boxes.shape[1] != FLAT_BOX:
            return None
    else:
        sizes = np.unique(path.runs.sizes, axis=0).tolist()
        if len(sizes) > 1:
            return None
        size = (sizes[0][0], sizes[0][1]) if sizes else None
        boxes = bounding_boxes(path.runs)
    there = (boxes[:, 2:] > 0).all(axis=1)
    return _Followed(Tube(path.frames[there], boxes[there], path.score), size)


def _read_one(key: KeyReader, value: object) -> _Followed:
    paths: list[Path] = key.answer(value)
    found = _followed(paths[0]) if len(paths) == 1 else None
    if found is None or len(found.tube.frames) == 0:
        raise ReferenceUnusable("exactly one object, which is to be seen in a frame")
    return found


def _surest(answer: Sequence[Path], known: _Followed) -> list[Tube] | None:
    """The path that counts, as a list; None where its masks have another size than the key's."""
    if not answer:
        return []
    found = _followed(max(answer, key=lambda path: path.score))
    if found is None:
        return None
    if found.size is not None and known.size not in (None, found.size):
        return None
    return [found.tube]


def _one_columns(job: MediaJob) -> _Columns:
    known = list(job.expected(_read_one))
    return list(beside(job, known, _surest)), [one.tube for one in known]


def _in_space(paths: Sequence[Path]) -> bool:
    return all(path.boxes is not None and path.boxes.shape[1] == SOLID_BOX for path in paths)


def _read_space(key: KeyReader, value: object) -> list[Path]:
    found: list[Path] = key.answer(value)
    if not _in_space(found):
        raise ReferenceUnusable("tracks by boxes of a centre, three extents and a yaw angle")
    return found


def _space_tracks(paths: Sequence[Path], classes: Classes) -> SpaceTracks:
    """The tracks of one scene, numbered by their place."""
    boxes = [path.boxes for path in paths if path.boxes is not None]
    lengths = [len(path.frames) for path in paths]
    return SpaceTracks(
        np.concatenate([np.zeros(0, np.int64), *(path.frames for path in paths)]),
        np.repeat(np.arange(len(paths)), lengths),
        np.concatenate([np.zeros((0, 3)), *(rows[:, :3] for rows in boxes)]),
        np.repeat(classes.numbers([path.label for path in paths]), lengths),
        np.repeat(np.array([path.score for path in paths], np.float64), lengths),
    )


def _space_columns(job: MediaJob) -> tuple[list[SpaceTracks | None], list[SpaceTracks]]:
    known = list(job.expected(_read_space))
    classes = Classes(path.label for paths in known for path in paths)

    def convert(answer: list[Path]) -> SpaceTracks | None:
        return _space_tracks(answer, classes) if _in_space(answer) else None

    return list(job.answered(convert)), [_space_tracks(paths, classes) for paths in known]


_TUBE: Final = '{"frames": […], "boxes": [[x, y, width, height], …]}'

#: By the metrics' catalogue ids.
PATH_READINGS: Final[Mapping[str, Reading]] = MappingProxyType(
    {
        "tube-viou": Reading(
            _one_columns, _read_one, f"a list with exactly one {_TUBE}, with a box in one frame"
        ),
        "success-auc": Reading(
            _one_columns,
            _read_one,
            'a list with exactly one {"track": 1, "frames": […], "boxes": [[x, y, width, height],'
            ' …] or "masks": […]}; where a box or a mask is empty the object is not to be seen',
        ),
        "amota": Reading(
            _space_columns,
            _read_space,
            'a list of {"track", "frames": […], "boxes": [[x, y, z, length, width, height, yaw],'
            ' …], "label"}, in metres',
        ),
    }
)
