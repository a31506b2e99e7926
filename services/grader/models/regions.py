"""Named regions in the language of Florence-2, and one list of objects out of two answers.

An answer is names and, after each, the corners of its boxes as tokens of 0..999: shares of a
thousandth of the width and the height in turn, left, top, right, bottom.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from services.grader.metrics.motion.detections import Detection, box_iou

#: Steps of a side that a corner can lie in.
BINS: Final = 1000
#: A caption is of an object when its box covers the object's so far, as IoU.
LEAST_IOU: Final = 0.5

_REGION: Final = re.compile(r"([^<>]+)((?:<loc_\d+>)+)")
_CORNER: Final = re.compile(r"<loc_(\d+)>")
#: What begins, ends and fills up an answer.
_FRAME: Final = re.compile(r"<s>|</s>|<pad>")


@dataclass(frozen=True, slots=True)
class Region:
    """A name or a description, and its ``box`` (left, top, right, bottom) in pixels."""

    text: str
    box: tuple[float, float, float, float]


def regions(answer: str, width: int, height: int) -> list[Region]:
    """The regions that an answer names, in its order, for a picture of so many pixels.

    A corner is the middle of its step. A name may have several boxes. What is not a name with at
    least four corners is passed over, and so are corners beyond a multiple of four, and boxes
    without an area.
    """
    found = []
    for text, corners in _REGION.findall(_FRAME.sub("", answer)):
        steps = [min(int(corner), BINS - 1) + 0.5 for corner in _CORNER.findall(corners)]
        for start in range(0, len(steps) - 3, 4):
            left, top, right, bottom = steps[start : start + 4]
            if left < right and top < bottom and text.strip():
                across, down = width / BINS, height / BINS
                box = (left * across, top * down, right * across, bottom * down)
                found.append(Region(text.strip(), box))
    return found


def described(objects: Sequence[Region], captions: Sequence[Region]) -> list[Detection]:
    """The objects, each with the caption whose box fits it best.

    The first of equally good ones; none where no box of a caption reaches an IoU of 0.5.
    """
    return [Detection(each.text, each.box, _caption(each, captions)) for each in objects]


def _caption(region: Region, captions: Sequence[Region]) -> str:
    best = max(captions, key=lambda caption: box_iou(region.box, caption.box), default=None)
    if best is None or box_iou(region.box, best.box) < LEAST_IOU:
        return ""
    return best.text
