"""Media answers through a real worker: box, spool, scorer, sealed files, networks of a folder."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage import data
from skimage.metrics import peak_signal_noise_ratio

from general_level.receipts import verify_envelope
from services.grader import app
from services.grader.decode.box import BoxLimits
from services.grader.networks import NetworkSettings
from tests.support import fragile_decoders
from tests.support.fake_grading import FakeGrading
from tests.support.grader_files import GraderFiles, make_files, prediction_json
from tests.support.running_worker import eventually, running
from tests.unit.grader.models.tiny import write_all

#: PSNR of pictures, AP50 of boxes, CLIP similarity to a target picture.
RESTORED, BOXES, EDITED = "image-g-003", "image-c-007", "image-g-022"


def png(pixels: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


TRUE = data.astronaut()[:96, :128]
NOISY = np.clip(TRUE.astype(int) + np.random.default_rng(1).integers(-20, 21, TRUE.shape), 0, 255)
NOISY = NOISY.astype(np.uint8)
OBJECTS = [{"box": [10, 10, 30, 20], "label": "cat"}, {"box": [60, 40, 20, 20], "label": "dog"}]
KEYS: dict[str, dict[str, list[Any]]] = {
    RESTORED: {str(item): ["true.png"] for item in range(4)},
    BOXES: {"0": [OBJECTS]},
    EDITED: {"0": ["true.png"], "1": ["true.png"]},
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> GraderFiles:
    media = {task: {"true.png": png(TRUE)} for task in (RESTORED, EDITED)}
    return make_files(tmp_path_factory.mktemp("grader"), KEYS, media)


@pytest.fixture
async def gateway() -> AsyncIterator[FakeGrading]:
    fake = FakeGrading()
    await fake.start()
    yield fake
    await fake.stop()


def findings(job: Any) -> list[tuple[str, str, int]]:
    return [(found.code, found.path, found.row) for found in job.scored.findings]


async def test_pictures_are_scored_and_unusable_ones_are_findings(
    gateway: FakeGrading, files: GraderFiles, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    media: Mapping[str, bytes] = {
        "a.png": png(NOISY),
        "b.png": png(TRUE)[:200],
        "c.png": png(TRUE[:40]),
    }
    rows = prediction_json({"0": "a.png", "1": "b.png", "2": "c.png", "99": "a.png"})
    async with running(files.settings(gateway.address)):
        job = gateway.add(RESTORED, rows, media=media)
        await eventually(lambda: job.ended)
    expected = peak_signal_noise_ratio(TRUE, NOISY) / 4  # three of four items have no usable answer
    assert job.scored.value == pytest.approx(expected, rel=1e-5)
    assert (job.scored.item_count, job.scored.missing_count) == (4, 3)
    assert sorted(findings(job)) == [
        ("GL164", "prediction.json", 3),
        ("GL180", "b.png", 1),
        ("GL187", "prediction.json", 2),
    ]
    statement = verify_envelope(job.scored.envelope, [files.public_key])
    assert len(statement.members) == 4
    assert statement.grader.device == "cpu"
    # The pictures lay on disk while they were scored, and no longer.
    assert os.listdir(tmp_path) == []


async def test_a_file_that_ends_boxes_is_a_finding_and_the_others_are_scored(
    gateway: FakeGrading, files: GraderFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "MEDIA_DECODERS_MODULE", fragile_decoders.__name__)
    media = {
        "a.png": png(NOISY),
        "b.png": fragile_decoders.CRASH,
        "c.png": fragile_decoders.BOMB,
        "d.png": fragile_decoders.HANG,
    }
    settings = files.settings(gateway.address, box_limits=BoxLimits(member_seconds=2.0))
    async with running(settings):
        job = gateway.add(
            RESTORED, prediction_json(dict(zip("0123", media, strict=True))), media=media
        )
        await eventually(lambda: job.ended)
    assert job.faults == []
    assert job.scored.missing_count == 3
    assert job.scored.value == pytest.approx(peak_signal_noise_ratio(TRUE, NOISY) / 4, rel=1e-5)
    assert sorted(findings(job)) == [
        ("GL180", "b.png", 1),
        ("GL180", "d.png", 3),
        ("GL181", "c.png", 2),
    ]


async def test_structured_answers_cross_without_files(
    gateway: FakeGrading, files: GraderFiles
) -> None:
    answer = [{**OBJECTS[0], "score": 0.9}, {"box": [0, 0, 5, 5], "label": "dog", "score": 0.5}]
    async with running(files.settings(gateway.address)):
        job = gateway.add(BOXES, prediction_json({"0": answer}))
        await eventually(lambda: job.ended)
    # AP of cats is 100, of dogs 0.
    assert job.scored.value == 50.0
    assert findings(job) == []


async def test_without_weights_a_task_waits_and_the_grader_says_so(
    gateway: FakeGrading, files: GraderFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running(files.settings(gateway.address)):
        waiting = gateway.add(EDITED, prediction_json({"0": "a.png"}), media={"a.png": png(TRUE)})
        other = gateway.add(BOXES, prediction_json({"0": OBJECTS}))
        await eventually(lambda: other.ended)
    assert not waiting.reads
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "clip-image-score" in line]
    assert "tasks wait for weights" in line
    assert "clip-vit-b-32" in line


async def test_networks_of_the_operators_folder_score_with_the_device_in_the_statement(
    gateway: FakeGrading, files: GraderFiles, tmp_path: Path
) -> None:
    weights, pins = tmp_path / "weights", tmp_path / "pins"
    pinned = write_all(weights)
    pins.write_text("".join(f"{digest}  {name}\n" for name, digest in pinned.items()))
    networks = NetworkSettings(weights, pins)
    async with running(files.settings(gateway.address, networks=networks)):
        job = gateway.add(
            EDITED, prediction_json({"0": "a.png", "1": "a.png"}), media={"a.png": png(TRUE)}
        )
        await eventually(lambda: job.ended)
    assert job.scored.value == 100.0  # each picture against itself
    statement = verify_envelope(job.scored.envelope, [files.public_key])
    assert statement.grader.device.startswith("cpu/")
