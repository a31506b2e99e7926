"""Freezes what independent libraries say about small cases of generated media.

    python -m tests.golden.media.make_generation

Writes ``generation.json`` beside this file: for each case the metric, its options, columns and
networks, and the value that somebody else's code gives; the versions of the libraries are in the
file. Of a metric of features the media are the features themselves. The libraries are those of our
own development environment; ``make`` has the evaluators that cannot live beside ours.
"""

from __future__ import annotations

import importlib.metadata
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, SupportsFloat

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from scipy.spatial.distance import cdist, pdist
from skimage.color import rgb2lab
from skimage.metrics import peak_signal_noise_ratio
from sklearn.metrics import jaccard_score, mean_absolute_error, top_k_accuracy_score
from sklearn.metrics.pairwise import cosine_similarity

from tests.golden.media.arrays import packed

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # deprecations inside the libraries, not ours
    import jiwer
    import point_cloud_utils  # type: ignore[import-untyped]
    import torch
    from pycocoevalcap.cider.cider import Cider  # type: ignore[import-untyped]
    from pytorch_msssim import ms_ssim  # type: ignore[import-untyped]

VECTORS = Path(__file__).with_name("generation.json")
LIBRARIES = (
    "numpy",
    "scipy",
    "scikit-image",
    "scikit-learn",
    "pytorch-msssim",
    "torch",
    "jiwer",
    "pycocoevalcap",
    "point-cloud-utils",
)
Array = NDArray[Any]

SAID = ["the cat sat on the mat", "a dog", "three old birds fly over the sea", "one two"]
HEARD = ["the cat sat on a mat", "a dog barks loud now", "three birds fly over sea", ""]
TEXTS = ["a red square", "two dogs in the snow", "a calm sea"]


def case(
    metric: str,
    source: str,
    columns: Sequence[Any],
    value: SupportsFloat,
    *,
    options: dict[str, Any] | None = None,
    networks: dict[str, Any] | None = None,
    tolerance: float = 1e-9,
) -> dict[str, Any]:
    """One case; arrays of the columns are packed."""

    def written(entry: Any) -> Any:
        if isinstance(entry, list):
            return [written(one) for one in entry]
        return packed(entry) if isinstance(entry, np.ndarray) else entry

    return {
        "metric": metric,
        "source": source,
        "options": options or {},
        "columns": [written(list(column)) for column in columns],
        "networks": networks or {},
        "value": float(value),
        "tolerance": tolerance,
    }


