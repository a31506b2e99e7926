"""Small files of known content, written with the standard library and numpy alone.

For warming up a box and for known answers. Whoever needs a file and must not import the libraries
that read it, as the worker, makes it here.
"""

from __future__ import annotations

import io
import json
import struct
import wave
import zlib
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_PNG_COLOURS: Final = {2: 0, 3: 2}  # dimensions of a picture to PNG's colour type
_PLY_HEADER: Final = (
    "ply\nformat {form} 1.0\nelement vertex 3\nproperty float x\nproperty float y\n"
    "property float z\nelement face 1\nproperty list uchar int vertex_indices\nend_header\n"
)
#: The corners of the triangle that :func:`ply` and :func:`glb` hold.
TRIANGLE: Final = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], dtype="<f4")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, bits: int, colour: int, rows: bytes) -> bytes:
    """A PNG of these filtered rows, whatever they are."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(rows))
        + _chunk(b"IEND", b"")
    )


def picture_png(pixels: NDArray[Any]) -> bytes:
    """A picture [height, width] or [height, width, 3] of 8 or 16 bits as a PNG."""
    height, width = pixels.shape[:2]
    bits = pixels.dtype.itemsize * 8
    lines = pixels.astype(f">u{pixels.dtype.itemsize}").reshape(height, -1)
    rows = b"".join(b"\0" + line.tobytes() for line in lines)
    return png(width, height, bits, _PNG_COLOURS[pixels.ndim], rows)


def kitti_png(flow: NDArray[np.float64]) -> bytes:
    """Flow [height, width, 2] as a PNG of three channels of 16 bits."""
    values = np.ones((*flow.shape[:2], 3))
    values[:, :, :2] = flow * 64 + 2**15
    return picture_png(values.astype(np.uint16))


def flo(flow: NDArray[np.float64]) -> bytes:
    """Flow [height, width, 2] as a Middlebury file."""
    height, width = flow.shape[:2]
    return struct.pack("<fii", 202021.25, width, height) + flow.astype("<f4").tobytes()


def avi(frames: NDArray[np.uint8], rate: int = 8) -> bytes:
    """Frames [t, height, width, 3] in RGB as an AVI without compression.

    Rows go from the bottom up, in blue, green, red, filled up to four bytes. Sources: Microsoft,
    "AVI RIFF File Reference" and "BITMAPINFOHEADER structure".
    """
    count, height, width = frames.shape[:3]
    turned = frames[:, ::-1, :, ::-1].reshape(count, height, -1)
    padded = np.pad(turned, ((0, 0), (0, 0), (0, -(3 * width) % 4)))
    size = padded[0].nbytes if count else 0
    main = struct.pack(
        "<14I", 1_000_000 // rate, size * rate, 0, 0, count, 0, 1, size, width, height, 0, 0, 0, 0
    )
    stream = struct.pack("<4s4s3I", b"vids", b"DIB ", 0, 0, 0)
    stream += struct.pack("<8I4H", 1, rate, 0, count, size, 0, 0, 0, 0, 0, width, height)
    bitmap = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, size, 0, 0, 0, 0)
    described = _list(b"strl", _riff(b"strh", stream) + _riff(b"strf", bitmap))
    header = _list(b"hdrl", _riff(b"avih", main) + described)
    movie = _list(b"movi", b"".join(_riff(b"00db", frame.tobytes()) for frame in padded))
    return _riff(b"RIFF", b"AVI " + header + movie)


def _riff(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def _list(kind: bytes, data: bytes) -> bytes:
    return _riff(b"LIST", kind + data)


def wav(samples: Sequence[int] | NDArray[np.int16], rate: int) -> bytes:
    """Samples of 16 bits as a WAV file of one channel."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(np.asarray(samples, dtype="<i2").tobytes())
    return file.getvalue()


def npy(array: object) -> bytes:
    """An NPY file, pickled where the array holds objects."""
    file = io.BytesIO()
    np.save(file, np.asarray(array))
    return file.getvalue()


def npz(**arrays: object) -> bytes:
    """A compressed NPZ file."""
    file = io.BytesIO()
    named: dict[str, Any] = {name: np.asarray(array) for name, array in arrays.items()}
    np.savez_compressed(file, **named)
    return file.getvalue()


def ply(form: str = "ascii") -> bytes:
    """A triangle, as ``ascii`` or ``binary_little_endian``."""
    header = _PLY_HEADER.format(form=form).encode()
    if form == "ascii":
        return header + b"0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n"
    return header + TRIANGLE.tobytes() + struct.pack("<Biii", 3, 0, 1, 2)


def glb(**changes: object) -> bytes:
    """A triangle shown by two nodes; ``changes`` replace parts of its description."""
    scene: dict[str, object] = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"children": [1], "mesh": 0}, {"mesh": 0, "translation": [5, 0, 0]}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"},
            {"bufferView": 1, "componentType": 5125, "count": 3, "type": "SCALAR"},
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": 36},
            {"buffer": 0, "byteOffset": 36, "byteLength": 12},
        ],
        "buffers": [{"byteLength": 48}],
        **changes,
    }
    text = json.dumps(scene).encode()
    text += b" " * (-len(text) % 4)
    binary = TRIANGLE.tobytes() + np.arange(3, dtype="<u4").tobytes()
    body = struct.pack("<II", len(text), 0x4E4F534A) + text
    body += struct.pack("<II", len(binary), 0x004E4942) + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body
