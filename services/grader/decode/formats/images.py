"""PNG, JPEG and WebP as arrays, by Pillow, their sizes looked up in the header first.

A picture keeps what its file has: grey as [height, width] (uint8, or uint16 for 16 bits), colour as
[height, width, 3] uint8 in RGB. Transparency is dropped, orientation marks are not followed, and of
an animation the first picture counts.
"""

from __future__ import annotations

import io
import struct
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from general_level.submission.codes import Code
from services.grader.decode.formats.unusable import Content, check
from services.grader.decode.limits import (
    MAX_IMAGE_FILE_BYTES,
    MAX_IMAGE_PIXELS,
    MAX_IMAGE_SIDE_PIXELS,
)

# Our own limit takes the place of Pillow's, which only warns at first.
Image.MAX_IMAGE_PIXELS = None
Image.init()

_FORMATS: Final = ("PNG", "JPEG", "WEBP")
_GREY_MODES: Final = frozenset({"1", "L", "LA", "La"})
_DEEP_MODES: Final = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})
_PNG: Final = b"\x89PNG\r\n\x1a\n"


def check_size(width: int, height: int) -> None:
    """Unusable for a picture without pixels or with too many."""
    check(width > 0 and height > 0, Code.MEDIA_NO_CONTENT)
    check(
        max(width, height) <= MAX_IMAGE_SIDE_PIXELS and width * height <= MAX_IMAGE_PIXELS,
        Code.MEDIA_TOO_LARGE,
    )


def _webp_size(data: bytes) -> tuple[int, int]:
    """Width and height of a WebP file, whose decoder takes memory before it tells them.

    Source: RFC 9649, sections 2.7 and 3.4; RFC 6386, section 9.1.
    """
    kind, body = data[12:16], data[20:]
    if kind == b"VP8X":
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    if kind == b"VP8L":
        check(body[0] == 0x2F)
        bits = int.from_bytes(body[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    check(kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a")
    width, height = struct.unpack_from("<HH", body, 6)
    return width & 0x3FFF, height & 0x3FFF


def png_header(data: bytes) -> tuple[int, int, int, int]:
    """Width, height, bits of a channel and colour type of a PNG; Unusable where it is none.

    Source: PNG specification (third edition), section 11.2.1.
    """
    check(data.startswith(_PNG) and data[12:16] == b"IHDR" and len(data) >= 33)
    width, height, bits, colour = struct.unpack_from(">IIBB", data, 16)
    return width, height, bits, colour


def read_image(data: bytes) -> Content:
    """``pixels``: uint8 or uint16 [height, width], or uint8 [height, width, 3]."""
    return {"pixels": _pixels(data)}


def read_panoptic(data: bytes) -> Content:
    """``pixels`` int32 [height, width]: R + 256 G + 65536 B of a PNG of 8 bits."""
    png_header(data)
    pixels = _pixels(data)
    check(pixels.dtype == np.uint8, Code.MEDIA_WRONG_SHAPE)
    if pixels.ndim == 2:  # grey: red, green and blue are equal
        return {"pixels": pixels.astype(np.int32) * 0x010101}
    numbers = pixels[:, :, 2].astype(np.int32)
    for channel in (1, 0):
        numbers <<= 8
        numbers |= pixels[:, :, channel]
    return {"pixels": numbers}


def _pixels(data: bytes) -> NDArray[Any]:
    check(len(data) <= MAX_IMAGE_FILE_BYTES, Code.MEDIA_TOO_LARGE)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        check_size(*_webp_size(data))
    elif data.startswith(_PNG):
        check_size(*png_header(data)[:2])
    with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
        check_size(*image.size)
        if image.mode in _DEEP_MODES:
            deep: NDArray[Any] = np.asarray(image)
            return deep.clip(0, 0xFFFF).astype(np.uint16)
        image.load()
        wanted = "L" if image.mode in _GREY_MODES else "RGB"
        pixels: NDArray[Any] = np.array(image if image.mode == wanted else image.convert(wanted))
        return pixels
