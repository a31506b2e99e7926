"""Cosines of embeddings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def unit_rows(embeddings: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows [n, d] over their lengths; 0/0: a row of length 0 stays 0, at a cosine of 0 to all.

    A row is first divided by its largest entry, so that no square overflows or vanishes.
    """
    largest = np.abs(embeddings).max(axis=1, keepdims=True, initial=0.0)
    scaled = embeddings / np.where(largest > 0, largest, 1.0)
    lengths = np.linalg.norm(scaled, axis=1, keepdims=True)
    return np.asarray(scaled / np.where(lengths > 0, lengths, 1.0))


def pair_cosines(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """The cosine [n] of row i of [n, d] with row i of [n, d]; -1..1."""
    cosines = np.einsum("ij,ij->i", unit_rows(first), unit_rows(second))
    return np.asarray(np.clip(cosines, -1.0, 1.0))


def all_cosines(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """The cosines [n, m] of every row of [n, d] with every row of [m, d]; -1..1."""
    return np.asarray(np.clip(unit_rows(first) @ unit_rows(second).T, -1.0, 1.0))
