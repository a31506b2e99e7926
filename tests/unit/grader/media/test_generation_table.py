"""The table of generation bindings, and what their keys may and may not hold."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from general_level.catalogue import load
from general_level.catalogue.model import AnswerKind
from services.grader.media.binding import Binding
from services.grader.media.generation import GENERATION_BINDINGS
from services.grader.media.key_reader import KeyReader, ReferenceUnusable
from services.grader.metrics.media_generation import GENERATION_METRICS
from tests.unit.grader.media.generation_jobs import mkv, noise, npy, npz, ply, png, reader, wav

NOTE = {"onset": 0, "duration": 1, "pitch": 60, "part": "Violin"}
#: Marks the content of a key: it must never be in a message.
SECRET = "xyzzy-7193"

FILES = {
    "a.png": png(noise(0, 8, 9, 3)),
    "wide.png": png(noise(1, 161, 170, 3)),
    "broken.png": b"no picture " + SECRET.encode(),
    "a.mkv": mkv(noise(2, 3, 16, 16, 3)),
    "broken.mkv": b"no video",
    "a.wav": wav(np.zeros(100), 8000),
    "a.ply": ply(np.eye(3), np.array([[0, 1, 2]])),
    "motion.npy": npy(np.zeros((5, 263), np.float32)),
    "joints.npy": npy(np.zeros((5, 22, 3), np.float32)),
    "small.npy": npy(np.zeros((5, 12), np.float32)),
}

#: Per metric an accepted answer, and others that are none.
TEXT: tuple[Any, list[Any]] = ("a red car", ["", "  ", 7, None, ["a"], {"text": SECRET}])
PICTURE: tuple[Any, list[Any]] = (
    "a.png",
    ["lost.png", SECRET, "broken.png", 7, None, ["a.png"], "a.wav"],
)
ANYTHING: tuple[Any, list[Any]] = ({"any": [SECRET]}, [])
NO_OBJECTS = [{}, {"objects": []}, {"objects": [""]}, {"objects": "dog"}, {"objects": [1]}, "dog"]
DESCRIBED = (
    {"object": "car", "attribute": "red"},
    [{"object": "car"}, {"object": "", "attribute": "red"}, {"object": 1, "attribute": "red"}, ""],
)
KEYS: dict[str, tuple[Any, list[Any]]] = {
    "psnr": PICTURE,
    "shadow-rmse": PICTURE,
    "ms-ssim": ("wide.png", [*PICTURE[1], "a.png"]),
    "clip-score": TEXT,
    "clip-image-score": PICTURE,
    "classified-image-accuracy": (999, [1000, -1, "3", 3.5, True, None]),
    "fid": ("a.png", PICTURE[1]),
    "fvd": ("a.mkv", ["lost.mkv", "broken.mkv", "a.png", 7]),
    "fad": ("a.wav", ["lost.wav", "a.png", 7]),
    "motion-fid": ("motion.npy", ["joints.npy", "small.npy", "a.png", 7]),
    "video-psnr": ("a.mkv", ["lost.mkv", "broken.mkv", "a.png", 7]),
    "appearance-style": TEXT,
    "clip-style": PICTURE,
    "frame-accuracy": (
        {"target": "a cat", "source": "a dog"},
        [{"target": "a cat"}, {"target": "a cat", "source": " "}, {"target": 1, "source": "a"}, ""],
    ),
    "dino-score": ANYTHING,
    "background-consistency": ANYTHING,
    "l1-distance": ANYTHING,
    "optical-flow-score": ANYTHING,
    "aesthetic-score": ANYTHING,
    "musiq": ANYTHING,
    "i2v-quality": TEXT,
    "camera-motion-success": TEXT,
    "single-object-success": ({"objects": ["dog"]}, [*NO_OBJECTS, {"objects": ["dog", "cat"]}]),
    "multi-object-success": ({"objects": ["dog", "cat"]}, [*NO_OBJECTS, {"objects": ["dog"]}]),
    "color-success": DESCRIBED,
    "material-success": DESCRIBED,
    "spatial-relation-success": (
        {"first": "dog", "relation": "left of", "second": "car"},
        [
            {"first": "dog", "relation": SECRET, "second": "car"},
            {"first": "dog", "second": "car"},
            {"first": "", "relation": "above", "second": "car"},
            "dog left of car",
        ],
    ),
    "action-success": (399, [400, -1, "3", None]),
    "clap-score": TEXT,
    "style-clap": ("a.wav", ["lost.wav", "", 7, None]),
    "wer-speech": TEXT,
    "cider-speech": TEXT,
    "mcd": ("a.wav", ["lost.wav", "a.png", 7]),
    "event-accuracy": ([NOTE], ["a", [{"onset": 0}], [{**NOTE, "pitch": 128}], {}]),
    "pitch-class-consistency": ANYTHING,
    "chamfer-distance": ("a.ply", ["lost.ply", "a.png", 7]),
    "render-clip-text": TEXT,
    "render-clip-image": PICTURE,
}


@pytest.fixture(params=sorted(GENERATION_METRICS))
def binding(request: pytest.FixtureRequest) -> Binding:
    return GENERATION_BINDINGS[request.param]


def a_reader(binding: Binding) -> KeyReader:
    return reader(binding.metric_id, FILES, sorted(binding.kinds)[0])


def test_every_metric_has_a_binding_and_every_binding_its_metric() -> None:
    assert set(GENERATION_BINDINGS) == set(GENERATION_METRICS) == set(KEYS)


def test_a_binding_is_its_metric_and_grades_what_the_catalogue_says(binding: Binding) -> None:
    metric = GENERATION_METRICS[binding.metric_id]
    assert binding.function is metric.function
    assert (binding.extractors, binding.options) == (metric.extractors, metric.options)
    assert binding.oracle == metric.oracle
    assert binding.kinds == frozenset(load().metrics[binding.metric_id].answer_kinds)
    assert binding.key_form


def test_an_accepted_answer_is_read(binding: Binding) -> None:
    assert binding.read(a_reader(binding), KEYS[binding.metric_id][0]) is not None


def test_what_is_of_another_form_is_refused_and_not_told(binding: Binding) -> None:
    for value in KEYS[binding.metric_id][1]:
        with pytest.raises(ReferenceUnusable) as refused:
            binding.read(a_reader(binding), value)
        assert SECRET not in str(refused.value)
        assert "dog" not in str(refused.value)


def test_a_style_may_be_words() -> None:
    found = GENERATION_BINDINGS["style-clap"].read(reader("style-clap"), "slow piano .wav files?")
    assert found == "slow piano .wav files?"


def test_a_mesh_task_wants_meshes_and_a_cloud_task_points() -> None:
    read = GENERATION_BINDINGS["chamfer-distance"].read
    mesh = read(reader("chamfer-distance", FILES, AnswerKind.MESH), "a.ply")
    cloud = read(reader("chamfer-distance", FILES, AnswerKind.POINT_CLOUD), "a.ply")
    assert mesh.shape == (30_000, 3)
    assert cloud.shape == (3, 3)


def test_statistics_that_are_none_are_refused() -> None:
    mean, covariance, count = np.zeros(128), np.eye(128), np.array(9)
    lopsided = covariance.copy()
    lopsided[0, 1] = 0.5
    unusable = [
        {"mean": np.zeros(127), "covariance": covariance, "count": count},
        {"mean": mean, "covariance": np.eye(127), "count": count},
        {"mean": np.full(128, np.nan), "covariance": covariance, "count": count},
        {"mean": mean, "covariance": -covariance, "count": count},
        {"mean": mean, "covariance": lopsided, "count": count},
        {"mean": mean, "covariance": covariance, "count": np.array(0)},
        {"mean": mean, "covariance": covariance, "count": np.array(1.5)},
        {"mean": mean, "covariance": covariance, "count": np.array([1, 2])},
        {"mean": mean.astype(np.int64), "covariance": covariance, "count": count},
        {"mean": mean, "covariance": covariance},
    ]
    read = GENERATION_BINDINGS["fad"].read
    for arrays in unusable:
        with pytest.raises(ReferenceUnusable):
            read(reader("fad", {"real.npz": npz(**arrays)}), "real.npz")
    usable = npz(mean=mean, covariance=covariance, count=count)
    assert read(reader("fad", {"real.npz": usable}), "real.npz").n == 9


def test_reading_a_key_needs_no_library_of_networks() -> None:
    probe = (
        "import sys; import services.grader.media.generation; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'grpc')))"
    )
    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == 0
