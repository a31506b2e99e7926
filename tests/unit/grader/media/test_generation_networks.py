"""Bindings with networks of the real architectures, tiny and with random weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from services.grader.device import open_device
from services.grader.media import frame_choice, sounds
from services.grader.media.binding import MediaJob
from services.grader.media.feature_cache import CachedNetworks
from services.grader.media.generation import GENERATION_BINDINGS
from services.grader.models.extractors import SOUND_RATE_HZ, Extractors
from services.grader.models.sounds import resample
from services.grader.models.video_resnet import FRAMES
from services.grader.weights.folder import open_folder
from services.grader.weights.manifest import load_manifest
from tests.unit.grader.media.generation_jobs import (
    job_of,
    kind_of,
    mkv,
    noise,
    npy,
    ply,
    png,
    score,
    wav,
)
from tests.unit.grader.models.tiny import write_all


class Networks:
    """Extractors as a scorer holds them, behind the cache or not."""

    label = "cpu/test"

    def __init__(self, get: Any) -> None:
        self._get = get

    def __call__(self, name: str, /) -> Any:
        return self._get(name)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Networks:
    root = tmp_path_factory.mktemp("weights")
    folder = open_folder(load_manifest(), root, write_all(root))
    return Networks(Extractors(load_manifest(), folder, open_device("cpu", threads=1)).get)


@pytest.fixture
def cached(plain: Networks) -> Networks:
    return Networks(CachedNetworks(plain))


def tone(seconds: float) -> NDArray[np.float64]:
    return np.sin(np.arange(round(22_050 * seconds)) / 7) * 0.3


VIDEO = np.stack([np.roll(noise(9, 24, 32, 3), 3 * t, axis=1) for t in range(5)])
FILES = {
    "a.png": png(noise(0, 40, 60, 3)),
    "b.png": png(noise(1, 50, 30)),
    "strip.png": png(noise(2, 1, 3000, 3)),
    "dot.png": png(noise(3, 1, 1, 3)),
    "a.mkv": mkv(VIDEO),
    "b.mkv": mkv(noise(4, 20, 16, 16, 3)),
    "dot.mkv": mkv(noise(5, 1, 1, 1, 3)),
    "dots.mkv": mkv(noise(5, 2, 1, 1, 3)),
    "strip.mkv": mkv(noise(6, 2, 1, 400, 3)),
    "a.wav": wav(tone(0.5), 22_050),
    "b.wav": wav(np.stack([tone(0.3)] * 2, 1), 22_050),
    "silent.wav": wav(np.zeros(2_000), 16_000),
    "dot.wav": wav(np.ones(1), 384_000),
    "cloud.npy": npy(np.random.default_rng(7).normal(size=(400, 3))),
    "dot.npy": npy(np.ones((1, 3))),
    "mesh.ply": ply(np.random.default_rng(8).normal(size=(9, 3)), np.arange(9).reshape(3, 3)),
}
#: Per metric its kind's answers, hostile ones among them, and what the key has of each.
CASES: dict[str, tuple[list[str], Any]] = {
    "clip-score": (["a.png", "b.png", "strip.png", "dot.png"], "a red car"),
    "clip-image-score": (["a.png", "b.png", "strip.png", "dot.png"], "b.png"),
    "fid": (["a.png", "b.png", "strip.png", "dot.png"], "a.png"),
    "appearance-style": (["a.mkv", "b.mkv", "strip.mkv", "dot.mkv"], "oil painting"),
    "clip-style": (["a.mkv", "b.mkv", "strip.mkv", "dot.mkv"], "strip.png"),
    "frame-accuracy": (
        ["a.mkv", "b.mkv", "strip.mkv", "dot.mkv"],
        {"target": "a cat", "source": "a dog"},
    ),
    "dino-score": (["a.mkv", "b.mkv", "strip.mkv"], "x"),
    "background-consistency": (["a.mkv", "b.mkv", "strip.mkv"], "x"),
    "aesthetic-score": (["a.mkv", "strip.mkv", "dot.mkv"], "x"),
    "optical-flow-score": (["dots.mkv"], "x"),
    "fvd": (["a.mkv", "b.mkv", "strip.mkv", "dot.mkv"], "a.mkv"),
    "fad": (["a.wav", "b.wav", "silent.wav", "dot.wav"], "a.wav"),
    "clap-score": (["a.wav", "b.wav", "silent.wav", "dot.wav"], "rain on a roof"),
    "style-clap": (["a.wav", "b.wav", "silent.wav", "dot.wav"], "a.wav"),
    "wer-speech": (["a.wav", "silent.wav", "dot.wav"], "a red car"),
    "cider-speech": (["a.wav", "silent.wav", "dot.wav"], "a red car"),
}


def test_constants_that_stand_in_two_places_are_equal() -> None:
    assert sounds.RATE_HZ == SOUND_RATE_HZ
    assert frame_choice.SET_DISTANCE_FRAMES == FRAMES


@pytest.mark.parametrize("metric_id", sorted(CASES))
def test_networks_take_whatever_was_decoded(metric_id: str, cached: Networks) -> None:
    answers, reference = CASES[metric_id]
    job: MediaJob = job_of(
        metric_id,
        [*answers, None],
        [[reference]] * (len(answers) + 1),
        files=FILES,
        key_files=FILES,
        networks=cached,
    )
    binding = GENERATION_BINDINGS[metric_id]
    result = binding.compute(job)
    assert np.isfinite(result.value)
    assert (result.missing, job.unfit) == (1, set())
    # Warm, the same rows are found and nothing is computed: the same bits.
    assert binding.compute(job).value == result.value


@pytest.mark.parametrize("metric_id", ["clip-score", "fid", "fvd", "clap-score", "clip-style"])
def test_the_cache_does_not_change_a_score(
    metric_id: str, plain: Networks, cached: Networks
) -> None:
    answers, reference = CASES[metric_id][0][:2], CASES[metric_id][1]
    values = [
        score(
            metric_id,
            answers,
            [[reference]] * len(answers),
            files=FILES,
            key_files=FILES,
            networks=networks,
        )[0].value
        for networks in (plain, cached)
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-4, abs=1e-4)


def test_the_same_picture_and_the_same_set_are_at_the_end_of_the_scale(cached: Networks) -> None:
    more = {"files": FILES, "key_files": FILES, "networks": cached}
    same, _ = score("clip-image-score", ["a.png"], [["a.png"]], **more)
    assert same.value == pytest.approx(100.0)
    for metric_id, path in (("fid", "png"), ("fvd", "mkv"), ("fad", "wav")):
        paths = [f"a.{path}", f"b.{path}"]
        distance, _ = score(metric_id, paths, [[path] for path in paths], **more)
        assert distance.value == pytest.approx(0.0, abs=1e-6)


def test_speech_is_heard_at_the_rate_that_networks_take(cached: Networks) -> None:
    # The tiny network hears a second at once and says one word for each: of 2.5 s it says three,
    # and would say two of them at the file's own rate.
    said = cached("transcriber")([resample(tone(2.5), 22_050, SOUND_RATE_HZ)])[0]
    assert len(said.split()) == 3
    files = {"long.wav": wav(tone(2.5), 22_050), "short.wav": wav(tone(0.9), 22_050)}
    result, _ = score(
        "wer-speech", ["long.wav", "short.wav"], [[said], [said]], files=files, networks=cached
    )
    assert result.per_sample is not None
    np.testing.assert_allclose(result.per_sample, [0, 200 / 3])


def test_pictures_are_told_apart(cached: Networks) -> None:
    for metric_id in ("clip-score", "clip-image-score", "appearance-style", "clap-score"):
        answers, reference = CASES[metric_id]
        job = job_of(
            metric_id,
            answers,
            [[reference]] * len(answers),
            files=FILES,
            key_files=FILES,
            networks=cached,
        )
        samples = GENERATION_BINDINGS[metric_id].compute(job).per_sample
        assert samples is not None
        assert len(np.unique(samples.round(9))) == len(answers)


@pytest.mark.parametrize("path", ["cloud.npy", "dot.npy", "mesh.ply"])
def test_solids_are_rendered_for_clip(path: str, cached: Networks) -> None:
    kinds = sorted(GENERATION_BINDINGS["render-clip-image"].kinds)
    kind = kind_of("render-clip-image", kinds[path.endswith(".npy")])
    for metric_id, reference in (("render-clip-text", "a chair"), ("render-clip-image", "a.png")):
        result, unfit = score(
            metric_id,
            [path, None],
            [[reference]] * 2,
            files=FILES,
            key_files=FILES,
            networks=cached,
            kind=kind,
        )
        assert -100 < result.value < 100
        assert (result.missing, unfit) == (1, set())


def test_a_classifier_of_fewer_classes_decides_among_its_own(cached: Networks) -> None:
    result, _ = score(
        "classified-image-accuracy",
        ["a.png", "dot.png", "strip.png"],
        [[0], [1], [2]],
        files=FILES,
        networks=cached,
        options={"ways": "20"},
    )
    assert 0 <= result.value <= 100
