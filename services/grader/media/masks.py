"""How a key may say which pixels belong to what: as masks, or as label pictures.

    masks      a list as in an answer, each with a label, a frame of a video and a "crowd" mark; or
               {"masks": [...], "size": [height, width], "frames": 12}, for a list that may be
               empty and for a video that may end with empty frames
    pictures   the path of a PNG, of which every pixel that is not zero is foreground; or
               {"file": "a.png", "classes": {"1": "sky", "2": "road"}, "void": [255]}, a grey
               value for each class; of a video a list with one for each frame

Pictures are PNG: what a lossy format does to a mask would be scored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from general_level.catalogue.limits import MAX_FRAMES_PER_ANSWER
from general_level.catalogue.model import AnswerKind
from general_level.submission.answers import Side
from services.grader.decode.limits import MAX_MASK_PIXELS
from services.grader.decode.values import MaskSet
from services.grader.media.key_reader import KeyReader, ReferenceUnusable
from services.grader.media.labels import Classes
from services.grader.media.painting import Size, fitted, joined, label_map
from services.grader.media.reading import crowd_marks
from services.grader.metrics.segmentation.confusion import VOID
from services.grader.metrics.segmentation.overlap import Region
from services.grader.metrics.segmentation.runs import RunLengths, run_lengths

#: The grey values of 16 bits.
_LEVELS: Final = 65_536
_Level = Annotated[int, Meta(ge=0, lt=_LEVELS)]

PICTURE_FORM: Final = (
    'the path of a .png whose pixels that are not zero are foreground; or {"file": "….png",'
    ' "classes": {"1": "sky"}} with the label of each grey value'
)
MASKS_FORM: Final = 'a list of {"mask": {"size": [height, width], "counts": …}, "label": …}'


class _Picture(msgspec.Struct, frozen=True):
    """One label picture; without ``classes`` what is not zero has no name."""

    file: str
    classes: Annotated[dict[_Level, str], Meta(min_length=1)] | None = None
    void: tuple[_Level, ...] = ()

    def __post_init__(self) -> None:
        if self.classes is not None and not self.classes.keys().isdisjoint(self.void):
            raise ValueError("a grey value is a class or void")


class _SizedMasks(msgspec.Struct, frozen=True):
    masks: list[Any]
    size: tuple[Side, Side] | None = None
    frames: Annotated[int, Meta(ge=1, le=MAX_FRAMES_PER_ANSWER)] | None = None


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Masks of one size; ``size`` None where there is none and none was said."""

    masks: MaskSet
    crowd: NDArray[np.bool_]
    size: Size | None
    frames: int


@dataclass(frozen=True, slots=True)
class KnownObjects:
    """The objects of one picture by their masks; ``size`` None for a picture of an unknown one."""

    masks: RunLengths
    labels: Sequence[str]
    crowd: NDArray[np.bool_]
    size: Size | None


@dataclass(frozen=True, slots=True)
class KnownRegion:
    """The foreground of a picture or a video of ``frames`` frames."""

    region: Region
    frames: int


def _is_picture(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, Mapping) and "file" in value)


def _parsed(key: KeyReader, value: object) -> list[_Picture] | _Drawn:
    if _is_picture(value):
        return [_picture(value)]
    if isinstance(value, list) and any(map(_is_picture, value)):
        return [_picture(element) for element in value]
    return _drawn(key, value)


def _picture(value: object) -> _Picture:
    try:
        found = msgspec.convert(
            {"file": value} if isinstance(value, str) else value, _Picture, str_keys=True
        )
    except msgspec.ValidationError:
        raise ReferenceUnusable(PICTURE_FORM) from None
    if not found.file.lower().endswith(".png"):
        raise ReferenceUnusable(PICTURE_FORM)
    return found


def _drawn(key: KeyReader, value: object) -> _Drawn:
    try:
        sized = msgspec.convert(
            value if isinstance(value, Mapping) else {"masks": value}, _SizedMasks
        )
    except msgspec.ValidationError:
        raise ReferenceUnusable(MASKS_FORM) from None
    masks: MaskSet = key.answer(sized.masks, AnswerKind.MASKS)
    sizes = {(int(height), int(width)) for height, width in masks.runs.sizes.tolist()}
    sizes |= {sized.size} if sized.size else set()
    if len(sizes) > 1 or any(height * width > MAX_MASK_PIXELS for height, width in sizes):
        raise ReferenceUnusable("masks of one size that is accepted")
    last = int(masks.frames.max(initial=0)) + 1
    if sized.frames is not None and sized.frames < last:
        raise ReferenceUnusable("masks in the frames that there are")
    return _Drawn(masks, crowd_marks(sized.masks), next(iter(sizes), None), sized.frames or last)


