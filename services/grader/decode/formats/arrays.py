"""NPY and NPZ without pickle, and numbers as text.

The header of an NPY file is taken apart by an expression of our own: nothing in it is evaluated,
and its sizes are checked before an array is made. Source: NEP 1, "A simple file format for NumPy
arrays", versions 1 to 3.
"""

from __future__ import annotations

import io
import re
import zipfile
from math import prod
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from general_level.submission.codes import Code
from services.grader.decode.formats.unusable import check, finite
from services.grader.decode.limits import (
    MAX_ARCHIVE_MEMBERS,
    MAX_ARRAY_BYTES,
    MAX_ARRAY_FILE_BYTES,
    MAX_HEADER_BYTES,
)

_MAGIC: Final = b"\x93NUMPY"
_DIMENSIONS: Final = 8
_HEADER: Final = re.compile(
    rb"\s*\{\s*'descr':\s*(?P<descr>'[^']{0,20}'|\[.*\])\s*,"
    rb"\s*'fortran_order':\s*(?P<fortran>True|False)\s*,"
    rb"\s*'shape':\s*\((?P<shape>[0-9,\sL]*)\)\s*,?\s*\}\s*",
    re.DOTALL,
)
_PLAIN: Final = re.compile(rb"'([<>|=])?([biuf])([1248])'")
_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED: Final = 0x1
_TEXT_NUMBER_BYTES: Final = 2  # a digit and a space: the least that a number takes in a text


def read_npy(data: bytes) -> NDArray[Any]:
    """The array of an NPY file: booleans, integers or floats of any shape, read-only."""
    check(len(data) <= MAX_ARRAY_FILE_BYTES, Code.MEDIA_TOO_LARGE)
    check(data.startswith(_MAGIC) and len(data) >= 12 and data[6] in (1, 2, 3))
    width = 2 if data[6] == 1 else 4
    start = 8 + width
    length = int.from_bytes(data[8:start], "little")
    check(length <= MAX_HEADER_BYTES and start + length <= len(data))
    header = _HEADER.fullmatch(data, start, start + length)
    if header is None:
        check(False)
        raise AssertionError
    plain = _PLAIN.fullmatch(header["descr"])
    check(plain, Code.MEDIA_OBJECTS)
    dtype = np.dtype(header["descr"].strip(b"'").decode("ascii"))
    sides = [int(side) for side in header["shape"].replace(b"L", b"").split(b",") if side.strip()]
    check(len(sides) <= _DIMENSIONS, Code.MEDIA_WRONG_SHAPE)
    size = prod(sides) * dtype.itemsize
    # A zero would hide another side that no array can have.
    check(size <= MAX_ARRAY_BYTES and max(sides, default=0) < 2**31, Code.MEDIA_TOO_LARGE)
    check(len(data) - start - length == size)
    flat = np.frombuffer(data, dtype=dtype, offset=start + length)
    return flat.reshape(sides, order="F" if header["fortran"] == b"True" else "C")


def read_npz(data: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of an NPZ file by name, without ``.npy``; all of them together in bounds."""
    check(len(data) <= MAX_ARRAY_FILE_BYTES, Code.MEDIA_TOO_LARGE)
    check(data.startswith(b"PK"))
    arrays: dict[str, NDArray[Any]] = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        check(len(members) <= MAX_ARCHIVE_MEMBERS, Code.MEDIA_TOO_LARGE)
        check(sum(member.file_size for member in members) <= MAX_ARRAY_BYTES, Code.MEDIA_TOO_LARGE)
        for member in members:
            check(member.filename.endswith(".npy"))
            check(member.compress_type in _METHODS and not member.flag_bits & _ENCRYPTED)
            with archive.open(member) as file:
                content = file.read(member.file_size + 1)
            check(len(content) == member.file_size)
            arrays[member.filename.removesuffix(".npy")] = read_npy(content)
    check(arrays, Code.MEDIA_NO_CONTENT)
    return arrays


def read_numbers(data: bytes, ending: str, names: tuple[str, ...]) -> NDArray[Any]:
    """The one array of an NPY, NPZ or text file, its numbers finite.

    Of several arrays in an NPZ it is the first that has one of ``names``; Unusable where none has.
    """
    if ending == ".npy":
        return finite(read_npy(data))
    if ending == ".npz":
        arrays = read_npz(data)
        if len(arrays) == 1:
            return finite(next(iter(arrays.values())))
        known = [name for name in names if name in arrays]
        check(known, Code.MEDIA_WRONG_SHAPE)
        return finite(arrays[known[0]])
    return finite(read_text(data))


def read_text(data: bytes) -> NDArray[Any]:
    """Numbers of a text, float64 [lines, numbers]; commas count as spaces, # begins a comment."""
    check(len(data) <= MAX_ARRAY_FILE_BYTES // _TEXT_NUMBER_BYTES, Code.MEDIA_TOO_LARGE)
    check(data.isascii() and b"\0" not in data)
    most = MAX_ARRAY_BYTES // 8
    lines = data.count(b"\n") + 1
    widest = data.find(b"\n")
    first = data[: widest if widest >= 0 else len(data)]
    check(lines <= most and len(first) <= MAX_HEADER_BYTES, Code.MEDIA_TOO_LARGE)
    text = data.replace(b",", b" ") if b"," in first else data
    table = np.loadtxt(io.BytesIO(text), dtype=np.float64, ndmin=2, encoding="ascii")
    check(table.size, Code.MEDIA_NO_CONTENT)
    return table


def as_float(numbers: NDArray[Any]) -> NDArray[Any]:
    """Numbers as float32 where they are small floats, as float64 otherwise; little-endian, C."""
    check(numbers.dtype.kind in "iuf", Code.MEDIA_WRONG_SHAPE)
    small = numbers.dtype.kind == "f" and numbers.dtype.itemsize <= 4
    check(numbers.size * (4 if small else 8) <= MAX_ARRAY_BYTES, Code.MEDIA_TOO_LARGE)
    return np.ascontiguousarray(numbers, dtype="<f4" if small else "<f8")


def as_classes(numbers: NDArray[Any]) -> NDArray[Any]:
    """Whole numbers as int32; Unusable where one is none, or out of int32's range."""
    check(numbers.dtype.kind in "iuf", Code.MEDIA_WRONG_SHAPE)
    low, high = -(2**31), 2**31 - 1
    if numbers.size:
        check(numbers.min() >= low and numbers.max() <= high, Code.MEDIA_NOT_FINITE)
    whole = numbers.astype(np.int32)
    check((whole == numbers).all(), Code.MEDIA_WRONG_SHAPE)
    return whole
