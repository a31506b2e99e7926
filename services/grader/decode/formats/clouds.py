"""Point clouds and what is said about their points: PLY, PCD, XYZ, NPY, NPZ, and class lists."""

from __future__ import annotations

import io
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from trimesh.exchange.ply import load_ply

from general_level.submission.codes import Code
from services.grader.decode.formats.arrays import as_classes, as_float, read_numbers, read_text
from services.grader.decode.formats.unusable import Content, check, finite
from services.grader.decode.limits import (
    MAX_ARRAY_FILE_BYTES,
    MAX_FACES,
    MAX_HEADER_BYTES,
    MAX_MOTION_FRAMES,
    MAX_POINTS,
)

_PLY_END: Final = b"end_header"
_PLY_ELEMENTS: Final = 16
_PLY_PROPERTIES: Final = 64
_PCD_TYPES: Final = {"F": "f", "I": "i", "U": "u"}
_PCD_FIELDS: Final = 64


def read_cloud(data: bytes, ending: str) -> Content:
    """``points`` float [points, 3]: the first three numbers of each point, colours are dropped."""
    check(len(data) <= MAX_ARRAY_FILE_BYTES, Code.MEDIA_TOO_LARGE)
    if ending == ".ply":
        check_ply(data)
        numbers = load_ply(io.BytesIO(data), prefer_color=None)["vertices"]
    elif ending == ".pcd":
        numbers = _read_pcd(data)
    elif ending == ".xyz":
        numbers = read_text(data)
    else:
        numbers = read_numbers(data, ending, ("points", "xyz", "arr_0"))
    points = as_float(np.asarray(numbers))
    check(points.ndim == 2 and points.shape[1] >= 3, Code.MEDIA_WRONG_SHAPE)
    return {"points": vertices(points[:, :3])}


def vertices(points: NDArray[Any]) -> NDArray[Any]:
    """Points [n, 3] as they cross; Unusable for none, too many, or numbers that are not finite."""
    check(points.ndim == 2 and points.shape[1] == 3, Code.MEDIA_WRONG_SHAPE)
    check(len(points), Code.MEDIA_NO_CONTENT)
    check(len(points) <= MAX_POINTS, Code.MEDIA_TOO_LARGE)
    return np.ascontiguousarray(finite(as_float(points)))


def check_ply(data: bytes) -> None:
    """Unusable for a PLY header that announces too much, or more than the file can hold.

    Source: G. Turk, "The PLY Polygon File Format", 1994.
    """
    check(data[:4] in (b"ply\n", b"ply\r"))
    end = data.find(_PLY_END, 0, MAX_HEADER_BYTES)
    check(end > 0)
    elements = properties = 0
    for line in data[:end].decode("ascii", "replace").splitlines():
        words = line.split()
        if words[:1] == ["property"]:
            properties += 1
        if words[:1] == ["element"]:
            elements += 1
            check(len(words) == 3 and words[2].isdecimal() and len(words[2]) < 20)
            count = int(words[2])
            limit = MAX_FACES if words[1] == "face" else MAX_POINTS
            check(count <= limit, Code.MEDIA_TOO_LARGE)
            check(count or words[1] != "vertex", Code.MEDIA_NO_CONTENT)
            # Each has at least a byte; a text at least a digit and a line's end.
            check(count <= len(data) - end)
    check(0 < elements <= _PLY_ELEMENTS and properties <= _PLY_PROPERTIES)


def _read_pcd(data: bytes) -> NDArray[Any]:
    """x, y, z of a PCD file of version 0.7, as text or binary; not its compressed form.

    Source: "The PCD (Point Cloud Data) file format", Point Cloud Library's documentation.
    """
    marker = data.find(b"\nDATA ", 0, MAX_HEADER_BYTES)
    check(marker >= 0)
    start = data.find(b"\n", marker + 1) + 1
    check(start > 0)
    fields: dict[str, list[str]] = {}
    for line in data[:start].decode("ascii", "replace").splitlines():
        words = line.split()
        if words and not words[0].startswith("#"):
            fields[words[0]] = words[1:]
    names, types = fields["FIELDS"], fields["TYPE"]
    sizes, counts = fields["SIZE"], fields.get("COUNT", ["1"] * len(names))
    check(len(names) == len(types) == len(sizes) == len(counts) <= _PCD_FIELDS)
    check(all(name in names for name in "xyz") and len(set(names)) == len(names))
    total = int(fields["POINTS"][0])
    check(total >= 0, Code.MEDIA_NO_CONTENT)
    check(total <= MAX_POINTS, Code.MEDIA_TOO_LARGE)
    widths = [int(count) for count in counts]
    check(all(1 <= width <= MAX_HEADER_BYTES for width in widths))
    if fields["DATA"] == ["ascii"]:
        check(total <= len(data))
        table = read_text(data[start:])
        check(len(table) == total)
        places = [sum(widths[: names.index(name)]) for name in "xyz"]
        return table[:, places]
    check(fields["DATA"] == ["binary"])
    record = np.dtype(
        [
            (name, f"<{_PCD_TYPES[kind]}{int(size)}", (width,))
            for name, kind, size, width in zip(names, types, sizes, widths, strict=True)
        ]
    )
    check(len(data) - start == total * record.itemsize)
    rows = np.frombuffer(data, dtype=record, offset=start)
    return np.stack([rows[name][:, 0].astype(np.float64) for name in "xyz"], axis=1)


def read_classes(data: bytes, ending: str) -> Content:
    """``classes`` int32 [points], the class of each point."""
    check(len(data) <= MAX_ARRAY_FILE_BYTES, Code.MEDIA_TOO_LARGE)
    numbers = read_numbers(data, ending, ("labels", "classes", "arr_0"))
    if numbers.ndim == 2 and 1 in numbers.shape:
        numbers = numbers.reshape(-1)
    check(numbers.ndim == 1, Code.MEDIA_WRONG_SHAPE)
    check(len(numbers), Code.MEDIA_NO_CONTENT)
    check(len(numbers) <= MAX_POINTS, Code.MEDIA_TOO_LARGE)
    return {"classes": as_classes(numbers)}


def read_motion(data: bytes, ending: str) -> Content:
    """``motion`` float [frames, features] or [frames, joints, 3]."""
    motion = as_float(read_numbers(data, ending, ("motion", "poses", "joints", "arr_0")))
    shaped = motion.ndim == 2 or (motion.ndim == 3 and motion.shape[2] == 3)
    check(shaped, Code.MEDIA_WRONG_SHAPE)
    check(motion.size, Code.MEDIA_NO_CONTENT)
    check(len(motion) <= MAX_MOTION_FRAMES, Code.MEDIA_TOO_LARGE)
    return {"motion": motion}