def class_names(key: KeyReader, value: object) -> list[str]:
    """The labels that a reference gives, an empty one for what has no name."""
    found = _parsed(key, value)
    if isinstance(found, _Drawn):
        return list(found.masks.labels)
    return [name for picture in found for name in (picture.classes or {0: ""}).values()]


def read_map(key: KeyReader, value: object, classes: Classes) -> NDArray[np.int32]:
    """The label map int32 [height, width] of one picture: VOID, 0 background, numbers of classes.

    Masks are painted by ascending score, so that of those that overlap the surest is seen.
    """
    found = _parsed(key, value)
    if isinstance(found, _Drawn):
        if found.size is None or found.frames > 1:
            raise ReferenceUnusable("masks of one picture, whose size is said")
        painted = paint(found.masks, found.size, classes)
        assert painted is not None
        return painted
    if len(found) != 1:
        raise ReferenceUnusable("one picture")
    picture = found[0]
    if picture.classes is None and not picture.void:
        return np.where(_foreground(key, picture), np.int32(classes.number("")), np.int32(0))
    table = np.zeros(_LEVELS, np.int32)
    if picture.classes is None:
        table[1:] = classes.number("")
    else:
        table[list(picture.classes)] = classes.numbers(list(picture.classes.values()))
    table[list(picture.void)] = VOID
    return np.asarray(table[_grey(key, picture)])


def paint(masks: MaskSet, size: Size, classes: Classes) -> NDArray[np.int32] | None:
    """The label map of masks, as :func:`read_map` has it; None where one has another size.

    Frames are not read: a picture has one.
    """
    runs = fitted(masks.runs, size)
    if runs is None:
        return None
    order = np.argsort(masks.scores, kind="stable")
    return label_map(runs.take(order), classes.numbers(masks.labels)[order])


def read_region(key: KeyReader, value: object) -> KnownRegion:
    """The foreground of a picture or a video, all classes together; nothing of it may be void."""
    found = _parsed(key, value)
    if isinstance(found, _Drawn):
        runs = None if found.size is None else fitted(found.masks.runs, found.size)
        if runs is None:
            raise ReferenceUnusable("masks, or a size where there is none")
        return KnownRegion(Region(runs, found.masks.frames), found.frames)
    if any(picture.void for picture in found):
        raise ReferenceUnusable("a picture without void pixels")
    parts = [run_lengths(_foreground(key, picture)[None]) for picture in found]
    if len({part.size for part in parts}) != 1:
        raise ReferenceUnusable("frames of one size")
    masks = joined(parts[0].size, parts)
    return KnownRegion(Region(masks, np.arange(len(parts))), len(parts))


def read_objects(key: KeyReader, value: object) -> KnownObjects:
    """The objects of a picture: its masks, or an object for each grey value that occurs."""
    found = _parsed(key, value)
    if isinstance(found, _Drawn):
        if found.frames > 1:
            raise ReferenceUnusable("masks of one picture")
        masks = fitted(found.masks.runs, found.size or (1, 1))
        assert masks is not None
        return KnownObjects(masks, found.masks.labels, found.crowd, found.size)
    if len(found) != 1 or found[0].void:
        raise ReferenceUnusable("one picture without void pixels")
    picture = found[0]
    if picture.classes is None:
        pixels: NDArray[Any] = _foreground(key, picture)
        levels: Mapping[int, str] = {1: ""}
    else:
        pixels, levels = _grey(key, picture), picture.classes
    present = [level for level in levels if np.any(pixels == level)]
    size = (pixels.shape[0], pixels.shape[1])
    masks = joined(size, [run_lengths((pixels == level)[None]) for level in present])
    crowd = np.zeros(len(present), np.bool_)
    return KnownObjects(masks, [levels[level] for level in present], crowd, size)


def read_foreground(key: KeyReader, value: object) -> NDArray[np.bool_]:
    """The pixels of a mask picture that are not zero, bool [height, width]."""
    if not isinstance(value, str):
        raise ReferenceUnusable("the path of a mask picture")
    return _foreground(key, _picture(value))


def _foreground(key: KeyReader, picture: _Picture) -> NDArray[np.bool_]:
    """bool [height, width]: what has a class, or what is not zero in any channel."""
    if picture.classes is None:
        pixels = key.image(picture.file) != 0
        return pixels if pixels.ndim == 2 else np.asarray(pixels.any(axis=2))
    return np.isin(_grey(key, picture), list(picture.classes))


def _grey(key: KeyReader, picture: _Picture) -> NDArray[Any]:
    pixels = key.image(picture.file)
    if pixels.ndim != 2:
        raise ReferenceUnusable("a label picture of grey values, without a palette")
    return pixels
