"""One tiny file of each format, made when a box starts and read before its walls go up.

Reading them loads whatever the libraries load late. They are made here and not stored, so that no
binary file has to be kept and trusted.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Final, cast

import av
import numpy as np
import soundfile  # type: ignore[import-untyped]
from PIL import Image

from general_level.catalogue.model import AnswerKind
from services.grader.decode.formats.writers import TRIANGLE, flo, glb, kitti_png, npy, npz, ply

_SIDE: Final = 16
_RATE_HZ: Final = 16_000

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
    yield kind.POINT_CLOUD, ".pcd", _PCD + b"binary\n" + TRIANGLE.tobytes()
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
