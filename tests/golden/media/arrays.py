"""Arrays as JSON, for vectors whose columns are media: type, shape, and the bytes packed."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray


def packed(array: NDArray[Any]) -> dict[str, Any]:
    """An array as an object of JSON."""
    data = base64.b64encode(zlib.compress(np.ascontiguousarray(array).tobytes(), 9)).decode()
    return {"dtype": array.dtype.str, "shape": list(array.shape), "data": data}


def unpacked(entry: Any) -> Any:
    """The array of an object that :func:`packed` made, also in lists; anything else as it is."""
    if isinstance(entry, list):
        return [unpacked(one) for one in entry]
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data"}:
        return entry
    data = zlib.decompress(base64.b64decode(entry["data"]))
    return np.frombuffer(data, dtype=entry["dtype"]).reshape(entry["shape"])
