"""What a metric of pictures, video, sound or 3D is to the pipeline, and who feeds it features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from services.grader.metrics.result import MetricResult


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


@dataclass(frozen=True, slots=True)
class MediaMetric:
    """One metric as the pipeline calls it: ``function(*columns, **extractors, **options)``.

    ``columns`` are the names of the function's positional parameters in order (aligned columns of
    one entry per item, None where the submission has none), ``extractors`` the names of its keyword
    parameters that are injected networks, ``options`` those that a task of the catalogue may set.
    ``oracle`` names the independent implementation, closed form or published definition that the
    tests compare it with; ``statement`` says in one paragraph what is compared with what, the 0/0
    rule and what a missing item costs.
    """

    id: str
    function: Callable[..., MetricResult]
    columns: tuple[str, ...]
    extractors: tuple[str, ...]
    oracle: str
    statement: str
    options: frozenset[str] = frozenset()
