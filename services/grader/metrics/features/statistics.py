"""The Fréchet distance of two sets of features, taken as Gaussians."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

Features = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class FeatureStatistics:
    """What the distance needs of a set of n feature rows; a key seals this and no pictures.

    ``mean`` [d] and ``covariance`` [d, d] (over n - 1; zeros for n = 1) are float64.
    """

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    n: int

    def __post_init__(self) -> None:
        d = len(self.mean)
        if self.n < 1 or self.mean.ndim != 1 or self.covariance.shape != (d, d):
            raise ValueError("statistics are of at least one row, a mean [d], a covariance [d, d]")
        if not (np.isfinite(self.mean).all() and np.isfinite(self.covariance).all()):
            raise ValueError("statistics are finite numbers")

    def __repr__(self) -> str:
        """Sizes only: the numbers belong to a sealed key."""
        return f"FeatureStatistics(d={len(self.mean)}, n={self.n})"


def statistics_of(features: Features) -> FeatureStatistics:
    """The statistics of features [n, d], n at least 1, in float64 whatever came in."""
    rows = np.asarray(features, dtype=np.float64)
    if rows.ndim != 2 or len(rows) == 0:
        raise ValueError("features are [n, d] with at least one row")
    mean = rows.mean(axis=0)
    centred = rows - mean
    return FeatureStatistics(mean, centred.T @ centred / max(len(rows) - 1, 1), len(rows))


def merge(first: FeatureStatistics, second: FeatureStatistics) -> FeatureStatistics:
    """The statistics of both sets together, for sets that do not fit in memory.

    T. F. Chan, G. H. Golub, R. J. LeVeque, "Algorithms for computing the sample variance", 1983.
    """
    n = first.n + second.n
    apart = second.mean - first.mean
    scatter = (first.n - 1) * first.covariance + (second.n - 1) * second.covariance
    scatter = scatter + np.outer(apart, apart) * (first.n * second.n / n)
    return FeatureStatistics(first.mean + apart * (second.n / n), scatter / (n - 1), n)


def frechet_distance(first: FeatureStatistics, second: FeatureStatistics) -> float:
    """|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)); 0 and up, 0 for equal statistics.

    The trace of the root is the sum of the roots of the eigenvalues of F' S2 F for any F with
    F F' = S1: symmetric, so all real, and finite with fewer rows than dimensions, where a matrix
    square root of S1 S2 is not. Source: D. C. Dowson, B. V. Landau, "The Fréchet distance between
    multivariate normal distributions", 1982; M. Heusel et al., NeurIPS 2017, for its use.
    """
    if len(first.mean) != len(second.mean):
        raise ValueError("both sets have features of one dimension")
    factor = _factor(first.covariance)
    roots = _root_sum(factor.T @ second.covariance @ factor)
    return _distance(first.mean, np.trace(first.covariance), second, roots)


def frechet_to(features: Features, reference: FeatureStatistics) -> float:
    """The distance of features [n, d] to a set; the eigenvalue problem is of size min(n, d).

    With X the centred rows over (n - 1)^(1/2), the eigenvalues of S1 S2 other than 0 are those of
    the n x n matrix X S2 X'. Equal to :func:`frechet_distance` of the two statistics.
    """
    rows = np.asarray(features, dtype=np.float64)
    if rows.ndim != 2 or len(rows) == 0 or rows.shape[1] != len(reference.mean):
        raise ValueError("features are [n, d] with the reference's d and at least one row")
    n, d = rows.shape
    if n > d:
        return frechet_distance(statistics_of(rows), reference)
    mean = rows.mean(axis=0)
    centred = (rows - mean) / np.sqrt(max(n - 1, 1))
    roots = _root_sum(centred @ reference.covariance @ centred.T)
    return _distance(mean, np.sum(centred**2), reference, roots)


def _distance(
    mean: NDArray[np.float64], trace: np.floating, second: FeatureStatistics, roots: float
) -> float:
    apart = mean - second.mean
    total = apart @ apart + trace + np.trace(second.covariance) - 2 * roots
    return max(float(total), 0.0)


def _factor(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Some F [d, d] with F F' = covariance: Cholesky's, or by eigenvalues where it is singular."""
    try:
        lower = scipy.linalg.cholesky(covariance, lower=True)
    except np.linalg.LinAlgError:
        values, vectors = scipy.linalg.eigh(covariance)
        return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))
    return np.asarray(lower)


def _root_sum(symmetric: NDArray[np.float64]) -> float:
    """The sum of the roots of the eigenvalues; those within rounding of 0 are 0."""
    values = scipy.linalg.eigvalsh((symmetric + symmetric.T) / 2)
    floor = len(values) * np.finfo(np.float64).eps * max(values.max(), 0.0)
    return float(np.sqrt(values[values > floor]).sum())
