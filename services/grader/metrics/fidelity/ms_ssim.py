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
#: Planes of memory that one scale needs.
_BUFFERS = 5
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
    height, width, channels = first.shape
    room = np.empty((_BUFFERS, height * width))
    values = []
    for channel in range(channels):
        one, two = (np.ascontiguousarray(side[:, :, channel]) for side in (first, second))
        values.append(_plane_ms_ssim(one, two, room))
    return float(np.mean(values))


def _plane_ms_ssim(
    first: NDArray[np.float64], second: NDArray[np.float64], room: NDArray[np.float64]
) -> float:
    """The MS-SSIM of two planes [height, width]; ``room`` as in :func:`_similarity`."""
    product = 1.0
    for scale, weight in enumerate(WEIGHTS):
        last = scale == len(WEIGHTS) - 1
        product *= max(_similarity(first, second, room, luminance=last), 0.0) ** weight
        if not last:
            first, second = _halved(first), _halved(second)
    return product


def _similarity(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    room: NDArray[np.float64],
    *,
    luminance: bool,
) -> float:
    """The mean of contrast-structure, times luminance at the last scale.

    ``room`` [_BUFFERS, pixels or more] is overwritten: memory that is asked for and given back for
    each of the steps takes longer than they do.
    """
    one, two, three, four, five = (row[: first.size].reshape(first.shape) for row in room)
    mean_first, mean_second = _blurred(first, one), _blurred(second, two)
    covariance = _blurred(np.multiply(first, second, out=three), four)
    product = np.multiply(mean_first, mean_second, out=_inside(three))
    covariance -= product
    squares = np.square(mean_first, out=mean_first)
    squares += np.square(mean_second, out=mean_second)
    energy = np.square(first, out=two)
    energy += np.square(second, out=five)
    variances = _blurred(energy, five)
    variances -= squares
    # From here on covariance becomes (2 cov + C2) / (variances + C2), times luminance.
    covariance *= 2
    covariance += C2
    variances += C2
    covariance /= variances
    if luminance:
        covariance *= (2 * product + C1) / (squares + C1)
    return float(covariance.mean())


def _blurred(plane: NDArray[np.float64], out: NDArray[np.float64]) -> NDArray[np.float64]:
    """Windowed means where the window fits [height - 10, width - 10], in ``out``."""
    cv2.sepFilter2D(plane, cv2.CV_64F, _KERNEL, _KERNEL, dst=out)
    return _inside(out)


def _inside(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where the window fits."""
    return plane[_REACH:-_REACH, _REACH:-_REACH]


def _halved(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """The means of 2 x 2 pixels, the last row or column doubled where the side is odd."""
    height, width = plane.shape
    if height % 2 or width % 2:
        plane = np.pad(plane, ((0, height % 2), (0, width % 2)), mode="edge")
    rows = plane[0::2] + plane[1::2]
    return (rows[:, 0::2] + rows[:, 1::2]) / 4


def _planes(picture: Picture, colour: Colour) -> NDArray[np.float64]:
    planes = picture.astype(np.float64)
    if planes.ndim == 2:
        planes = planes[:, :, None]
    if colour == "luma" and planes.shape[2] == 3:
        return np.asarray(planes @ np.array(LUMA))[:, :, None]
    return planes
