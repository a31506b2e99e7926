"""One tiny file of each format, made when a box starts and read before its walls go up.

Reading them loads whatever the libraries load late. They are made here and not stored, so that no
binary file has to be kept and trusted.
"""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Iterator
from typing import Any, Final, cast

import av
import numpy as np
import soundfile  # type: ignore[import-untyped]
from numpy.typing import NDArray
from PIL import Image

from general_level.catalogue.model import AnswerKind

_SIDE: Final = 16
_RATE_HZ: Final = 16_000

_PLY_HEADER: Final = (
    "ply\nformat {form} 1.0\nelement vertex 3\nproperty float x\nproperty float y\n"
    "property float z\nelement face 1\nproperty list uchar int vertex_indices\nend_header\n"
)
_TRIANGLE: Final = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], dtype="<f4")
_OBJ: Final = b"v 0 0 0\nv 1 0 0\nv 0 1 0\nv 1 1 0\nf 1 2 3\nf 2 4 3\n"
_OFF: Final = b"OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n"
_STL: Final = (
    b"solid a\nfacet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1 0 0\nvertex 0 1 0\n"
    b"endloop\nendfacet\nendsolid a\n"
)
_PCD: Final = (
    b"# .PCD v0.7\nVERSION 0.7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\nWIDTH 3\n"
    b"HEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS 3\nDATA "
)


def picture(mode: str, form: str, side: int = _SIDE) -> bytes:
    """A grey square in a Pillow mode and format."""
    file = io.BytesIO()
    Image.new(mode, (side, side), 100 if len(mode) == 1 else None).save(file, form)
    return file.getvalue()


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


def kitti_png(flow: NDArray[np.float64]) -> bytes:
    """Flow [height, width, 2] as a PNG of three channels of 16 bits."""
    height, width = flow.shape[:2]
    values = np.ones((height, width, 3))
    values[:, :, :2] = flow * 64 + 2**15
    lines = values.astype(">u2").reshape(height, -1)
    return png(width, height, 16, 2, b"".join(b"\0" + line.tobytes() for line in lines))


def flo(flow: NDArray[np.float64]) -> bytes:
    """Flow [height, width, 2] as a Middlebury file."""
    height, width = flow.shape[:2]
    return struct.pack("<fii", 202021.25, width, height) + flow.astype("<f4").tobytes()


def video(container: str, codec: str, frames: int = 2, side: int = _SIDE) -> bytes:
    """A black video."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = cast("av.VideoStream", output.add_stream(codec, rate=8))
        stream.width = stream.height = side
        stream.pix_fmt = "rgb8" if codec == "gif" else "yuv420p"
        stream.codec_context.thread_count = 1
        for _ in range(frames):
            frame = av.VideoFrame.from_ndarray(np.zeros((side, side, 3), np.uint8), "rgb24")
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return file.getvalue()


def m4a(samples: int = 4096) -> bytes:
    """Silence in AAC."""
    file = io.BytesIO()
    with av.open(file, "w", format="ipod") as output:
        stream = output.add_stream("aac", rate=_RATE_HZ, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, samples), np.float32), "fltp", "mono")
        frame.sample_rate = _RATE_HZ
        output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return file.getvalue()


def sound(form: str, subtype: str | None = None, samples: int = 1000) -> bytes:
    """Silence, by libsndfile."""
    file = io.BytesIO()
    soundfile.write(file, np.zeros(samples), _RATE_HZ, subtype=subtype, format=form)
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
    return header + _TRIANGLE.tobytes() + struct.pack("<Biii", 3, 0, 1, 2)


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
    binary = _TRIANGLE.tobytes() + np.arange(3, dtype="<u4").tobytes()
    body = struct.pack("<II", len(text), 0x4E4F534A) + text
    body += struct.pack("<II", len(binary), 0x004E4942) + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body


def _samples() -> Iterator[tuple[AnswerKind, str, bytes]]:
    kind = AnswerKind
    yield kind.IMAGE, ".png", picture("RGB", "PNG")
    yield kind.IMAGE, ".png", picture("I;16", "PNG")
    yield kind.IMAGE, ".jpg", picture("L", "JPEG")
    yield kind.IMAGE, ".webp", picture("RGB", "WEBP")
    yield kind.PANOPTIC, ".png", picture("RGB", "PNG")
    yield kind.VIDEO, ".mp4", video("mp4", "mpeg4")
    yield kind.VIDEO, ".mkv", video("matroska", "ffv1")
    yield kind.VIDEO, ".avi", video("avi", "mpeg4")
    yield kind.VIDEO, ".gif", video("gif", "gif")
    yield kind.AUDIO, ".wav", sound("WAV")
    yield kind.AUDIO, ".flac", sound("FLAC")
    yield kind.AUDIO, ".ogg", sound("OGG")
    yield kind.AUDIO, ".mp3", sound("MP3")
    yield kind.AUDIO, ".m4a", m4a()
    yield kind.FLOW, ".flo", flo(np.zeros((4, 4, 2)))
    yield kind.FLOW, ".png", kitti_png(np.zeros((4, 4, 2)))
    yield kind.FLOW, ".npy", npy(np.zeros((4, 4, 2), np.float32))
    yield kind.DEPTH, ".png", picture("I;16", "PNG")
    yield kind.DEPTH, ".npz", npz(depth=np.zeros((4, 4)), other=np.zeros(1))
    yield kind.NORMALS, ".txt", b"0 0 1\n0 1 0\n"
    yield kind.POINT_CLOUD, ".ply", ply()
    yield kind.POINT_CLOUD, ".ply", ply("binary_little_endian")
    yield kind.POINT_CLOUD, ".xyz", b"0 0 1\n0 1 0\n"
    yield kind.POINT_CLOUD, ".pcd", _PCD + b"ascii\n0 0 0\n1 0 0\n0 1 0\n"
    yield kind.POINT_CLOUD, ".pcd", _PCD + b"binary\n" + _TRIANGLE.tobytes()
    yield kind.MESH, ".ply", ply()
    yield kind.MESH, ".off", _OFF
    yield kind.MESH, ".obj", _OBJ
    yield kind.MESH, ".stl", _STL
    yield kind.MESH, ".glb", glb()
    yield kind.MOTION, ".npy", npy(np.zeros((4, 22, 3), np.float32))
    yield kind.POINT_LABELS, ".txt", b"0\n1\n"
    # What is wrong takes other ways through a library, so each sort is seen once, cut in half.
    yield kind.IMAGE, ".png", picture("RGB", "PNG")[:60]
    yield kind.IMAGE, ".webp", picture("RGB", "WEBP")[:40]
    yield kind.VIDEO, ".mp4", video("mp4", "mpeg4")[:200]
    yield kind.AUDIO, ".flac", sound("FLAC")[:60]
    yield kind.POINT_CLOUD, ".xyz", b"0 0 x\n"
    yield kind.MESH, ".obj", _OBJ[:20]
    yield kind.MESH, ".glb", glb()[:-60]
    yield kind.MESH, ".ply", ply()[:-8]


#: Answer kind, ending of the file's name, and the file.
SAMPLES: Final = tuple(_samples())
