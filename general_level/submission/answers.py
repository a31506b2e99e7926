"""The form of one prediction for each answer kind.

Coordinates are pixels from the top left corner unless a field says otherwise, frames and indices
are 0-based, angles are radians, times are seconds. Keys that a form does not name are ignored, so
that COCO exports with more fields pass.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from general_level.catalogue import limits

Text = Annotated[str, Meta(max_length=limits.MAX_TEXT_CHARS)]
Code = Annotated[str, Meta(max_length=limits.MAX_CODE_CHARS)]
Label = Annotated[str, Meta(max_length=limits.MAX_LABEL_CHARS)]
Labels = Annotated[list[Label], Meta(max_length=limits.MAX_LABELS_PER_ANSWER)]
Ranking = Annotated[list[Label], Meta(max_length=limits.MAX_RANKING_LENGTH)]
Number = Annotated[float, Meta(ge=-limits.MAX_NUMBER_MAGNITUDE, le=limits.MAX_NUMBER_MAGNITUDE)]
Series = Annotated[list[Number], Meta(max_length=limits.MAX_SERIES_LENGTH)]
Extent = Annotated[float, Meta(ge=0, le=limits.MAX_NUMBER_MAGNITUDE)]
Path = Annotated[str, Meta(max_length=limits.MAX_PATH_BYTES)]
Paths = Annotated[list[Path], Meta(min_length=1, max_length=limits.MAX_FRAMES_PER_ANSWER)]
Frame = Annotated[int, Meta(ge=0, lt=limits.MAX_FRAMES_PER_ANSWER)]
Frames = Annotated[list[Frame], Meta(max_length=limits.MAX_FRAMES_PER_ANSWER)]
Side = Annotated[int, Meta(ge=1, le=limits.MAX_IMAGE_SIDE_PIXELS)]
Index = Annotated[int, Meta(ge=0, le=limits.MAX_POINTS_PER_ANSWER)]
ClassId = Annotated[int, Meta(ge=-1, le=2**31 - 1)]

#: x, y of the top left corner, width, height.
FlatBox = tuple[Number, Number, Extent, Extent]
#: Centre x, y, z, length, width, height in metres, and the yaw angle.
SolidBox = tuple[Number, Number, Number, Extent, Extent, Extent, Number]


class Box(msgspec.Struct, frozen=True):
    """One detected object in a picture; ``score`` orders the detections, higher is surer."""

    box: FlatBox
    label: Label = ""
    score: Number = 1.0


class Box3D(msgspec.Struct, frozen=True):
    """One detected object in space."""

    box: SolidBox
    label: Label = ""
    score: Number = 1.0


class Rle(msgspec.Struct, frozen=True):
    """A binary mask in COCO's run-length encoding, column by column, starting with zeros.

    ``size`` is (height, width); ``counts`` COCO's compressed text, or the plain list of runs.
    """

    size: tuple[Side, Side]
    counts: (
        Annotated[str, Meta(max_length=limits.MAX_RLE_BYTES)]
        | Annotated[list[Annotated[int, Meta(ge=0)]], Meta(max_length=limits.MAX_RLE_BYTES)]
    )


class Mask(msgspec.Struct, frozen=True):
    """One segment of a picture, or of one frame of a video."""

    mask: Rle
    label: Label = ""
    score: Number = 1.0
    frame: Frame = 0


class Segment(msgspec.Struct, frozen=True):
    """One value of a panoptic picture: its number and its class."""

    segment: Annotated[int, Meta(ge=0, lt=2**24)]
    label: Label


class Panoptic(msgspec.Struct, frozen=True):
    """A PNG whose colour R + 256 G + 65536 B is a segment's number, as COCO panoptic has it."""

    file: Path
    segments: Annotated[list[Segment], Meta(max_length=limits.MAX_MASKS_PER_ANSWER)]


class SceneObject(msgspec.Struct, frozen=True):
    """One object of a scene graph."""

    label: Label
    box: FlatBox


class Relation(msgspec.Struct, frozen=True):
    """One edge; ``subject`` and ``object`` are indices of the graph's objects."""

    subject: Index
    predicate: Label
    object: Index
    score: Number = 1.0


