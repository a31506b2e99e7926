"""What a metric of pictures, video, sound or 3D is to the pipeline, and who feeds it features."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from services.grader.metrics.result import MetricResult

#: Media of a column that an extractor is given at a time, fewer where they pass BATCH_BYTES; bounds
#: the memory of a column, whatever a lab sends.
BATCH = 64
BATCH_BYTES = 512 * 1024 * 1024


class FeatureExtractor(Protocol):
    """Media to features: n arrays in, an array [n, d] of float64 out, row i of array i.

    A metric is defined over features; the network that makes them, its weights, batch size and
    device stay outside. A row depends on its own array only, so features can be kept and shared.
    """

    def __call__(self, media: Sequence[NDArray[Any]], /) -> NDArray[Any]:
        """The features of ``media``."""


class TextEncoder(Protocol):
    """Texts to features: n strings in, an array [n, d] of float64 out."""

    def __call__(self, texts: Sequence[str], /) -> NDArray[Any]:
        """The features of ``texts``."""


class Transcriber(Protocol):
    """Speech to text: n waveforms in, n transcripts out."""

    def __call__(self, media: Sequence[NDArray[Any]], /) -> Sequence[str]:
        """The transcripts of ``media``."""


class SequenceExtractor(Protocol):
    """Media to series of features: n arrays in, n arrays [t, d] of float64 out."""

    def __call__(self, media: Sequence[NDArray[Any]], /) -> Sequence[NDArray[Any]]:
        """The feature series of each of ``media``."""


@dataclass(frozen=True, slots=True)
class MediaMetric:
    """One metric as the pipeline calls it: ``function(*columns, **extractors, **options)``.

    ``columns`` are the names of the function's positional parameters in order (aligned columns of
    one entry per item, None where the submission has none), ``extractors`` the names of its keyword
    parameters that are injected networks, ``options`` those that a task of the catalogue may set.
    ``oracle`` names the independent implementation, closed form or published definition that the
    tests compare it with; ``statement`` says in one paragraph what is compared with what, the 0/0
    rule and what a missing item costs. Columns of media are read once, from first to last.
    """

    id: str
    function: Callable[..., MetricResult]
    columns: tuple[str, ...]
    extractors: tuple[str, ...]
    oracle: str
    statement: str
    options: frozenset[str] = frozenset()


def embed(extractor: FeatureExtractor, media: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
    """The features [n, d] of ``media`` as float64, the extractor's promise checked.

    Raises ValueError for another number of rows, another rank or a number that is not finite: a
    fault of the network or its weights, never of an answer.
    """
    return _checked(extractor(media), len(media))


def embed_answered(
    extractor: FeatureExtractor, column: Iterable[NDArray[Any] | None]
) -> tuple[list[int], NDArray[np.float64]]:
    """The positions of a column's media, and their features [m, d] in that order.

    The column is read once, a batch at a time (BATCH, BATCH_BYTES), so that it may decode an item
    when it is asked for and need not hold them all. Without any medium the features are [0, 0].
    """
    positions: list[int] = []
    parts: list[NDArray[np.float64]] = []
    waiting: list[NDArray[Any]] = []
    held_bytes = 0
    for position, medium in enumerate(column):
        if medium is not None:
            positions.append(position)
            waiting.append(medium)
            held_bytes += medium.nbytes
        if len(waiting) == BATCH or held_bytes >= BATCH_BYTES:
            parts.append(embed(extractor, waiting))
            waiting, held_bytes = [], 0
    if waiting:
        parts.append(embed(extractor, waiting))
    return positions, np.concatenate(parts) if parts else np.empty((0, 0))


def embed_texts(encoder: TextEncoder, texts: Sequence[str]) -> NDArray[np.float64]:
    """The features [n, d] of ``texts``; as :func:`embed`."""
    return _checked(encoder(texts), len(texts))


def check_aligned(*columns: Sequence[object]) -> int:
    """The number of items n of aligned columns; ValueError where it is 0 or the lengths differ."""
    n = len(columns[0])
    if n == 0:
        raise ValueError("a key has at least one item")
    if any(len(column) != n for column in columns):
        raise ValueError(f"columns of {[len(column) for column in columns]} items")
    return n


def fill(n: int, given: Sequence[int], values: NDArray[np.float64], worst: float) -> NDArray[Any]:
    """Per item [n] the values of the items at ``given``, and ``worst`` for every other one."""
    samples = np.full(n, worst, dtype=np.float64)
    samples[list(given)] = values
    return samples


def _checked(features: NDArray[Any], n: int) -> NDArray[np.float64]:
    found = np.asarray(features, dtype=np.float64)
    if found.ndim != 2 or len(found) != n:
        raise ValueError(f"an extractor gave the shape {found.shape} for {n} media")
    if not np.isfinite(found).all():
        raise ValueError("an extractor gave a number that is not finite")
    return found
