"""Alpha mattes: sum of absolute differences and mean squared error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.grader.metrics.media_items import check_finite, check_items
from services.grader.metrics.result import MetricResult, mean_result

#: SAD is printed in thousands, MSE in thousandths.
SAD_UNIT: Final = 1e-3
MSE_UNIT: Final = 1e3

#: An alpha matte: floats [height, width] in 0..1.
Matte = NDArray[np.floating]


def matting_sad(predictions: Sequence[Matte | None], references: Sequence[Matte]) -> MetricResult:
    """The mean over images of sum |a - a*| / 1000, in thousands, lower is better, 0 is perfect.

    Every pixel counts; predicted alpha is clipped to 0..1. ``per_sample`` [n] holds the images'
    sums. A missing item, and a matte of another shape than the key's, gets the largest sum that
    any matte could have, sum max(a*, 1 - a*) / 1000. Source: Rhemann et al., A Perceptually
    Motivated Online Benchmark for Image Matting, CVPR 2009. Raises ValueError for a key outside
    0..1, and for a NaN.
    """
    return _mean_error(predictions, references, lambda error: float(error.sum()) * SAD_UNIT)


def matting_mse(predictions: Sequence[Matte | None], references: Sequence[Matte]) -> MetricResult:
    """The mean over images of mean (a - a*)^2 times 1000; otherwise as :func:`matting_sad`."""
    return _mean_error(
        predictions, references, lambda error: float(np.mean(error * error)) * MSE_UNIT
    )


def _mean_error(
    predictions: Sequence[Matte | None],
    references: Sequence[Matte],
    measure: Callable[[NDArray[np.float64]], float],
) -> MetricResult:
    n = check_items(predictions, references)
    samples = np.zeros(n)
    missing = 0
    for item, (found, key) in enumerate(zip(predictions, references, strict=True)):
        wanted = np.asarray(key, dtype=np.float64)
        if wanted.size == 0 or not ((wanted >= 0) & (wanted <= 1)).all():
            raise ValueError(f"item {item}: a matte of the key lies in 0..1")
        if found is None or found.shape != key.shape:
            missing += 1
            samples[item] = measure(np.maximum(wanted, 1 - wanted))
            continue
        check_finite(found, item)
        samples[item] = measure(np.abs(np.clip(found, 0.0, 1.0) - wanted))
    return mean_result(samples, missing)
