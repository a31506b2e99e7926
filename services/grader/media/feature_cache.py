"""Features that were computed once, for all metrics, tasks and both sides of a comparison.

Of networks that give one row for each medium, which depends on that medium only. A row is found by
the content of its medium, so it never matters who named it; what is asked for again costs a hash
instead of a pass of the network. In the last bits of float32 a row differs with the batch that it
was computed in, and so with what was known already; the tests of the networks bound that.

For one thread, as a scorer has it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from hashlib import blake2b
from typing import Any, Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from services.grader.metrics.features.statistics import FeatureStatistics

T = TypeVar("T")
Row = NDArray[np.float64]

#: The extractors that give one row for each medium or text.
ROW_WISE: Final = frozenset(
    {
        "clip_image",
        "clip_text",
        "clip_image_large",
        "dino_image",
        "inception_pool",
        "class_probabilities",
        "musiq_score",
        "video_resnet",
        "viclip_video",
        "viclip_text",
        "action_probabilities",
        "clap_audio",
        "clap_text",
        "audio_embedding",
        "motion_embedding",
    }
)
#: What all rows together may take, and all statistics, in bytes.
ROWS_BYTES: Final = 256 * 1024 * 1024
STATISTICS_BYTES: Final = 256 * 1024 * 1024


class Bounded(Generic[T]):
    """Values by key, as many as fit into ``limit_bytes``; what was used longest ago goes first."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._held: OrderedDict[tuple[str, bytes], tuple[T, int]] = OrderedDict()
        self.used_bytes = 0

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: tuple[str, bytes]) -> T | None:
        """The value, which then counts as just used; None where it is not held."""
        if key not in self._held:
            return None
        self._held.move_to_end(key)
        return self._held[key][0]

    def put(self, key: tuple[str, bytes], value: T, size_bytes: int) -> None:
        """Holds a value; one larger than the limit is not held."""
        if key in self._held:
            self.used_bytes -= self._held.pop(key)[1]
        if size_bytes > self._limit_bytes:
            return
        self._held[key] = (value, size_bytes)
        self.used_bytes += size_bytes
        while self.used_bytes > self._limit_bytes:
            _, (_, freed) = self._held.popitem(last=False)
            self.used_bytes -= freed


class CachedExtractor:
    """A FeatureExtractor or TextEncoder that asks its network for what is not held only."""

    def __init__(
        self,
        name: str,
        network: Callable[[Sequence[Any]], NDArray[Any]],
        rows: Bounded[Row],
        statistics: Bounded[FeatureStatistics],
    ) -> None:
        self._name = name
        self._network = network
        self._rows = rows
        self._statistics = statistics

    def __call__(self, media: Sequence[Any], /) -> NDArray[np.float64]:
        """The rows [n, d] of ``media``, in their order; each new content goes to the network once.

        Raises ValueError where the network gives another number of rows.
        """
        digests: list[bytes] = []
        contents: dict[bytes, Any] = {}
        for medium in media:
            digests.append(content_digest(medium))
            contents[digests[-1]] = medium
        if not digests:
            return np.asarray(self._network([]), dtype=np.float64)
        rows: dict[bytes, Row] = {}
        for digest in contents:
            held = self._rows.get((self._name, digest))
            if held is not None:
                rows[digest] = held
        new = [digest for digest in contents if digest not in rows]
        if new:
            for digest, row in zip(new, self._made([contents[each] for each in new]), strict=True):
                rows[digest] = row.copy()  # a view would keep the whole batch
                self._rows.put((self._name, digest), rows[digest], row.nbytes)
        return np.stack([rows[digest] for digest in digests])

    def _made(self, media: Sequence[Any]) -> NDArray[np.float64]:
        made = np.asarray(self._network(media), dtype=np.float64)
        if made.ndim != 2 or len(made) != len(media):
            raise ValueError(f"a network gave the shape {made.shape} for {len(media)} media")
        return made

    def statistics(
        self, content: bytes, compute: Callable[[], FeatureStatistics]
    ) -> FeatureStatistics:
        """The statistics of a set of media by a digest of its content, computed where not held."""
        held = self._statistics.get((self._name, content))
        if held is None:
            held = compute()
            size = held.mean.nbytes + held.covariance.nbytes
            self._statistics.put((self._name, content), held, size)
        return held


class CachedNetworks:
    """Networks by name with those of one row for each medium cached; others pass as they are."""

    def __init__(
        self,
        networks: Callable[[str], Any],
        *,
        row_wise: Collection[str] = ROW_WISE,
        rows_bytes: int = ROWS_BYTES,
        statistics_bytes: int = STATISTICS_BYTES,
    ) -> None:
        self._networks = networks
        self._row_wise = frozenset(row_wise)
        self._rows: Bounded[Row] = Bounded(rows_bytes)
        self._statistics: Bounded[FeatureStatistics] = Bounded(statistics_bytes)
        self._wrapped: dict[str, CachedExtractor] = {}

    def __call__(self, name: str, /) -> Any:
        """The extractor of this name; raises what the networks raise."""
        if name not in self._row_wise:
            return self._networks(name)
        if name not in self._wrapped:
            network = self._networks(name)
            self._wrapped[name] = CachedExtractor(name, network, self._rows, self._statistics)
        return self._wrapped[name]


def content_digest(medium: NDArray[Any] | str) -> bytes:
    """What tells two media apart: type, shape and bytes of an array, or a text."""
    digest = blake2b(digest_size=32)
    if isinstance(medium, str):
        digest.update(b"text:")
        digest.update(medium.encode("utf-8", "surrogatepass"))
    else:
        digest.update(f"{medium.dtype.str}{medium.shape}:".encode())
        digest.update(np.ascontiguousarray(medium).data)
    return digest.digest()
