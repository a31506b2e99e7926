"""Every extractor of the manifest: shapes, the same numbers twice, no neighbours, CPU and CUDA."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from services.grader.device import open_device
from services.grader.metrics.features.statistics import statistics_of
from services.grader.metrics.media_generation import GENERATION_METRICS
from services.grader.models.extractors import OPENERS, Extractors
from services.grader.weights.errors import WeightsMissing
from services.grader.weights.folder import WeightsFolder
from services.grader.weights.manifest import Manifest
from tests.unit.grader.models.conftest import RATE_HZ

#: Rows of one item in batches of other sizes differ by rounding of float32 only.
TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}

_PICTURES = (
    "clip_image",
    "clip_image_large",
    "dino_image",
    "inception_pool",
    "class_probabilities",
    "musiq_score",
)
_VIDEOS = ("video_resnet", "viclip_video", "action_probabilities")
_TEXTS = ("clip_text", "clap_text", "viclip_text")
_SOUNDS = ("clap_audio", "audio_embedding")
#: The number of features that each has at the tiny size.
_WIDTHS = {
    "clip_image": 16,
    "clip_image_large": 16,
    "dino_image": 32,
    "inception_pool": 128,
    "class_probabilities": 20,
    "clip_text": 16,
    "clap_text": 16,
    "clap_audio": 16,
    "audio_embedding": 128,
    "video_resnet": 32,
    "motion_embedding": 12,
    "musiq_score": 1,
    "viclip_video": 16,
    "viclip_text": 16,
    "action_probabilities": 10,
}


@pytest.fixture(autouse=True)
def _every_warning() -> Iterator[None]:
    """Torch warns of a read-only array once in a process; here each time."""
    torch.set_warn_always(True)
    yield
    torch.set_warn_always(False)


def media(name: str, count: int) -> list[Any]:
    """``count`` different inputs for an extractor, read-only as decoding gives them."""
    made = _media(name, count)
    for each in made:
        if isinstance(each, np.ndarray):
            each.flags.writeable = False
    return made


def _media(name: str, count: int) -> list[Any]:
    rng = np.random.default_rng(5)
    if name in _PICTURES:
        return [
            rng.integers(0, 256, (40 + 7 * i, 60, 3), dtype=np.uint8).astype(np.uint8)
            for i in range(count)
        ]
    if name in _TEXTS:
        return [f"a {word} dog" for word in ("red", "blue", "very small", "loud", "é")[:count]]
    if name in (*_SOUNDS, "transcriber"):
        return [rng.normal(0, 0.2, RATE_HZ // 2 * (i + 1)) for i in range(count)]
    if name == "motion_embedding":
        return [rng.normal(size=(9 + 4 * i, 12)) for i in range(count)]
    assert name in _VIDEOS
    return [rng.integers(0, 256, (6 + i, 20, 24, 3), dtype=np.uint8) for i in range(count)]


def a_video(frames: int = 3, side: int = 40) -> NDArray[np.uint8]:
    picture = np.random.default_rng(9).integers(0, 256, (side, side, 3), dtype=np.uint8)
    video = np.stack([np.roll(picture, 2 * i, axis=1) for i in range(frames)])
    video.flags.writeable = False
    return video


@pytest.mark.parametrize("name", sorted(_WIDTHS))
def test_rows_of_float64_one_per_item_and_all_different(name: str, extractors: Extractors) -> None:
    inputs = media(name, 3)
    rows = extractors.get(name)(inputs)
    assert rows.dtype == np.float64
    assert rows.shape == (3, _WIDTHS[name])
    assert np.isfinite(rows).all()
    assert len(np.unique(rows.round(9), axis=0)) == 3


@pytest.mark.parametrize("name", sorted(_WIDTHS))
def test_two_runs_give_the_same_bits(name: str, extractors: Extractors) -> None:
    inputs = media(name, 3)
    first, second = (extractors.get(name)(inputs) for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("name", sorted(_WIDTHS))
def test_a_row_depends_on_its_own_item_only(name: str, extractors: Extractors) -> None:
    inputs = media(name, 3)
    together = extractors.get(name)(inputs)
    alone = np.concatenate([extractors.get(name)([each]) for each in inputs])
    np.testing.assert_allclose(alone, together, **TOLERANCE)


@pytest.mark.parametrize("name", sorted(_WIDTHS))
def test_no_items_give_no_rows(name: str, extractors: Extractors) -> None:
    assert len(extractors.get(name)([])) == 0


def test_another_process_of_the_same_folder_gives_the_same_bits(
    manifest: Manifest, tiny: WeightsFolder, extractors: Extractors
) -> None:
    again = Extractors(manifest, tiny, open_device("cpu", threads=1), RATE_HZ)
    inputs = media("clip_image", 2)
    assert np.array_equal(again.get("clip_image")(inputs), extractors.get("clip_image")(inputs))


def test_classes_are_probabilities(extractors: Extractors) -> None:
    rows = extractors.get("class_probabilities")(media("class_probabilities", 3))
    np.testing.assert_allclose(rows.sum(axis=1), 1.0, rtol=1e-12)
    assert (rows > 0).all()


def test_flow_has_the_size_of_the_frames(extractors: Extractors) -> None:
    video = a_video()
    flow = extractors.get("optical_flow")(video)
    assert flow.shape == (2, 40, 40, 2)
    assert flow.dtype == np.float64
    assert np.array_equal(flow, extractors.get("optical_flow")(video))
    np.testing.assert_allclose(extractors.get("optical_flow")(video[1:])[0], flow[1], atol=1e-3)
    assert extractors.get("optical_flow")(video[:1]).shape == (0, 40, 40, 2)


def test_a_transcript_per_sound_whatever_its_length(extractors: Extractors) -> None:
    sounds = media("transcriber", 3)
    heard = extractors.get("transcriber")(sounds)
    assert len(heard) == 3
    assert all(heard)
    assert heard == [extractors.get("transcriber")([sound])[0] for sound in sounds]
    assert "<|" not in "".join(heard)
    # The third is longer than the second that this network hears at once: of two windows.
    assert len(heard[2].split()) > len(heard[0].split())


def test_metrics_take_what_the_extractors_give(extractors: Extractors) -> None:
    pictures = media("clip_image", 2)
    metric = GENERATION_METRICS["clip-score"]
    result = metric.function(
        pictures, ["a dog", "a cat"], **extractors.for_metric(metric.extractors)
    )
    assert -100.0 <= result.value <= 100.0
    metric = GENERATION_METRICS["aesthetic-score"]
    result = metric.function([a_video()], **extractors.for_metric(metric.extractors))
    assert 0.0 <= result.value <= 100.0
    metric = GENERATION_METRICS["fid"]
    pool = extractors.for_metric(metric.extractors)
    result = metric.function(pictures, statistics_of(pool["inception_pool"](pictures)), **pool)
    assert result.value == pytest.approx(0.0, abs=1e-6)
    metric = GENERATION_METRICS["camera-motion-success"]
    result = metric.function([a_video()], ["zoom in"], **extractors.for_metric(metric.extractors))
    assert 0.0 <= result.value <= 100.0
    metric = GENERATION_METRICS["i2v-quality"]
    result = metric.function([a_video()], ["a dog"], **extractors.for_metric(metric.extractors))
    assert 0.0 < result.value <= 100.0
    metric = GENERATION_METRICS["optical-flow-score"]
    result = metric.function([a_video()], **extractors.for_metric(metric.extractors))
    assert result.value in {0.0, 100.0}


def test_an_extractor_that_no_network_serves(extractors: Extractors, manifest: Manifest) -> None:
    with pytest.raises(WeightsMissing):
        extractors.get("taste")
    with pytest.raises(WeightsMissing) as refused:
        Extractors(manifest, WeightsFolder(), open_device("cpu")).get("viclip_video")
    assert refused.value.metadata["weights"] == "viclip"


def test_every_extractor_of_every_metric_is_served(extractors: Extractors) -> None:
    for metric in GENERATION_METRICS.values():
        assert set(extractors.for_metric(metric.extractors)) == set(metric.extractors)


def test_every_architecture_has_an_opener(manifest: Manifest) -> None:
    assert {each.architecture for each in manifest.weights} == set(OPENERS)


def test_every_part_that_the_manifest_names_is_served(
    manifest: Manifest, extractors: Extractors
) -> None:
    names = [name for each in manifest.weights for name in each.extractors]
    assert all(extractors.get(name) is not None for name in names)


def test_nothing_is_asked_of_the_network(
    manifest: Manifest, tiny: WeightsFolder, extractors: Extractors
) -> None:
    asked: list[str] = []
    watching = True

    def watch(event: str, _arguments: object) -> None:
        if watching and event in {"socket.connect", "socket.getaddrinfo"}:
            asked.append(event)

    sys.addaudithook(watch)
    fresh = Extractors(manifest, tiny, open_device("cpu", threads=1), RATE_HZ)
    for name in (
        "clip_text",
        "clap_text",
        "transcriber",
        "dino_image",
        "class_probabilities",
        "viclip_text",
        "detector",
    ):
        fresh.get(name)
    watching = False
    assert asked == []


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")
@pytest.mark.parametrize("name", sorted(_WIDTHS))
def test_cuda_agrees_with_the_cpu_and_with_itself(
    name: str, manifest: Manifest, tiny: WeightsFolder, extractors: Extractors
) -> None:
    on_card = Extractors(manifest, tiny, open_device("cuda"), RATE_HZ)
    inputs = media(name, 3)
    first, second = (on_card.get(name)(inputs) for _ in range(2))
    assert np.array_equal(first, second)
    np.testing.assert_allclose(first, extractors.get(name)(inputs), rtol=1e-3, atol=1e-4)
