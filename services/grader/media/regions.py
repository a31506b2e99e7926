"""Masks of pictures and videos: mIoU, Dice, IoU of videos, S-measure, AP of masks."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from general_level.catalogue.limits import MAX_FRAMES_PER_ANSWER
from services.grader.decode.limits import MAX_VIDEO_PIXELS
from services.grader.decode.values import MaskSet
from services.grader.media.binding import LazyColumn, MediaJob
from services.grader.media.key_reader import KeyReader, ReferenceUnusable
from services.grader.media.labels import Classes
from services.grader.media.masks import (
    MASKS_FORM,
    PICTURE_FORM,
    KnownRegion,
    class_names,
    paint,
    read_map,
    read_objects,
    read_region,
)
from services.grader.media.painting import Size, fitted, frames_of
from services.grader.media.reading import Reading, beside, remembered
from services.grader.metrics.detection.coco import MaskDetections, MaskObjects
from services.grader.metrics.segmentation.overlap import Region
from services.grader.metrics.segmentation.runs import RunLengths

_LabelMap = NDArray[np.int32]
_Frames = NDArray[np.bool_]


# Label maps


def _read_own_map(key: KeyReader, value: object) -> _LabelMap:
    return read_map(key, value, Classes(class_names(key, value)))


def _map_columns(job: MediaJob) -> tuple[LazyColumn[_LabelMap | None], LazyColumn[_LabelMap]]:
    names = {name for item in job.expected(class_names) for name in item}
    classes = Classes(names)
    references = remembered(job.expected(lambda key, value: read_map(key, value, classes)))

    def convert(answer: MaskSet, reference: _LabelMap) -> _LabelMap | None:
        return paint(answer, (reference.shape[0], reference.shape[1]), classes)

    return beside(job, references, convert), references


# Regions


def _read_picture(key: KeyReader, value: object) -> KnownRegion:
    found = read_region(key, value)
    if found.frames != 1:
        raise ReferenceUnusable("one picture")
    return found


def _picture_region(answer: MaskSet, known: KnownRegion) -> Region | None:
    """All masks of a picture, whatever frame they say."""
    masks = fitted(answer.runs, known.region.masks.size)
    return None if masks is None else Region(masks, np.zeros(len(masks), np.int64))


def _video_region(answer: MaskSet, known: KnownRegion) -> Region | None:
    masks = fitted(answer.runs, known.region.masks.size)
    if masks is None or np.any(answer.frames >= MAX_FRAMES_PER_ANSWER):
        return None
    return Region(masks, answer.frames)


_RegionColumns = tuple[LazyColumn[Region | None], LazyColumn[Region]]


def _picture_columns(job: MediaJob) -> _RegionColumns:
    known = remembered(job.expected(_read_picture))
    regions = LazyColumn(len(job), lambda item: known[item].region)
    return beside(job, known, _picture_region), regions


def _video_columns(job: MediaJob) -> _RegionColumns:
    known = remembered(job.expected(read_region))
    regions = LazyColumn(len(job), lambda item: known[item].region)
    return beside(job, known, _video_region), regions


# Frames of pixels


def _read_frames(key: KeyReader, value: object) -> KnownRegion:
    found = read_region(key, value)
    height, width = found.region.masks.size
    if found.frames * height * width > MAX_VIDEO_PIXELS:
        raise ReferenceUnusable("frames that together are no larger than a video may be")
    return found


def _frame_columns(job: MediaJob) -> tuple[LazyColumn[_Frames | None], LazyColumn[_Frames]]:
    known = remembered(job.expected(_read_frames))

    def convert(answer: MaskSet, reference: KnownRegion) -> _Frames | None:
        region = _video_region(answer, reference)
        return None if region is None else frames_of(region, reference.frames)

    painted = LazyColumn(len(job), lambda item: frames_of(known[item].region, known[item].frames))
    return beside(job, known, convert), painted


# Objects


def _object_columns(job: MediaJob) -> tuple[list[MaskDetections | None], list[MaskObjects]]:
    known = list(job.expected(read_objects))
    classes = Classes(label for objects in known for label in objects.labels)
    references: list[MaskObjects] = []
    for objects, answer in zip(known, job.answers, strict=True):
        masks = objects.masks
        if objects.size is None:  # no mask has any size, so that of the answer's masks
            masks = RunLengths(_size_of(answer), masks.counts, masks.offsets)
        references.append(MaskObjects(masks, classes.numbers(objects.labels), objects.crowd))

    def convert(answer: MaskSet, reference: MaskObjects) -> MaskDetections | None:
        masks = fitted(answer.runs, reference.masks.size)
        if masks is None:
            return None
        return MaskDetections(masks, classes.numbers(answer.labels), answer.scores)

    return list(beside(job, references, convert)), references


def _size_of(answer: MaskSet | None) -> Size:
    if answer is None or len(answer.runs) == 0:
        return 1, 1
    height, width = answer.runs.sizes[0].tolist()
    return height, width


_SIZED: Final = '{"masks": […], "size": [height, width]}, where there may be none'
_OF_VIDEO: Final = (
    f'{MASKS_FORM} and "frame"; or {{"masks": […], "size": [height, width], "frames": 12}}, where'
    " there may be none; or a list of pictures, one for each frame: the path of a .png whose pixels"
    ' that are not zero are foreground, or {"file": "….png", "classes": {"1": "dog"}}'
)

#: By the metrics' catalogue ids.
REGION_READINGS: Final[Mapping[str, Reading]] = MappingProxyType(
    {
        "miou": Reading(
            _map_columns,
            _read_own_map,
            f'{MASKS_FORM}; or {_SIZED}; or {PICTURE_FORM} and "void": [255] for those that do not'
            " count",
        ),
        "dice": Reading(
            _picture_columns, _read_picture, f"{MASKS_FORM}; or {_SIZED}; or {PICTURE_FORM}"
        ),
        "video-miou": Reading(_video_columns, read_region, _OF_VIDEO),
        "s-measure": Reading(_frame_columns, _read_frames, _OF_VIDEO),
        "ap50-masks": Reading(
            _object_columns,
            read_objects,
            f'{MASKS_FORM} and "crowd": 1 for a region of many objects, which may be empty; or'
            f" {_SIZED}; or, with one object for each grey value, {PICTURE_FORM}",
        ),
    }
)