def blocks(seed: int, *shape: int, size: int = 1) -> Array:
    """Pictures [..., height, width, 3] of squares of one colour."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (*shape[:-2], shape[-2] // size, shape[-1] // size, 3))
    return small.repeat(size, axis=-3).repeat(size, axis=-2).astype(np.uint8)


def near(pictures: Array, seed: int, size: int = 12) -> Array:
    """Pictures a little off."""
    noise = np.random.default_rng(seed).integers(-size, size + 1, pictures.shape)
    return np.clip(pictures.astype(int) + noise, 0, 255).astype(np.uint8)


def decibels(wanted: Array, found: Array) -> float:
    return float(peak_signal_noise_ratio(wanted, found))  # type: ignore[no-untyped-call]


def fidelity() -> list[dict[str, Any]]:
    true = [blocks(seed, 12, 16) for seed in range(3)]
    made = [near(picture, 10 + seed) for seed, picture in enumerate(true)]
    pairs = list(zip(true, made, strict=True))
    videos = [blocks(seed, 4, 8, 10) for seed in (20, 21)]
    shown = [near(video, 30 + seed) for seed, video in enumerate(videos)]
    frames = [pair for both in zip(videos, shown, strict=True) for pair in zip(*both, strict=True)]
    apart = [rgb2lab(found) - rgb2lab(wanted) for wanted, found in pairs]
    large = blocks(40, 176, 192, size=16)
    hazy = (large // 2 + blocks(41, 176, 192, size=8) // 4).astype(np.uint8)
    planes = [torch.from_numpy(one.transpose(2, 0, 1)[None].astype(float)) for one in (hazy, large)]
    still = [
        1 - mean_absolute_error(video[1:].ravel(), video[:-1].ravel()) / 255 for video in shown
    ]
    return [
        case(
            "psnr",
            "scikit-image peak_signal_noise_ratio",
            (made, true),
            np.mean([decibels(*pair) for pair in pairs]),
        ),
        case(
            "video-psnr",
            "scikit-image peak_signal_noise_ratio",
            (shown, videos),
            np.mean([decibels(*pair) for pair in frames]),
        ),
        case(
            "ms-ssim",
            "pytorch-msssim ms_ssim",
            ([hazy], [large]),
            ms_ssim(*planes, data_range=255).item(),
            tolerance=2e-6,  # its window is of single precision
        ),
        case(
            "shadow-rmse",
            "scikit-image rgb2lab",
            (made, true),
            np.mean([np.abs(one).sum(axis=-1).mean() for one in apart]),
        ),
        case(
            "shadow-rmse",
            "scikit-image rgb2lab",
            (made, true),
            np.mean([np.sqrt((one**2).sum(axis=-1).mean()) for one in apart]),
            options={"form": "rmse"},
        ),
        case(
            "l1-distance",
            "scikit-learn mean_absolute_error",
            (shown,),
            100 * np.mean(still),
        ),
    ]


def sets() -> list[dict[str, Any]]:
    made = []
    for metric, network, rows in (
        ("fid", "inception_pool", 20),
        ("fvd", "video_resnet", 9),
        ("fad", "audio_embedding", 5),
        ("motion-fid", "motion_embedding", 30),
    ):
        rng = np.random.default_rng(rows)
        found, real = rng.normal(size=(rows, 6)) + 1, rng.normal(size=(40, 6)) * 2
        mean, spread = real.mean(axis=0), np.cov(real.T)
        root = scipy.linalg.sqrtm(np.cov(found.T) @ spread).real
        apart = found.mean(axis=0) - mean
        value = apart @ apart + np.trace(np.cov(found.T) + spread - 2 * root)
        statistics = {"mean": packed(mean), "covariance": packed(spread), "n": 40}
        # With fewer rows than features the root is of a singular matrix, and less exact.
        one = case(metric, "scipy sqrtm", (found,), value, networks={network: None}, tolerance=1e-6)
        one["columns"] = [[packed(row) for row in found], statistics]
        made.append(one)
    return made


def cosines() -> list[dict[str, Any]]:
    rng = np.random.default_rng(7)
    shown, wanted, other = (list(rng.normal(size=(3, 5))) for _ in range(3))
    frames = [rng.normal(size=(4, 5)) + 1 for _ in range(3)]
    words = {text: packed(row) for text, row in zip(TEXTS, wanted, strict=True)}
    pairs = 100 * cosine_similarity(shown, wanted).diagonal().mean()
    against = [
        cosine_similarity(rows, [text])[:, 0] for rows, text in zip(frames, wanted, strict=True)
    ]
    styles = [
        cosine_similarity(rows, [one, two]).mean()
        for rows, one, two in zip(frames, wanted, other, strict=True)
    ]
    nearer = [
        np.mean(cosine_similarity(rows, [wanted[item], wanted[item - 1]]).argmax(axis=1) == 0)
        for item, rows in enumerate(frames)
    ]
    course = []
    for rows in frames:
        table = np.maximum(cosine_similarity(rows), 0)
        course.append((table[0, 1:] + table.diagonal(1)).mean() / 2)
    source = "scikit-learn cosine_similarity"
    clip = {"clip_image": None, "clip_text": words}
    clap = {"clap_audio": None, "clap_text": words}
    both = [[one, two] for one, two in zip(wanted, other, strict=True)]
    return [
        case("clip-score", source, (shown, TEXTS), pairs, networks=clip),
        case("clip-image-score", source, (shown, wanted), pairs, networks={"clip_image": None}),
        case("clap-score", source, (shown, TEXTS), pairs, networks=clap),
        case("style-clap", source, (shown, wanted), pairs, networks=clap),
        *(
            case(metric, source, (frames, TEXTS), 100 * np.mean(against), networks=clip)
            for metric in ("appearance-style", "render-clip-text")
        ),
        *(
            case(
                metric, source, (frames, both), 100 * np.mean(styles), networks={"clip_image": None}
            )
            for metric in ("clip-style", "render-clip-image")
        ),
        case(
            "frame-accuracy",
            source,
            (frames, TEXTS, [TEXTS[item - 1] for item in range(3)]),
            100 * np.mean(nearer),
            networks=clip,
        ),
        case("dino-score", source, (frames,), 100 * np.mean(course), networks={"dino_image": None}),
        case(
            "background-consistency",
            source,
            (frames,),
            100 * np.mean(course),
            networks={"clip_image": None},
        ),
        case(
            "camera-motion-success",
            source,
            (shown, TEXTS),
            100 * np.maximum(cosine_similarity(shown, wanted).diagonal(), 0).mean(),
            networks={"viclip_video": None, "viclip_text": words},
        ),
    ]


def verdicts() -> list[dict[str, Any]]:
    rng = np.random.default_rng(9)
    logits = rng.normal(size=(12, 8)) * 4
    rows = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    classes = rng.integers(0, 8, 12).tolist()
    named = [*rows[:9].argmax(axis=1).tolist(), *classes[9:]]
    sure = [float(row[number] >= 0.85) for row, number in zip(rows, named, strict=True)]
    assert 0 < sum(sure) < len(sure)
    recognised = top_k_accuracy_score(
        named, rows, k=5, labels=range(8), normalize=False, sample_weight=sure
    )
    return [
        case(
            "classified-image-accuracy",
            "scikit-learn top_k_accuracy_score",
            (list(rows), classes),
            100 * top_k_accuracy_score(classes, rows, k=2, labels=range(8)),
            options={"ways": 8, "top": 2},
            networks={"class_probabilities": None},
        ),
        case(
            "action-success",
            "scikit-learn top_k_accuracy_score of the sure ones",
            (list(rows), named),
            100 * recognised / len(rows),
            networks={"action_probabilities": None},
        ),
    ]


def sounds() -> list[dict[str, Any]]:
    numbered = [np.array([float(place)]) for place in range(len(SAID))]
    accepted = [[text] for text in SAID]
    closed = [(a.replace(" ", ""), b.replace(" ", "")) for a, b in zip(SAID, HEARD, strict=True)]
    cider, _ = Cider().compute_score(
        dict(enumerate(accepted)), {place: [text] for place, text in enumerate(HEARD)}
    )
    rng = np.random.default_rng(11)
    first, second = rng.normal(size=(2, 9, 13))
    unit = 10 / np.log(10) * np.sqrt(2)
    heard = {"transcriber": HEARD}
    return [
        case(
            "wer-speech",
            "jiwer wer, per item",
            (numbered, accepted),
            100 * np.mean([jiwer.wer(*pair) for pair in zip(SAID, HEARD, strict=True)]),
            networks=heard,
        ),
        case(
            "wer-speech",
            "jiwer cer without spaces, per item",
            (numbered, accepted),
            100 * np.mean([jiwer.cer(*pair) for pair in closed]),
            options={"unit": "character"},
            networks=heard,
        ),
        case(
            "cider-speech",
            "pycocoevalcap Cider",
            (numbered, accepted),
            100 * cider,
            networks=heard,
        ),
        case(
            "mcd",
            "the published formula by scipy cdist",
            ([first], [second]),
            unit * cdist(first, second).diagonal().mean(),
            networks={"mel_cepstra": None},
        ),
    ]


def rolls() -> list[dict[str, Any]]:
    rng = np.random.default_rng(13)
    made, true = (
        np.stack(
            [
                rng.integers(0, 24, 40) / 4,
                rng.integers(1, 9, 40) / 4,
                rng.integers(58, 64, 40),
                rng.integers(0, 2, 40),
            ],
            axis=1,
        ).astype(np.float64)
        for _ in range(2)
    )

    def sounding(notes: Array) -> Array:
        grid = np.zeros((40, 128, 2), dtype=bool)
        for onset, duration, pitch, part in notes:
            grid[int(onset * 4) : int((onset + duration) * 4), int(pitch), int(part)] = True
        found: Array = grid[np.unique(true[:, 0] * 4).astype(int)].ravel()
        return found

    bars = np.zeros((3, 12))
    np.add.at(bars, ((made[:, 0] // 2).astype(int), made[:, 2].astype(int) % 12), 1)
    shares = bars / bars.sum(axis=1, keepdims=True)
    return [
        case(
            "event-accuracy",
            "scikit-learn jaccard_score on the sounding notes at the events",
            ([made], [true]),
            100 * jaccard_score(sounding(true), sounding(made)),
        ),
        case(
            "pitch-class-consistency",
            "overlaps by scipy pdist of all pairs of bars",
            ([made],),
            100 * (1 - pdist(shares, "cityblock") / 2).mean(),
            options={"bar": 2.0},
        ),
    ]


def shapes() -> list[dict[str, Any]]:
    rng = np.random.default_rng(17)
    made = [rng.normal(size=(points, 3)) for points in (60, 80)]
    true = [rng.normal(size=(points, 3)) for points in (70, 50)]
    pairs = list(zip(made, true, strict=True))
    squares = []
    for first, second in pairs:
        table = torch.cdist(
            torch.from_numpy(first),
            torch.from_numpy(second),
            compute_mode="donot_use_mm_for_euclid_dist",
        )
        sides = (table.min(dim=1).values ** 2, table.min(dim=0).values ** 2)
        squares.append(1000 * sum(side.sum().item() for side in sides) / 2)
    return [
        case(
            "chamfer-distance",
            "point-cloud-utils chamfer_distance",
            (made, true),
            np.mean([point_cloud_utils.chamfer_distance(*pair) for pair in pairs]),
        ),
        case(
            "chamfer-distance",
            "torch cdist",
            (made, true),
            np.mean(squares),
            options={"norm": "squared", "points": "sum", "directions": "mean", "scale": 1000.0},
        ),
    ]


def main() -> None:
    cases = [
        *fidelity(), *sets(), *cosines(), *verdicts(), *sounds(), *rolls(), *shapes()
    ]  # fmt: skip
    versions = {library: importlib.metadata.version(library) for library in LIBRARIES}
    lines = ",\n".join(json.dumps(one, separators=(",", ":")) for one in cases)
    VECTORS.write_text(
        f'{{"versions":{json.dumps(versions)},\n"cases":[\n{lines}\n]}}\n', encoding="utf-8"
    )


if __name__ == "__main__":
    main()
