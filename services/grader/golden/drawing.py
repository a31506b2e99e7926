"""What golden cases are drawn with: masks and pictures from a few characters and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray


def mask(*rows: str) -> dict[str, Any]:
    """A mask from rows of 0 and 1, as COCO's list of runs: column by column, zeros first."""
    pixels = "".join("".join(column) for column in zip(*rows, strict=True))
    counts = [len(list(run)) for _, run in groupby(pixels)]
    return {"size": [len(rows), len(rows[0])], "counts": [0] * (pixels[0] == "1") + counts}


def grey(*rows: Sequence[int], bits: int = 8) -> NDArray[Any]:
    """A picture [height, width] of 8 or 16 bits from rows of numbers."""
    return np.array(rows, dtype=f"u{bits // 8}")


def plain(height: int, width: int, *colour: int) -> NDArray[np.uint8]:
    """A picture [height, width, 3] of one colour: red, green, blue, or one grey."""
    return np.full((height, width, 3), colour, dtype=np.uint8)
