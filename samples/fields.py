"""Fields, masks and meshes as files or JSON, the same bytes for the same content, and back."""

from __future__ import annotations

import io
import struct
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from samples.example import Bytes, Floats

#: The first four bytes of a .flo file.
_FLO_SIGN: Final = struct.pack("<f", 202021.25)
#: Values of a depth picture per metre.
_STEPS_PER_METRE: Final = 1000.0

Faces = NDArray[np.int64]


def flo(flow: Floats) -> bytes:
    """Flow [height, width, 2], x first, in pixels, as a .flo file (Baker et al., IJCV 2011)."""
    height, width = flow.shape[:2]
    return _FLO_SIGN + struct.pack("<ii", width, height) + flow.astype("<f4").tobytes()


def read_flo(data: bytes) -> Floats:
    """The flow [height, width, 2] of a .flo file."""
    width, height = struct.unpack_from("<ii", data, 4)
    flat = np.frombuffer(data, dtype="<f4", offset=12)
    return flat.reshape(height, width, 2).astype(np.float64)


def depth_png(metres: Floats) -> bytes:
    """Depth [height, width] in metres as a PNG of 16 bits, in millimetres; NaN becomes 0."""
    buffer = io.BytesIO()
    steps = np.round(np.nan_to_num(metres) * _STEPS_PER_METRE)
    Image.fromarray(np.clip(steps, 0, 2**16 - 1).astype(np.uint16)).save(buffer, "PNG")
    return buffer.getvalue()


def read_depth_png(data: bytes) -> Floats:
    """The depth [height, width] in metres of a PNG of 16 bits; 0 where it is unknown."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image).astype(np.float64) / _STEPS_PER_METRE


def segments_png(numbers: Bytes) -> bytes:
    """Segment numbers [height, width], below 256, as the red of a PNG, as COCO panoptic has it."""
    buffer = io.BytesIO()
    nothing = np.zeros_like(numbers)
    Image.fromarray(np.stack([numbers, nothing, nothing], axis=2)).save(buffer, "PNG")
    return buffer.getvalue()


def read_segments_png(data: bytes) -> Bytes:
    """The segment numbers [height, width] of such a PNG."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)[:, :, 0]


def npy(array: Floats) -> bytes:
    """An array as an NPY file of half floats: what is written here is within 0.05 %."""
    buffer = io.BytesIO()
    np.save(buffer, array.astype(np.float16), allow_pickle=False)
    return buffer.getvalue()


def read_npy(data: bytes) -> Floats:
    """The array of an NPY file."""
    return np.asarray(np.load(io.BytesIO(data), allow_pickle=False), dtype=np.float64)


def off(vertices: Floats, faces: Faces) -> bytes:
    """Vertices [v, 3] and triangles [f, 3] as an OFF text file, three decimals."""
    lines = ["OFF", f"{len(vertices)} {len(faces)} 0"]
    lines += [f"{x:.3f} {y:.3f} {z:.3f}" for x, y, z in vertices + 0.0]
    lines += [f"3 {a} {b} {c}" for a, b, c in faces.tolist()]
    return "\n".join([*lines, ""]).encode()


def read_off(data: bytes) -> tuple[Floats, Faces]:
    """The vertices [v, 3] and triangles [f, 3] of an OFF text file."""
    _, counts, *lines = data.decode().splitlines()
    count = int(counts.split()[0])
    vertices = np.array([line.split() for line in lines[:count]], dtype=np.float64)
    return vertices, np.array([line.split()[1:] for line in lines[count:]], dtype=np.int64)


def mask_runs(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """A mask [height, width] as COCO's list of runs, column by column, beginning with zeros."""
    flat = mask.T.ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    runs = np.diff(np.concatenate(([0], edges, [len(flat)]))).tolist()
    return {"size": list(mask.shape), "counts": [0, *runs] if flat[0] else runs}


def read_mask_runs(runs: dict[str, Any]) -> NDArray[np.bool_]:
    """The mask [height, width] of a list of runs."""
    height, width = runs["size"]
    inside = np.arange(len(runs["counts"])) % 2 == 1
    return np.asarray(np.repeat(inside, runs["counts"]).reshape(width, height).T)
