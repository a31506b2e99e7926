"""The real set that FID, FVD, FAD and motion FID compare with: from files, or sealed as statistics.

A key names either the real picture, video, sound or motion of each item, or for every item the same
``.npz`` file with the statistics of a whole real set: ``mean`` [d], ``covariance`` [d, d] (over
count - 1) and ``count``. From files they are computed by the very network that sees the answers.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from hashlib import blake2b
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from general_level.catalogue.limits import MAX_NUMBER_MAGNITUDE
from services.grader.media.binding import MediaJob
from services.grader.media.feature_cache import CachedExtractor
from services.grader.media.key_reader import KeyReader, ReferenceUnusable
from services.grader.metrics.features.statistics import FeatureStatistics, merge, statistics_of
from services.grader.metrics.media import FeatureExtractor, embed_answered

#: The arrays of a file of statistics.
ARRAYS: Final = ("mean", "covariance", "count")
#: Real media whose features are held at a time.
CHUNK: Final = 256
#: How far a covariance may be from symmetric, as a share of its largest entry.
_ASYMMETRY: Final = 1e-6


@dataclass(frozen=True, slots=True)
class RealSet:
    """One metric's real set, of media that ``convert`` makes of answers and ``read`` of paths.

    ``extractor`` is the name of its network, which gives ``width`` features at its published size.
    """

    extractor: str
    width: int
    convert: Callable[[Any], Any]
    read: Callable[[KeyReader, object], Any]

    def columns(self, job: MediaJob) -> tuple[Any, ...]:
        """The answers, and the statistics of the real set."""
        return job.answered(self.convert), self.statistics(job)

    def read_answer(self, key: KeyReader, value: object) -> Any:
        """The statistics or the medium that an accepted answer names."""
        return sealed_statistics(key, value, self.width) or self.read(key, value)

    def statistics(self, job: MediaJob) -> FeatureStatistics:
        """The statistics of the real set: those sealed, or of the real media of all items.

        Computed ones are kept with the network's features where it has a cache. Raises
        ReferenceUnusable where only some items name sealed statistics, or two items two files.
        """
        paths = [_path(value) for accepted in job.references for value in accepted]
        distinct = set(paths)
        sealed = sealed_statistics(job.key, paths[0], self.width)
        others = distinct - {paths[0]}
        if sealed is not None and not others:
            return sealed
        if sealed or any(sealed_statistics(job.key, path, self.width) for path in others):
            raise ReferenceUnusable("one file of statistics for all items, or media only")
        extractor = job.networks(self.extractor)
        if not isinstance(extractor, CachedExtractor):
            return self._computed(job.key, paths, extractor)
        digest = blake2b()
        for path in paths:
            digest.update(blake2b(job.key.file(path)).digest())
        return extractor.statistics(
            digest.digest(), lambda: self._computed(job.key, paths, extractor)
        )

    def _computed(
        self, key: KeyReader, paths: Sequence[str], extractor: FeatureExtractor
    ) -> FeatureStatistics:
        chunks = (paths[start : start + CHUNK] for start in range(0, len(paths), CHUNK))
        media = ((self.read(key, path) for path in chunk) for chunk in chunks)
        return reduce(merge, (statistics_of(embed_answered(extractor, some)[1]) for some in media))


def sealed_statistics(key: KeyReader, value: object, width: int) -> FeatureStatistics | None:
    """The statistics in an ``.npz`` file; None where the value names no file of statistics.

    Raises ReferenceUnusable where the arrays are no statistics of ``width`` features.
    """
    if not isinstance(value, str) or not value.lower().endswith(".npz"):
        return None
    try:
        mean, covariance, count = key.arrays(value, *ARRAYS)
    except ReferenceUnusable:
        return None
    usable = (
        mean.shape == (width,)
        and covariance.shape == (width, width)
        and _plausible(mean)
        and _plausible(covariance)
        and count.size == 1
        and count.dtype.kind in "iu"
        and count.item() >= 1
    )
    if usable:
        mean, covariance = mean.astype(np.float64), covariance.astype(np.float64)
        room = _ASYMMETRY * np.abs(covariance).max()
        usable = (
            np.abs(covariance - covariance.T).max() <= room and covariance.diagonal().min() >= 0
        )
    if not usable:
        raise ReferenceUnusable(
            f"statistics of {width} features: mean [d], covariance [d, d], count"
        )
    return FeatureStatistics(mean, covariance, count.item())


def _plausible(numbers: NDArray[Any]) -> bool:
    # A NaN compares as false.
    return numbers.dtype.kind == "f" and bool((np.abs(numbers) <= MAX_NUMBER_MAGNITUDE).all())


def _path(value: object) -> str:
    if not isinstance(value, str):
        raise ReferenceUnusable("the path of a file that was sealed with the key")
    return posixpath.normpath(value)
