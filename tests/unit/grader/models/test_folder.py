"""The operator's folder: every file proved or refused, and what a grader can serve with it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from services.grader.device import Device
from services.grader.models.extractors import Extractors
from services.grader.models.tensors import fill, read_tensors
from services.grader.weights.errors import (
    WeightsDigestMismatch,
    WeightsInvalid,
    WeightsMissing,
    WeightsUnpinned,
)
from services.grader.weights.folder import WeightsFolder, available, open_folder
from services.grader.weights.manifest import Manifest
from tests.unit.grader.models.tiny import pins_of


@pytest.fixture
def root(tmp_path: Path, tiny: WeightsFolder) -> Path:
    """A folder of two networks."""
    for name in ("clip-vit-b-32", "aesthetic-head"):
        shutil.copytree(tiny.get(name).folder, tmp_path / name)
    return tmp_path


def test_what_is_there_is_held_with_its_digests(manifest: Manifest, root: Path) -> None:
    pins = pins_of(root)
    folder = open_folder(manifest, root, pins)
    assert set(folder.held) == {"clip-vit-b-32", "aesthetic-head"}
    digest = folder.get("aesthetic-head").digests["model.safetensors"]
    assert digest == pins["aesthetic-head/model.safetensors"]


def test_a_changed_byte_is_refused(manifest: Manifest, root: Path) -> None:
    pins = pins_of(root)
    path = root / "clip-vit-b-32" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsDigestMismatch) as refused:
        open_folder(manifest, root, pins)
    assert refused.value.reason == "WEIGHTS_DIGEST_MISMATCH"
    assert refused.value.metadata == {"weights": "clip-vit-b-32", "file": "model.safetensors"}


def test_a_file_without_a_pin_is_refused(manifest: Manifest, root: Path) -> None:
    pins = dict(pins_of(root))
    del pins["clip-vit-b-32/merges.txt"]
    with pytest.raises(WeightsUnpinned) as refused:
        open_folder(manifest, root, pins)
    assert refused.value.metadata["file"] == "merges.txt"


def test_a_lacking_file_is_named(manifest: Manifest, root: Path) -> None:
    pins = pins_of(root)
    (root / "clip-vit-b-32" / "vocab.json").unlink()
    with pytest.raises(WeightsMissing) as refused:
        open_folder(manifest, root, pins)
    assert refused.value.metadata == {"weights": "clip-vit-b-32", "file": "vocab.json"}


@pytest.mark.parametrize("name", ["pytorch_model.bin", "adapter_config.json", "modeling_clip.py"])
def test_a_file_beyond_the_manifest_is_refused(manifest: Manifest, root: Path, name: str) -> None:
    (root / "clip-vit-b-32" / name).write_bytes(b"{}")
    with pytest.raises(WeightsInvalid) as refused:
        open_folder(manifest, root, pins_of(root))
    assert refused.value.metadata["file"] == name


@pytest.mark.parametrize("name", ["unheard-of", "amt-s", "grit-b"])
def test_a_network_that_the_manifest_does_not_name_is_refused(
    manifest: Manifest, root: Path, name: str
) -> None:
    (root / name).mkdir()
    with pytest.raises(WeightsInvalid) as refused:
        open_folder(manifest, root, pins_of(root))
    assert refused.value.metadata["weights"] == name


def test_no_folder_at_all(manifest: Manifest, tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing):
        open_folder(manifest, tmp_path / "none")


def test_weights_that_are_not_held_are_named(manifest: Manifest, root: Path, cpu: Device) -> None:
    extractors = Extractors(manifest, open_folder(manifest, root, pins_of(root)), cpu)
    with pytest.raises(WeightsMissing) as refused:
        extractors.get("dino_image")
    assert refused.value.metadata["weights"] == "dinov2-base"


def test_which_metrics_can_be_served_and_which_wait_for_what(
    manifest: Manifest, root: Path
) -> None:
    found = available(manifest, open_folder(manifest, root, pins_of(root)))
    assert "clip-score" in found.served
    assert found.waits_for("clip-score") == ()
    assert found.waits_for("aesthetic-score") == ("clip-vit-l-14",)
    assert found.waits_for("i2v-quality") == ("dinov2-base", "raft-things", "viclip")
    assert found.waits_for("psnr") == ()
    assert not found.served & found.waiting.keys()


def test_without_weights_every_metric_of_the_manifest_waits(manifest: Manifest) -> None:
    found = available(manifest, WeightsFolder())
    assert found.served == frozenset()
    assert set(found.waiting) == {metric for each in manifest.weights for metric in each.metrics}


def test_with_all_weights_nothing_waits(manifest: Manifest, tiny: WeightsFolder) -> None:
    found = available(manifest, tiny)
    assert dict(found.waiting) == {}
    assert found.served == {metric for each in manifest.weights for metric in each.metrics}


def test_a_pickle_under_the_right_name_is_not_opened(
    manifest: Manifest, root: Path, cpu: Device
) -> None:
    torch.save({"weight": torch.zeros(1, 16)}, root / "aesthetic-head" / "model.safetensors")
    extractors = Extractors(manifest, open_folder(manifest, root, pins_of(root)), cpu)
    with pytest.raises(WeightsInvalid):
        extractors.get("aesthetic_head")


def test_a_pickle_in_a_library_network_is_not_opened(
    manifest: Manifest, root: Path, cpu: Device
) -> None:
    torch.save({}, root / "clip-vit-b-32" / "model.safetensors")
    extractors = Extractors(manifest, open_folder(manifest, root, pins_of(root)), cpu)
    with pytest.raises(WeightsInvalid):
        extractors.get("clip_image")


def test_a_configuration_of_another_model_is_refused(
    manifest: Manifest, root: Path, tiny: WeightsFolder, cpu: Device
) -> None:
    shutil.copy(tiny.get("dinov2-base").folder / "config.json", root / "clip-vit-b-32")
    extractors = Extractors(manifest, open_folder(manifest, root, pins_of(root)), cpu)
    with pytest.raises(WeightsInvalid):
        extractors.get("clip_image")


def test_a_tensor_that_a_library_network_lacks_is_named(
    manifest: Manifest, root: Path, cpu: Device
) -> None:
    path = root / "clip-vit-b-32" / "model.safetensors"
    tensors = read_tensors(path)
    del tensors["visual_projection.weight"]
    save_file(tensors, path, metadata={"format": "pt"})
    extractors = Extractors(manifest, open_folder(manifest, root, pins_of(root)), cpu)
    with pytest.raises(WeightsInvalid) as refused:
        extractors.get("clip_image")
    assert refused.value.metadata["tensor"] == "visual_projection.weight"


@pytest.mark.parametrize(
    ("tensors", "problem"),
    [
        ({"weight": torch.zeros(2, 3)}, "lacks bias"),
        (
            {"weight": torch.zeros(2, 3), "bias": torch.zeros(2), "more": torch.zeros(1)},
            "adds more",
        ),
        ({"weight": torch.zeros(3, 3), "bias": torch.zeros(2)}, "misshapes weight"),
    ],
)
def test_tensors_fit_a_network_or_are_refused(
    tensors: dict[str, torch.Tensor], problem: str
) -> None:
    with pytest.raises(WeightsInvalid, match=problem):
        fill(torch.nn.Linear(3, 2), tensors, "a")


def test_tensors_of_half_precision_and_with_a_training_prefix(tmp_path: Path) -> None:
    weight = torch.arange(6.0).reshape(2, 3)
    path = tmp_path / "model.safetensors"
    save_file({"module.weight": weight.half(), "module.bias": torch.ones(2).half()}, path)
    layer = torch.nn.Linear(3, 2)
    fill(layer, read_tensors(path), "a")
    assert layer.weight.dtype == torch.float32
    assert torch.equal(layer.weight, weight)
    assert not layer.training
