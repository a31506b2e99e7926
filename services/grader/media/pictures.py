"""Pictures of answers and keys as metrics and their networks take them."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.grader.decode.values import as_rgb
from services.grader.media.accepted import firsts
from services.grader.media.binding import MediaJob
from services.grader.media.key_reader import KeyReader, ReferenceUnusable
from services.grader.media.prompts import image_class, text
from services.grader.media.reading import columns_of
from services.grader.metrics.fidelity.ms_ssim import SMALLEST_SIDE

Picture = NDArray[np.uint8]
Columns = tuple[Any, ...]

#: Networks that bring the shorter side to a fixed length see the middle square only. Of a picture
#: that is longer than this many times its shorter side they get the middle part, so that a strip of
#: pixels is not made into gigabytes.
MOST_ASPECT: Final = 16


def middle(pixels: Picture) -> Picture:
    """Pixels [..., h, w, 3], a longer side than MOST_ASPECT shorter ones cut to its middle."""
    height, width = pixels.shape[-3:-1]
    most = MOST_ASPECT * min(height, width)
    top, left = max(height - most, 0) // 2, max(width - most, 0) // 2
    return pixels[..., top : top + most, left : left + most, :]


def seen(answer: NDArray[Any]) -> Picture:
    """A picture as CLIP and DINO get it."""
    return middle(as_rgb(answer))


def read_seen(key: KeyReader, value: object) -> Picture:
    """The picture of a path, as CLIP gets it."""
    return middle(key.rgb(value))


def read_wide(key: KeyReader, value: object) -> Picture:
    """The picture of a path, large enough for five scales of structural similarity."""
    picture = key.rgb(value)
    if min(picture.shape[:2]) < SMALLEST_SIDE:
        raise ReferenceUnusable(f"a picture with sides of {SMALLEST_SIDE} pixels at least")
    return picture


def fit(answer: NDArray[Any], reference: Picture) -> Picture | None:
    """A picture in RGB that has its reference's size."""
    picture = as_rgb(answer)
    return picture if picture.shape == reference.shape else None


#: Pictures beside their target picture, for distances of pixels, and for five scales of structure.
beside_target = columns_of(KeyReader.rgb, fit)
beside_wide_target = columns_of(read_wide, fit)


def with_texts(job: MediaJob) -> Columns:
    """Pictures and their texts."""
    return job.answered(seen), firsts(job, text)


def with_pictures(job: MediaJob) -> Columns:
    """Pictures and their target pictures, of any size."""
    return job.answered(seen), job.expected(read_seen)


def with_classes(job: MediaJob) -> Columns:
    """Pictures and the numbers of their classes."""
    return job.answered(as_rgb), firsts(job, image_class)
