"""Optical flow, depth and surface normals.

Flow: ``.flo`` (Middlebury: the float 202021.25, width, height, then u and v by rows); PNG of three
channels of 16 bits (KITTI: u = (R - 2^15) / 64, v of G likewise, B = 0 where the pixel has none,
which reads as no motion); NPY or NPZ. Depth: PNG of one channel of 16 bits in parts of a metre, or
NPY and NPZ in metres. Sources: Baker et al., IJCV 2011; the readme of KITTI's flow kit.

An answer says something about every pixel. A key may leave pixels out, so :func:`read_known_flow`
and :func:`read_known_depth` keep what the formats say about that.
"""

from __future__ import annotations

import struct
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from general_level.submission.codes import Code
from services.grader.decode.formats.arrays import as_float, read_npy, read_npz, read_numbers
from services.grader.decode.formats.images import check_size, png_header, read_image
from services.grader.decode.formats.unusable import Content, check, finite
from services.grader.decode.formats.videos import open_container
from services.grader.decode.limits import MAX_ARRAY_FILE_BYTES, MAX_IMAGE_FILE_BYTES, MAX_POINTS

_FLO_MAGIC: Final = struct.pack("<f", 202021.25)
_FLO_HEADER_BYTES: Final = 12
_KITTI_ZERO: Final = 2**15
_KITTI_STEPS_PER_PIXEL: Final = 64.0
_COLOUR: Final = 2  # PNG's colour type of three channels

#: A component beyond this says that the flow is not known (the reader of Middlebury's .flo files).
_UNKNOWN_FLOW: Final = 1e9

#: Values of a depth PNG per metre, unless the task's option ``depth_scale`` says otherwise.
DEPTH_STEPS_PER_METRE: Final = 1000.0


def read_flow(data: bytes, ending: str) -> Content:
    """``flow`` float [height, width, 2], or [frames, height, width, 2] from an array file."""
    if ending == ".flo":
        return {"flow": _read_flo(data)}
    if ending == ".png":
        return {"flow": _read_kitti(data)}
    flow = as_float(read_numbers(data, ending, ("flow", "arr_0")))
    check(flow.ndim in (3, 4) and flow.shape[-1] == 2, Code.MEDIA_WRONG_SHAPE)
    check(flow.size, Code.MEDIA_NO_CONTENT)
    return {"flow": flow}


def read_known_flow(data: bytes, ending: str) -> Content:
    """The flow of a key: as :func:`read_flow`, NaN in both components of a pixel without flow.

    Such are B = 0 in a PNG, and in the other formats a component that is not finite or above 1e9.
    """
    if ending == ".png":
        values = _kitti_values(data)
        flow = _kitti_flow(values)
        known = values[:, :, 2] != 0
    else:
        flow = _flo_vectors(data) if ending == ".flo" else as_float(_array(data, ending, "flow"))
        check(flow.ndim in (3, 4) and flow.shape[-1] == 2, Code.MEDIA_WRONG_SHAPE)
        known = (np.abs(flow) <= _UNKNOWN_FLOW).all(axis=-1)  # a NaN compares as false
    return {"flow": np.where(known[..., None], flow, flow.dtype.type(np.nan))}


def _array(data: bytes, ending: str, name: str) -> NDArray[Any]:
    """The array ``name`` of an NPZ file, or the only one of a file, whatever its numbers are."""
    arrays = {name: read_npy(data)} if ending == ".npy" else read_npz(data)
    check(name in arrays or len(arrays) == 1, Code.MEDIA_WRONG_SHAPE)
    return arrays.get(name, next(iter(arrays.values())))


def _read_flo(data: bytes) -> NDArray[Any]:
    return finite(_flo_vectors(data))


def _flo_vectors(data: bytes) -> NDArray[Any]:
    check(len(data) <= MAX_ARRAY_FILE_BYTES, Code.MEDIA_TOO_LARGE)
    check(data.startswith(_FLO_MAGIC) and len(data) >= _FLO_HEADER_BYTES)
    width, height = struct.unpack_from("<ii", data, 4)
    check_size(width, height)
    check(len(data) == _FLO_HEADER_BYTES + width * height * 8)
    flat = np.frombuffer(data, dtype="<f4", offset=_FLO_HEADER_BYTES)
    return flat.reshape(height, width, 2)


def _read_kitti(data: bytes) -> NDArray[Any]:
    values = _kitti_values(data)
    flow = _kitti_flow(values)
    flow[values[:, :, 2] == 0] = 0.0
    return flow


def _kitti_flow(values: NDArray[Any]) -> NDArray[np.float32]:
    """The vectors of all pixels, those that have none included."""
    flow = (values[:, :, :2].astype(np.float32) - _KITTI_ZERO) / _KITTI_STEPS_PER_PIXEL
    return np.asarray(flow, dtype=np.float32)


def _kitti_values(data: bytes) -> NDArray[Any]:
    """R, G and B as they are, 16 bits [height, width, 3]."""
    check(len(data) <= MAX_IMAGE_FILE_BYTES, Code.MEDIA_TOO_LARGE)
    width, height, bits, colour = png_header(data)
    check_size(width, height)
    check(bits == 16 and colour == _COLOUR, Code.MEDIA_WRONG_SHAPE)
    with open_container(data, "png_pipe") as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_type = "NONE"
        stream.codec_context.thread_count = 1
        frame = next(container.decode(stream))
        check((frame.width, frame.height) == (width, height))
        check(frame.format.name == "rgb48be")
        plane = np.frombuffer(frame.planes[0], dtype=">u2")
        rows = plane.reshape(height, frame.planes[0].line_size // 2)
        return rows[:, : 3 * width].reshape(height, width, 3)


def read_depth(data: bytes, ending: str, steps_per_metre: float = DEPTH_STEPS_PER_METRE) -> Content:
    """``depth`` float in metres, [height, width], or [frames, height, width] from an array file."""
    if ending == ".png":
        png_header(data)
        pixels = read_image(data)["pixels"]
        check(pixels.ndim == 2, Code.MEDIA_WRONG_SHAPE)
        return {"depth": pixels.astype(np.float32) / np.float32(steps_per_metre)}
    depth = as_float(read_numbers(data, ending, ("depth", "arr_0")))
    check(depth.ndim in (2, 3), Code.MEDIA_WRONG_SHAPE)
    check(depth.size, Code.MEDIA_NO_CONTENT)
    return {"depth": depth}


def read_known_depth(
    data: bytes, ending: str, steps_per_metre: float = DEPTH_STEPS_PER_METRE
) -> Content:
    """The depth of a key: as :func:`read_depth`, 0 where it is not known.

    Not known is a depth that is not finite or not above 0.
    """
    if ending == ".png":
        return read_depth(data, ending, steps_per_metre)
    depth = as_float(_array(data, ending, "depth"))
    check(depth.ndim in (2, 3), Code.MEDIA_WRONG_SHAPE)
    return {"depth": np.where(np.isfinite(depth) & (depth > 0), depth, depth.dtype.type(0))}


def read_normals(data: bytes, ending: str) -> Content:
    """``normals`` float [points, 3]: an array, or the last three numbers of each line of a text."""
    numbers = as_float(read_numbers(data, ending, ("normals", "arr_0")))
    check(numbers.ndim == 2 and numbers.shape[1] in (3, 6), Code.MEDIA_WRONG_SHAPE)
    check(len(numbers), Code.MEDIA_NO_CONTENT)
    check(len(numbers) <= MAX_POINTS, Code.MEDIA_TOO_LARGE)
    return {"normals": np.ascontiguousarray(numbers[:, -3:])}
