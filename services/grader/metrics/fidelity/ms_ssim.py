"""Multi-scale structural similarity.

Z. Wang, E. P. Simoncelli, A. C. Bovik, "Multiscale structural similarity for image quality
assessment", Asilomar 2003. With Gaussian windows (11 x 11, sigma 1.5, only where they fit in the
picture), C1 = (0.01 * 255)^2 and C2 = (0.03 * 255)^2, at scale j the mean contrast-structure is

    cs_j = mean((2 cov + C2) / (var_x + var_y + C2))

and at the last scale it is multiplied by luminance (2 mx my + C1) / (mx^2 + my^2 + C1) before the
mean. MS-SSIM is the product of the five means to the powers WEIGHTS; a mean below 0 counts 0 (its
power is not real). Between scales 2 x 2 means are taken; the last row or column of an odd side is
doubled, as the authors' own code does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from services.grader.metrics.media import check_aligned
from services.grader.metrics.result import MetricResult, mean_result

Picture = NDArray[np.uint8]
Colour = Literal["rgb", "luma"]

#: The exponents of the five scales, from the paper.
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WINDOW = 11
SIGMA = 1.5
C1 = (0.01 * 255) ** 2
C2 = (0.03 * 255) ** 2
#: The shorter side from which the window fits in the smallest scale, in pixels.
SMALLEST_SIDE = (WINDOW - 1) * 2 ** (len(WEIGHTS) - 1) + 1
#: What a missing picture scores: the catalogue's lower end, which maps to a score of 0.
WORST = -1.0
#: ITU-R BT.601 weights of red, green and blue.
LUMA = (0.299, 0.587, 0.114)

_REACH = WINDOW // 2
_DISTANCES = np.arange(WINDOW, dtype=np.float64) - _REACH
_KERNEL = np.exp(-(_DISTANCES**2) / (2 * SIGMA**2))
_KERNEL /= _KERNEL.sum()


def ms_ssim(
    predictions: Sequence[Picture | None],
    references: Sequence[Picture],
    *,
    colour: Colour = "rgb",
) -> MetricResult:
    """The mean MS-SSIM of pictures [height, width, 3] uint8; -1..1 by unit, 0..1 where answered.

    ``colour="rgb"`` takes the mean of the three channels' MS-SSIM, ``"luma"`` that of the weighted
    grey picture (document unwarping is published so). Identical pictures score 1; 0/0 does not
    occur, C1 and C2 are above 0. A missing item, and one of another size than its reference, scores
    -1. Raises ValueError for a reference whose shorter side is below SMALLEST_SIDE (161 pixels).
    """
    n = check_aligned(predictions, references)
    samples = np.full(n, WORST)
    missing = 0
    for item, (prediction, reference) in enumerate(zip(predictions, references, strict=True)):
        if min(reference.shape[:2]) < SMALLEST_SIDE:
            raise ValueError(f"a reference picture has sides of {SMALLEST_SIDE} pixels at least")
        if prediction is None or prediction.shape != reference.shape:
            missing += 1
        else:
            samples[item] = picture_ms_ssim(_planes(prediction, colour), _planes(reference, colour))
    return mean_result(samples, missing)


def picture_ms_ssim(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """The MS-SSIM of two pictures [height, width, channels] float64 0..255, mean over channels."""
    product = np.ones(first.shape[2])
    for scale, weight in enumerate(WEIGHTS):
        last = scale == len(WEIGHTS) - 1
        product *= np.maximum(_similarity(first, second, luminance=last), 0.0) ** weight
        if not last:
            first, second = _halved(first), _halved(second)
    return float(product.mean())


def _similarity(
    first: NDArray[np.float64], second: NDArray[np.float64], *, luminance: bool
) -> NDArray[np.float64]:
    """The mean of contrast-structure, times luminance at the last scale; per channel."""
    mean_first, mean_second = _blurred(first), _blurred(second)
    product, squares = mean_first * mean_second, mean_first**2 + mean_second**2
    covariance = _blurred(first * second) - product
    variances = _blurred(first**2 + second**2) - squares
    local = (2 * covariance + C2) / (variances + C2)
    if luminance:
        local *= (2 * product + C1) / (squares + C1)
    return np.asarray(local.mean(axis=(0, 1)))


def _blurred(planes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Windowed means where the window fits: [height - 10, width - 10, channels]."""
    blurred = cv2.sepFilter2D(planes, cv2.CV_64F, _KERNEL, _KERNEL)
    shaped = np.asarray(blurred, dtype=np.float64).reshape(planes.shape)
    return shaped[_REACH:-_REACH, _REACH:-_REACH]


def _halved(planes: NDArray[np.float64]) -> NDArray[np.float64]:
    """The means of 2 x 2 pixels, the last row or column doubled where the side is odd."""
    height, width = planes.shape[:2]
    if height % 2 or width % 2:
        planes = np.pad(planes, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    rows = planes[0::2] + planes[1::2]
    return (rows[:, 0::2] + rows[:, 1::2]) / 4


def _planes(picture: Picture, colour: Colour) -> NDArray[np.float64]:
    planes = picture.astype(np.float64)
    if planes.ndim == 2:
        planes = planes[:, :, None]
    if colour == "luma" and planes.shape[2] == 3:
        return np.asarray(planes @ np.array(LUMA))[:, :, None]
    return planes
