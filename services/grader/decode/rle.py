"""COCO's run-length encoding of masks, decoded without a mask being made.

Column by column, starting with zeros. The text form writes each run in groups of 5 bits, the least
first, in characters from 48 on; 32 says that more groups follow, 16 of the last is the sign; from
the fourth run on, runs are written as the difference to the run two before. Source: COCO API,
``maskApi.h`` and ``maskApi.c``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

_FIRST_CHARACTER: Final = 48
_GROUPS_PER_RUN: Final = 7  # 35 bits: no run of a picture within bounds needs more
_BITS: Final = 5
_FIRST_DIFFERENCE: Final = 3


def decode_counts(counts: str | Sequence[int], pixels: int) -> NDArray[np.int32] | None:
    """The runs int32 of a mask of ``pixels`` (below 2^31), or None where they are not of one."""
    runs = _from_text(counts) if isinstance(counts, str) else _from_list(counts, pixels)
    if runs is None or np.any(runs < 0) or np.any(runs > pixels) or runs.sum() != pixels:
        return None
    return runs.astype(np.int32)


def _from_list(counts: Sequence[int], pixels: int) -> NDArray[np.int64] | None:
    if any(not 0 <= count <= pixels for count in counts):
        return None
    return np.array(counts, dtype=np.int64)


def _from_text(counts: str) -> NDArray[np.int64] | None:
    if not counts.isascii():
        return None
    groups = np.frombuffer(counts.encode("ascii"), dtype=np.uint8).astype(np.int64)
    groups -= _FIRST_CHARACTER
    if len(groups) == 0:
        return groups
    last = (groups & 32) == 0
    if np.any(groups < 0) or np.any(groups >= 64) or not last[-1]:
        return None
    ends = np.flatnonzero(last)
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - starts + 1
    if lengths.max() > _GROUPS_PER_RUN:
        return None
    place = np.arange(len(groups)) - np.repeat(starts, lengths)
    runs = np.add.reduceat((groups & 31) << (_BITS * place), starts)
    runs -= np.where(groups[ends] & 16, np.int64(1) << (_BITS * lengths), 0)
    # Differences to the run two before, so a running sum along the odd and along the even runs.
    for first in (_FIRST_DIFFERENCE - 2, _FIRST_DIFFERENCE - 1):
        runs[first::2] = np.cumsum(runs[first::2])
    return runs


def to_mask(runs: NDArray[np.int32], size: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask bool [height, width] of runs that add up to its pixels."""
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape(size[1], size[0]).T
