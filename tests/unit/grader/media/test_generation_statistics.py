"""The real set of FID, FVD, FAD and motion FID: from files, sealed, kept, and refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import scipy.linalg
from numpy.typing import NDArray

from services.grader.media.feature_cache import CachedNetworks
from services.grader.media.generation import GENERATION_BINDINGS
from services.grader.media.key_reader import ReferenceUnusable
from services.grader.media.statistics import CHUNK
from services.grader.metrics.features.statistics import FeatureStatistics
from tests.unit.grader.media.generation_jobs import (
    Served,
    job_of,
    mean_colour,
    mkv,
    noise,
    npy,
    npz,
    png,
    score,
    wav,
)


def by_scipy(rows: NDArray[np.float64], real: NDArray[np.float64]) -> float:
    """The Fréchet distance of two sets of rows by the root of a matrix."""
    first, second = np.cov(rows.T), np.cov(real.T)
    root = scipy.linalg.sqrtm(first @ second).real
    apart = rows.mean(0) - real.mean(0)
    return float(apart @ apart + np.trace(first + second - 2 * root))


def statistics_of_job(metric_id: str, references: Sequence[Sequence[Any]], **more: Any) -> Any:
    job = job_of(metric_id, [None] * len(references), references, **more)
    _, found = GENERATION_BINDINGS[metric_id].columns(job)
    assert isinstance(found, FeatureStatistics)
    return found


class Labelled(CachedNetworks):
    label = "cpu/test"


def test_the_distance_to_real_pictures_is_scipys() -> None:
    made = [noise(seed, 4, 5, 3) for seed in range(9)]
    real = [noise(100 + seed, 6, 3, 3) for seed in range(9)]
    result, unfit = score(
        "fid",
        [f"{place}.png" for place in range(9)],
        [[f"{place}.png"] for place in range(9)],
        files={f"{place}.png": png(picture) for place, picture in enumerate(made)},
        key_files={f"{place}.png": png(picture) for place, picture in enumerate(real)},
        networks=Served({"inception_pool": mean_colour}),
    )
    assert result.value == pytest.approx(by_scipy(mean_colour(made), mean_colour(real)), rel=1e-8)
    assert (result.missing, unfit) == (0, set())


def test_all_accepted_media_are_the_real_set_and_chunks_do_not_show() -> None:
    pictures = {f"{seed}.png": noise(seed, 1, 2, 3) for seed in range(CHUNK + 45)}
    files = {path: png(picture) for path, picture in pictures.items()}
    paths = list(files)
    found = statistics_of_job(
        "fid",
        [paths[:100], paths[100:101], paths[101:]],
        key_files=files,
        networks=Served({"inception_pool": mean_colour}),
    )
    rows = mean_colour(list(pictures.values()))
    assert found.n == CHUNK + 45
    np.testing.assert_allclose(found.mean, rows.mean(0), rtol=1e-12)
    np.testing.assert_allclose(found.covariance, np.cov(rows.T), rtol=1e-9)


@pytest.mark.parametrize(
    ("metric_id", "network", "width", "path", "data"),
    [
        ("fid", "inception_pool", 2048, "a.png", png(noise(0, 3, 3, 3))),
        ("fvd", "video_resnet", 512, "a.mkv", mkv(noise(0, 3, 16, 16, 3))),
        ("fad", "audio_embedding", 128, "a.wav", wav(np.ones(500), 8000)),
        ("motion-fid", "motion_embedding", 512, "a.npy", npy(np.ones((9, 263), np.float32))),
    ],
)
def test_sealed_statistics_of_a_whole_set(
    metric_id: str, network: str, width: int, path: str, data: bytes
) -> None:
    def flat(media: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
        """The size of each medium, in every feature."""
        return np.array([[float(medium.size)] * width for medium in media])

    sizes: list[int] = []

    def seen(media: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
        sizes.extend(medium.size for medium in media)
        return flat(media)

    covariance = np.diag(np.arange(width, dtype=np.float64))
    sealed = npz(mean=np.zeros(width), covariance=covariance, count=np.array(1000))
    result, unfit = score(
        metric_id,
        [path, None],
        [["sets/../real.npz"], ["real.npz"]],
        files={path: data},
        key_files={"real.npz": sealed},
        networks=Served({network: seen}),
    )
    # One answer has covariance 0, and the missing one counts for its half.
    traces = covariance.trace()
    near = width * float(sizes[0]) ** 2 + traces
    assert len(sizes) == 1
    assert result.value == pytest.approx((near + max(near, traces)) / 2)
    assert (result.missing, unfit) == (1, set())


def test_a_mixture_of_both_is_refused_and_so_are_two_sets() -> None:
    sealed = npz(mean=np.zeros(128), covariance=np.eye(128), count=np.array(10))
    files = {"a.npz": sealed, "b.npz": sealed, "a.wav": wav(np.ones(50), 8000)}
    networks = Served({"audio_embedding": lambda sounds: np.zeros((len(sounds), 128))})
    unusable: list[list[list[Any]]] = [
        [["a.npz"], ["a.wav"]],
        [["a.wav"], ["a.npz"]],
        [["a.npz"], ["b.npz"]],
        [["a.wav", "a.npz"], ["a.wav"]],
        [["a.wav"], [{"mean": 0}]],
        [["a.wav"], ["lost.wav"]],
    ]
    for references in unusable:
        with pytest.raises(ReferenceUnusable):
            statistics_of_job("fad", references, key_files=files, networks=networks)


def test_motions_may_be_npz_files_themselves() -> None:
    motions = {f"{seed}.npz": npz(motion=np.full((9, 263), seed, float)) for seed in range(3)}
    found = statistics_of_job(
        "motion-fid",
        [[path] for path in motions],
        key_files=motions,
        networks=Served({"motion_embedding": lambda made: np.array([m[0, :4] for m in made])}),
    )
    assert found.mean.tolist() == [1.0] * 4


def test_motions_of_another_form_are_missing_and_told() -> None:
    files = {
        "good.npy": npy(np.ones((5, 263))),
        "joints.npy": npy(np.ones((5, 22, 3))),
        "other.npy": npy(np.ones((5, 262))),
        "frame.npy": npy(np.zeros((1, 263), np.float32)),
    }
    result, unfit = score(
        "motion-fid",
        [*files, None],
        [["real.npy"]] * 5,
        files=files,
        key_files={"real.npy": files["good.npy"]},
        networks=Served({"motion_embedding": lambda made: np.array([m[0, :4] for m in made])}),
    )
    assert (result.missing, unfit) == (3, {1, 2})
    assert np.isfinite(result.value)


def test_fvd_sees_the_first_sixteen_frames_on_both_sides() -> None:
    lengths: list[int] = []

    def seen(videos: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
        lengths.extend(len(video) for video in videos)
        return mean_colour(videos)

    files = {"long.mkv": mkv(noise(0, 20, 16, 16, 3)), "short.mkv": mkv(noise(1, 3, 16, 16, 3))}
    score(
        "fvd",
        ["long.mkv"],
        [["long.mkv", "short.mkv"]],
        files=files,
        key_files=files,
        networks=Served({"video_resnet": seen}),
    )
    assert sorted(lengths) == [3, 16, 16]


def test_real_media_go_through_the_network_once_for_all_jobs() -> None:
    served = Served({"inception_pool": mean_colour})
    networks = Labelled(served, rows_bytes=0)
    files = {f"{seed}.png": png(noise(seed, 4, 4, 3)) for seed in range(4)}
    more = {"key_files": files, "networks": networks}
    first = statistics_of_job("fid", [["0.png"], ["1.png"]], **more)
    assert served.asked["inception_pool"] == 2
    assert statistics_of_job("fid", [["0.png"], ["1.png"]], **more) is first
    assert served.asked["inception_pool"] == 2
    # Another content under the same names is another set.
    renamed = {"0.png": files["2.png"], "1.png": files["1.png"]}
    other = statistics_of_job("fid", [["0.png"], ["1.png"]], key_files=renamed, networks=networks)
    assert other is not first
    assert served.asked["inception_pool"] == 4
