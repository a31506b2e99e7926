"""Typed arrays that cross from one process to another over a pipe.

A frame is a prefix, a header that describes each array, and the arrays' raw bytes:

    prefix   magic "GLFR", version u16, arrays u16, header bytes u32, payload bytes u64
    header   per array: name length u8, name, dtype code u8, dimensions u8, shape u64 each
    payload  per array: its C-order little-endian bytes, padded with zeros to 8

The writer may be hostile (a decode box that a lab's file has taken over), so the reader checks
every count against a limit before it allocates anything, and what it returns cannot be written to.
Nothing here executes, names or unpickles what it reads.
"""

from __future__ import annotations

import asyncio
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from types import MappingProxyType
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

#: A named set of arrays; the unit that processes exchange.
Arrays = Mapping[str, NDArray[Any]]

MAGIC: Final = b"GLFR"
VERSION: Final = 1
MAX_DIMENSIONS: Final = 8
MAX_NAME_BYTES: Final = 40

_PREFIX: Final = struct.Struct("<4sHHIQ")
PREFIX_BYTES: Final = _PREFIX.size
_ALIGNMENT_BYTES: Final = 8
_ANY_SIDE: Final = 64  # a side that an array without elements may have in any frame
_NAME: Final = re.compile(rb"[a-z][a-z0-9_.]*")

#: The only types that cross. The position is the code on the wire: append, never reorder.
DTYPES: Final[tuple[np.dtype[Any], ...]] = tuple(
    np.dtype(name) for name in ("|u1", "<i2", "<i4", "<i8", "<u2", "<f4", "<f8")
)
_CODE_OF: Final = {dtype: code for code, dtype in enumerate(DTYPES)}


class FrameInvalid(Exception):
    """What was read is not a frame within its limits.

    ``why`` is one of our own sentences and repeats nothing that was read.
    """

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"not a frame within its limits: {why}")


@dataclass(frozen=True, slots=True)
class FrameLimits:
    """What one frame may be at most."""

    arrays: int = 32
    header_bytes: int = 4096
    payload_bytes: int = 512 * 1024 * 1024


#: For frames that carry codes and numbers only.
SMALL: Final = FrameLimits(payload_bytes=1024 * 1024)


class ByteSource(Protocol):
    """A blocking stream, for example a pipe opened for reading."""

    def read(self, size: int, /) -> bytes | None:
        """Up to ``size`` bytes, none at the end."""


@dataclass(frozen=True, slots=True)
class Prefix:
    """The sizes that a frame announces, checked against the limits."""

    arrays: int
    header_bytes: int
    payload_bytes: int


@dataclass(frozen=True, slots=True)
class _Spec:
    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return prod(self.shape) * self.dtype.itemsize


