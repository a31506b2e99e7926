"""The metrics of generated media against scikit-image, torchmetrics, torch, scipy and their like.

    python -m tests.benchmarks.bench_generation_metrics [PART ...]

Pictures go in as 8-bit arrays on both sides, so a library's time holds what it makes of them. Where
a library computes in the precision it is given, that is float32, as it is usually called; ours is
float64. torchmetrics' MS-SSIM is another one in two points, channels pooled before the product and
a mirrored border at the last scale, hence its difference. MS-SSIM is 0..1, PSNR in dB, distances in
the data's own units.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from skimage.metrics import peak_signal_noise_ratio

from services.grader.metrics.features.statistics import (
    FeatureStatistics,
    frechet_distance,
    statistics_of,
)
from services.grader.metrics.fidelity.ms_ssim import ms_ssim
from services.grader.metrics.fidelity.psnr import psnr
from services.grader.metrics.shape.chamfer import chamfer
from tests.benchmarks import comparisons
from tests.benchmarks.comparisons import Comparison
from tests.benchmarks.photographs import degraded, photographs

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # deprecations inside the libraries, not ours
    import point_cloud_utils
    import pytorch_msssim
    import torch
    from torchmetrics.functional.image import (
        multiscale_structural_similarity_index_measure as torch_ms_ssim,
    )
    from torchmetrics.functional.image import peak_signal_noise_ratio as torch_psnr

SEED = 20241202

Picture = NDArray[np.uint8]
Cloud = NDArray[np.float64]


def pictures(count: int, side: int) -> tuple[list[Picture], list[Picture]]:
    """Photographs, and a model's: the same after JPEG of qualities from 20 up."""
    references = photographs(count, side)
    return [degraded(whole, 20 + number) for number, whole in enumerate(references)], references


def structure() -> Iterator[Comparison]:
    count, side = 50, 512
    predictions, references = pictures(count, side)
    data = f"{count} pictures of {side} x {side}"

    def ours() -> float:
        return ms_ssim(predictions, references).value

    def theirs(measure: Callable[..., torch.Tensor]) -> float:
        values = [
            float(measure(planes(found), planes(wanted), data_range=255.0))
            for found, wanted in zip(predictions, references, strict=True)
        ]
        return float(np.mean(values))

    for library, measure in (
        ("pytorch-msssim", pytorch_msssim.ms_ssim),
        ("torchmetrics", torch_ms_ssim),
    ):
        call = functools.partial(theirs, measure)
        yield Comparison("MS-SSIM", f"{library}, float32", data, ours, call)


def planes(picture: Picture) -> torch.Tensor:
    """A picture as torch's libraries take it: float32 [1, 3, height, width]."""
    return torch.from_numpy(picture).permute(2, 0, 1)[None].float()


def decibels() -> Iterator[Comparison]:
    count, side = 50, 512
    predictions, references = pictures(count, side)
    pairs = list(zip(predictions, references, strict=True))
    data = f"{count} pictures of {side} x {side}"

    def ours() -> float:
        return psnr(predictions, references).value

    def scikit_image() -> float:
        return float(np.mean([peak_signal_noise_ratio(wanted, found) for found, wanted in pairs]))

    def torchmetrics() -> float:
        values = []
        for pair in pairs:
            found, wanted = (torch.from_numpy(picture).float() for picture in pair)
            values.append(float(torch_psnr(found, wanted, data_range=255.0)))
        return float(np.mean(values))

    yield Comparison("PSNR", "scikit-image", data, ours, scikit_image)
    yield Comparison("PSNR", "torchmetrics, float32", data, ours, torchmetrics)


def surfaces(random: np.random.Generator, points: int) -> Cloud:
    """Points [points, 3] of a torus with a rough surface, as a scan of an object has them."""
    around, across = random.uniform(0, 2 * np.pi, (2, points))
    reach = 1 + 0.4 * np.cos(across)
    clean = np.stack((reach * np.cos(around), reach * np.sin(around), 0.4 * np.sin(across)), axis=1)
    return clean + random.normal(0, 0.01, clean.shape)


def clouds() -> Iterator[Comparison]:
    count, points = 10, 10_000
    random = np.random.default_rng(SEED)
    references = [surfaces(random, points) for _ in range(count)]
    predictions = [surfaces(random, points) + random.normal(0, 0.02, 3) for _ in range(count)]
    pairs = list(zip(predictions, references, strict=True))
    data = f"{count} pairs of {points} points"

    def ours() -> float:
        return chamfer(predictions, references).value

    def by_torch() -> float:
        return float(np.mean([both_ways(*pair) for pair in pairs]))

    def by_point_cloud_utils() -> float:
        return float(np.mean([point_cloud_utils.chamfer_distance(*pair) for pair in pairs]))

    yield Comparison("Chamfer", "point-cloud-utils", data, ours, by_point_cloud_utils)
    yield Comparison("Chamfer", "torch.cdist, float32", data, ours, by_torch)


def both_ways(first: Cloud, second: Cloud) -> float:
    """The sum of the mean distances to the nearest neighbour, a thousand rows at a time."""
    found, wanted = (torch.from_numpy(side).float() for side in (first, second))
    forth = []
    back = torch.full((len(wanted),), torch.inf)
    for rows in torch.split(found, 1000):
        table = torch.cdist(rows, wanted)
        forth.append(table.min(dim=1).values)
        back = torch.minimum(back, table.min(dim=0).values)
    return float(torch.cat(forth).double().mean() + back.double().mean())


def distance_of_sets() -> Iterator[Comparison]:
    width = 2048
    random = np.random.default_rng(SEED)
    mixing = random.normal(size=(width, width)) / np.sqrt(width)

    def features(count: int, shift: float) -> FeatureStatistics:
        return statistics_of(np.maximum(random.normal(shift, 1, (count, width)) @ mixing, 0))

    first, second = features(3000, 0.0), features(4000, 0.1)

    def by_matrix_root() -> float:
        root = scipy.linalg.sqrtm(first.covariance @ second.covariance)
        apart = first.mean - second.mean
        spread = np.trace(first.covariance) + np.trace(second.covariance)
        return float(apart @ apart + spread - 2 * np.trace(root).real)

    yield Comparison(
        "Fréchet distance",
        "scipy.linalg.sqrtm",
        f"two sets of {first.n} and {second.n} features of {width} numbers",
        lambda: frechet_distance(first, second),
        by_matrix_root,
    )


PARTS: comparisons.Parts = {
    "ms-ssim": structure,
    "psnr": decibels,
    "chamfer": clouds,
    "frechet": distance_of_sets,
}


def main() -> None:
    comparisons.run(PARTS, __doc__)


if __name__ == "__main__":
    main()
