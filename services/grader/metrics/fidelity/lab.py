"""Shadow removal: the colour error in CIE L*a*b* between an output and the shadow-free picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from services.grader.metrics.media import check_aligned
from services.grader.metrics.result import MetricResult, mean_result

Picture = NDArray[np.uint8]
Form = Literal["mae", "rmse"]

#: The ends of L*, a* and b* over all sRGB colours of 8 bits, rounded outwards.
LOWEST = np.array([0.0, -86.2, -107.9])
HIGHEST = np.array([100.0, 98.3, 94.5])

#: IEC 61966-2-1: linear light of the 256 levels.
_LEVELS = np.arange(256) / 255.0
_LINEAR = np.where(_LEVELS > 0.04045, ((_LEVELS + 0.055) / 1.055) ** 2.4, _LEVELS / 12.92)
#: Linear sRGB to XYZ, rows over the D65 white (2 degrees).
_WHITE = np.array([0.95047, 1.0, 1.08883])
_TO_XYZ = (
    np.array(
        [
            [0.412453, 0.357580, 0.180423],
            [0.212671, 0.715160, 0.072169],
            [0.019334, 0.119193, 0.950227],
        ]
    )
    / _WHITE[:, None]
)


def shadow_error(
    predictions: Sequence[Picture | None],
    references: Sequence[Picture],
    *,
    form: Form = "mae",
) -> MetricResult:
    """The mean LAB error of pictures [height, width, 3] uint8, in LAB units; 0 is perfect.

    ``form="mae"``: per picture the mean over pixels of |dL| + |da| + |db|, which the shadow removal
    papers compute and print as RMSE. ``form="rmse"``: per picture the root of the mean over pixels
    of dL^2 + da^2 + db^2. Mean over pictures; 0/0 does not occur. A missing item, and one of
    another size than its reference, costs what no picture can exceed: each channel of each pixel as
    far off as sRGB reaches. Source: J. Wang, X. Li, J. Yang, "Stacked conditional generative
    adversarial networks for jointly learning shadow detection and shadow removal", CVPR 2018.
    """
    n = check_aligned(predictions, references)
    samples = np.empty(n)
    missing = 0
    for item, (prediction, reference) in enumerate(zip(predictions, references, strict=True)):
        wanted = rgb_to_lab(reference)
        if prediction is None or prediction.shape != reference.shape:
            missing += 1
            error = np.maximum(wanted - LOWEST, HIGHEST - wanted)
        else:
            error = np.abs(rgb_to_lab(prediction) - wanted)
        if form == "mae":
            samples[item] = error.sum(axis=-1).mean()
        else:
            samples[item] = np.sqrt((error**2).sum(axis=-1).mean())
    return mean_result(samples, missing)


def rgb_to_lab(picture: Picture) -> NDArray[np.float64]:
    """CIE 1976 L*a*b* (D65, 2 degrees) of sRGB pictures [..., 3] uint8; L* is 0..100."""
    if picture.dtype != np.uint8 or picture.ndim < 1 or picture.shape[-1] != 3 or not picture.size:
        raise ValueError("a picture in colour has three channels of 8 bits")
    xyz = _LINEAR[picture] @ _TO_XYZ.T
    curved = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = curved[..., 0], curved[..., 1], curved[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)