class SceneGraph(msgspec.Struct, frozen=True):
    """Objects and the relations between them."""

    objects: Annotated[list[SceneObject], Meta(max_length=limits.MAX_BOXES_PER_ANSWER)]
    relations: Annotated[list[Relation], Meta(max_length=limits.MAX_RELATIONS_PER_ANSWER)]


class Tube(msgspec.Struct, frozen=True):
    """One object over time: a box for each of ``frames``, which ascend."""

    frames: Frames
    boxes: Annotated[list[FlatBox], Meta(max_length=limits.MAX_FRAMES_PER_ANSWER)]
    label: Label = ""
    score: Number = 1.0


class Track(msgspec.Struct, frozen=True):
    """One object followed through a video by boxes or by masks, one for each of ``frames``."""

    track: Annotated[int, Meta(ge=0, le=2**63 - 1)] | Label
    frames: Frames
    boxes: Annotated[list[FlatBox], Meta(max_length=limits.MAX_FRAMES_PER_ANSWER)] | None = None
    masks: Annotated[list[Rle], Meta(max_length=limits.MAX_FRAMES_PER_ANSWER)] | None = None
    label: Label = ""
    score: Number = 1.0


class Track3D(msgspec.Struct, frozen=True):
    """One object followed through space, a box for each of ``frames``."""

    track: Annotated[int, Meta(ge=0, le=2**63 - 1)] | Label
    frames: Frames
    boxes: Annotated[list[SolidBox], Meta(max_length=limits.MAX_FRAMES_PER_ANSWER)]
    label: Label = ""
    score: Number = 1.0


class Person(msgspec.Struct, frozen=True):
    """One person's key points as (x, y, confidence), in the order of the task's skeleton."""

    keypoints: Annotated[list[tuple[Number, Number, Number]], Meta(min_length=1, max_length=1000)]
    score: Number = 1.0


#: One camera pose: the upper 3 x 4 of the homogeneous matrix, row by row, as KITTI has it.
PoseMatrix = tuple[
    Number, Number, Number, Number, Number, Number,
    Number, Number, Number, Number, Number, Number,
]  # fmt: skip


class Note(msgspec.Struct, frozen=True):
    """One note of a piano roll; ``pitch`` and ``velocity`` as in MIDI, ``part`` the instrument."""

    onset: Extent
    duration: Extent
    pitch: Annotated[int, Meta(ge=0, le=127)]
    velocity: Annotated[int, Meta(ge=0, le=127)] = 64
    part: Label = ""


class PointInstances(msgspec.Struct, frozen=True):
    """Instances in a point cloud: one instance index for each point, -1 for none."""

    instances: Annotated[list[ClassId], Meta(max_length=limits.MAX_POINTS_PER_ANSWER)]
    labels: Annotated[list[Label | ClassId], Meta(max_length=limits.MAX_MASKS_PER_ANSWER)]
    scores: Annotated[list[Number], Meta(max_length=limits.MAX_MASKS_PER_ANSWER)]


Boxes = Annotated[list[Box], Meta(max_length=limits.MAX_BOXES_PER_ANSWER)]
Boxes3D = Annotated[list[Box3D], Meta(max_length=limits.MAX_BOXES_PER_ANSWER)]
Masks = Annotated[list[Mask], Meta(max_length=limits.MAX_MASKS_PER_ANSWER)]
Tubes = Annotated[list[Tube], Meta(max_length=limits.MAX_BOXES_PER_ANSWER)]
Tracks = Annotated[list[Track], Meta(max_length=limits.MAX_BOXES_PER_ANSWER)]
Tracks3D = Annotated[list[Track3D], Meta(max_length=limits.MAX_BOXES_PER_ANSWER)]
People = Annotated[list[Person], Meta(max_length=limits.MAX_BOXES_PER_ANSWER)]
Trajectory = Annotated[
    list[PoseMatrix], Meta(min_length=1, max_length=limits.MAX_FRAMES_PER_ANSWER)
]
PianoRoll = Annotated[list[Note], Meta(max_length=limits.MAX_SERIES_LENGTH)]
PointClasses = Annotated[list[ClassId], Meta(max_length=limits.MAX_POINTS_PER_ANSWER)]