def _padded(nbytes: int) -> int:
    return -(-nbytes // _ALIGNMENT_BYTES) * _ALIGNMENT_BYTES


def encode(arrays: Arrays) -> list[bytes | memoryview]:
    """The frame of ``arrays`` as buffers to write one after another.

    Raises ValueError for an array that no frame can carry: that is a fault of the caller.
    """
    header = bytearray()
    payload: list[bytes | memoryview] = []
    size = 0
    for name, array in arrays.items():
        code = _CODE_OF.get(array.dtype)
        encoded = name.encode()
        if code is None or array.ndim > MAX_DIMENSIONS:
            raise ValueError(f"no frame carries {array.dtype} with {array.ndim} dimensions")
        if not _NAME.fullmatch(encoded) or len(encoded) > MAX_NAME_BYTES:
            raise ValueError("array names are short lower-case words")
        header += struct.pack("<B", len(encoded)) + encoded
        header += struct.pack(f"<BB{array.ndim}Q", code, array.ndim, *array.shape)
        if array.nbytes:
            flat = np.ascontiguousarray(array).reshape(-1)
            payload.append(flat.view(np.uint8).data)
            if padding := _padded(array.nbytes) - array.nbytes:
                payload.append(bytes(padding))
        size += _padded(array.nbytes)
    prefix = _PREFIX.pack(MAGIC, VERSION, len(arrays), len(header), size)
    return [prefix + bytes(header), *payload]


def parse_prefix(data: bytes, limits: FrameLimits) -> Prefix:
    """The sizes that ``data`` (PREFIX_BYTES long) announces; FrameInvalid over a limit."""
    magic, version, arrays, header_bytes, payload_bytes = _PREFIX.unpack(data)
    if magic != MAGIC or version != VERSION:
        raise FrameInvalid("wrong magic or version")
    if arrays > limits.arrays:
        raise FrameInvalid("too many arrays")
    if header_bytes > limits.header_bytes:
        raise FrameInvalid("header too large")
    if payload_bytes > limits.payload_bytes:
        raise FrameInvalid("payload too large")
    return Prefix(arrays, header_bytes, payload_bytes)


def _parse_header(prefix: Prefix, header: bytes) -> list[_Spec]:
    specs: list[_Spec] = []
    names: set[str] = set()
    position = total = 0
    try:
        for _ in range(prefix.arrays):
            (length,) = struct.unpack_from("<B", header, position)
            name = header[position + 1 : position + 1 + length]
            if not _NAME.fullmatch(name) or length > MAX_NAME_BYTES or len(name) != length:
                raise FrameInvalid("an array's name is not a short lower-case word")
            position += 1 + length
            code, dimensions = struct.unpack_from("<BB", header, position)
            if code >= len(DTYPES) or dimensions > MAX_DIMENSIONS:
                raise FrameInvalid("an array of a type or rank that does not cross")
            shape = struct.unpack_from(f"<{dimensions}Q", header, position + 2)
            position += 2 + 8 * dimensions
            spec = _Spec(name.decode("ascii"), DTYPES[code], shape)
            # A zero in the shape would hide another dimension that numpy cannot represent.
            if any(side > max(prefix.payload_bytes, _ANY_SIDE) for side in shape):
                raise FrameInvalid("a shape larger than the payload")
            if spec.name in names:
                raise FrameInvalid("two arrays of one name")
            names.add(spec.name)
            specs.append(spec)
            total += _padded(spec.nbytes)
    except struct.error:
        raise FrameInvalid("header too short") from None
    if position != len(header):
        raise FrameInvalid("header too long")
    if total != prefix.payload_bytes:
        raise FrameInvalid("the arrays do not fill the payload")
    return specs


def parse(prefix: Prefix, body: bytes | memoryview) -> Arrays:
    """The arrays of a frame whose header and payload are ``body``, which nobody changes any more.

    All are read-only views of it.
    """
    specs = _parse_header(prefix, bytes(body[: prefix.header_bytes]))
    payload = memoryview(body)[prefix.header_bytes :]
    arrays: dict[str, NDArray[Any]] = {}
    position = 0
    for spec in specs:
        end = position + spec.nbytes
        flat = np.frombuffer(payload[position:end], dtype=spec.dtype)
        if spec.dtype.kind == "f" and not np.isfinite(flat).all():
            raise FrameInvalid("a number that is not finite")
        position += _padded(spec.nbytes)
        if any(payload[end:position]):
            raise FrameInvalid("padding that is not zero")
        arrays[spec.name] = flat.reshape(spec.shape)
    return MappingProxyType(arrays)


def _read_exactly(source: ByteSource, size: int) -> bytes:
    parts: list[bytes] = []
    while size:
        part = source.read(size)
        if not part:
            raise EOFError("the other process closed its pipe")
        parts.append(part)
        size -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def read(source: ByteSource, limits: FrameLimits) -> Arrays:
    """The next frame of a blocking stream. EOFError at its end, FrameInvalid over a limit."""
    prefix = parse_prefix(_read_exactly(source, PREFIX_BYTES), limits)
    return parse(prefix, _read_exactly(source, prefix.header_bytes + prefix.payload_bytes))


async def read_async(source: asyncio.StreamReader, limits: FrameLimits) -> Arrays:
    """The next frame of an asyncio stream. EOFError at its end, FrameInvalid over a limit."""
    prefix = parse_prefix(await source.readexactly(PREFIX_BYTES), limits)
    return parse(prefix, await source.readexactly(prefix.header_bytes + prefix.payload_bytes))


def array(arrays: Arrays, name: str, dtype: str, dimensions: int = 1) -> NDArray[Any]:
    """The array of this name; FrameInvalid unless it has this dtype and rank."""
    found = arrays.get(name)
    if found is None or found.dtype != np.dtype(dtype) or found.ndim != dimensions:
        raise FrameInvalid("an expected array is absent or of another type")
    return found


def from_bytes(data: bytes) -> NDArray[np.uint8]:
    """Bytes as an array [n] that a frame carries."""
    return np.frombuffer(data, dtype=np.uint8)
