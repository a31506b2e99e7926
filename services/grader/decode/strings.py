"""Texts and groups as columns: bytes or rows one after another, and where each begins."""

from __future__ import annotations

import itertools
from collections.abc import Sequence, Sized
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.grader.decode.frames import Arrays, FrameInvalid, array


def groups_of(values: Sequence[Sized]) -> NDArray[np.int64]:
    """Offsets int64 [n + 1] of n lists that are laid one after another."""
    groups = np.zeros(len(values) + 1, dtype=np.int64)
    np.cumsum([len(value) for value in values], out=groups[1:])
    return groups


def pack_strings(prefix: str, strings: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Strings as ``<prefix>.text`` uint8 [bytes] and ``<prefix>.offsets`` int64 [n + 1]."""
    encoded = [string.encode() for string in strings]
    return {
        f"{prefix}.text": np.frombuffer(b"".join(encoded), dtype=np.uint8),
        f"{prefix}.offsets": groups_of(encoded),
    }


def check_offsets(offsets: NDArray[np.int64], total: int, max_count: int) -> None:
    """FrameInvalid unless ``offsets`` [n + 1] rises from 0 to ``total`` with n <= ``max_count``."""
    if not 1 <= len(offsets) <= max_count + 1:
        raise FrameInvalid("a column of a length out of range")
    if offsets[0] != 0 or offsets[-1] != total or np.any(offsets[1:] < offsets[:-1]):
        raise FrameInvalid("offsets that do not rise from zero to the end")


def unpack_strings(arrays: Arrays, prefix: str, max_count: int) -> list[str]:
    """The strings of a text column; FrameInvalid unless each is valid UTF-8 by itself."""
    text = array(arrays, f"{prefix}.text", "u1")
    offsets = array(arrays, f"{prefix}.offsets", "<i8")
    check_offsets(offsets, len(text), max_count)
    data = text.tobytes()
    bounds = offsets.tolist()
    try:
        return [data[a:b].decode() for a, b in itertools.pairwise(bounds)]
    except UnicodeDecodeError:
        raise FrameInvalid("text that is not UTF-8") from None
