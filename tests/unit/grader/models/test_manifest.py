"""The manifest: complete for the metrics, free of contradictions, true to the architectures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from services.grader.metrics.media_generation import GENERATION_METRICS
from services.grader.models import hub
from services.grader.models.extractors import WEIGHTLESS
from services.grader.models.inception import Inception
from services.grader.models.motion_encoder import MotionNetwork
from services.grader.models.musiq import Musiq
from services.grader.models.raft import Raft
from services.grader.models.umt import Umt
from services.grader.models.vggish import Vggish
from services.grader.models.viclip import Viclip
from services.grader.models.video_resnet import VideoResNet
from services.grader.weights.errors import WeightsInvalid
from services.grader.weights.manifest import Manifest, load_manifest, read_pins

# isort: split
from transformers import (
    ClapConfig,
    CLIPConfig,
    Dinov2Config,
    Florence2Config,
    ViTConfig,
    WhisperConfig,
)

_LARGE = {"num_attention_heads": 16, "num_hidden_layers": 24}
#: The networks at their published sizes, facts of their model cards and papers.
PUBLISHED: dict[str, Callable[[], torch.nn.Module]] = {
    "clip-vit-b-32": lambda: hub.CLIPModel(CLIPConfig()),
    "clip-vit-l-14": lambda: hub.CLIPModel(
        CLIPConfig(
            text_config={
                "hidden_size": 768,
                "intermediate_size": 3072,
                "num_attention_heads": 12,
                "projection_dim": 768,
            },
            vision_config={
                **_LARGE,
                "hidden_size": 1024,
                "intermediate_size": 4096,
                "patch_size": 14,
                "projection_dim": 768,
            },
            projection_dim=768,
        )
    ),
    "aesthetic-head": lambda: torch.nn.Linear(768, 1),
    "dinov2-base": lambda: hub.Dinov2Model(Dinov2Config(image_size=518, patch_size=14)),
    "clap-htsat-unfused": lambda: hub.ClapModel(ClapConfig()),
    "whisper-large-v3-turbo": lambda: hub.WhisperForConditionalGeneration(
        WhisperConfig(
            vocab_size=51866,
            num_mel_bins=128,
            d_model=1280,
            encoder_layers=32,
            decoder_layers=4,
            encoder_attention_heads=20,
            decoder_attention_heads=20,
            encoder_ffn_dim=5120,
            decoder_ffn_dim=5120,
        )
    ),
    "inception-v3-fid": Inception,
    "r3d-18": VideoResNet,
    "vggish": Vggish,
    "raft-things": Raft,
    "vit-base-imagenet": lambda: hub.ViTForImageClassification(ViTConfig(num_labels=1000)),
    "t2m-evaluator": MotionNetwork,
    "viclip": Viclip,
    "musiq-koniq": Musiq,
    "florence-2-base-ft": lambda: hub.Florence2ForConditionalGeneration(
        Florence2Config(
            text_config={
                "model_type": "bart",
                # 51289 words and the picture's, filled up to a multiple of 64.
                "vocab_size": 51328,
                "d_model": 768,
                "encoder_layers": 6,
                "decoder_layers": 6,
                "encoder_attention_heads": 12,
                "decoder_attention_heads": 12,
                "encoder_ffn_dim": 3072,
                "decoder_ffn_dim": 3072,
            },
            vision_config={"projection_dim": 768},
        )
    ),
    "umt-l-16": Umt,
}

_ROW = """
[[weights]]
id = "{id}"
name = "A"
architecture = "clip"
licence = "MIT"
source = "here"
files = [{{ name = "{file}", sha256 = "{digest}" }}]
extractors = {{ {extractor} = "image" }}
metrics = ["m"]
"""


def written(tmp_path: Path, *rows: str) -> Path:
    path = tmp_path / "manifest.toml"
    path.write_text("".join(rows), "utf-8")
    return path


def row(
    id: str = "a", file: str = "model.safetensors", digest: str = "", extractor: str = "one"
) -> str:
    return _ROW.format(id=id, file=file, digest=digest, extractor=extractor)


def test_every_extractor_of_every_metric_is_in_the_manifest(manifest: Manifest) -> None:
    wanted = {name for metric in GENERATION_METRICS.values() for name in metric.extractors}
    assert wanted == {*manifest.by_extractor, *WEIGHTLESS}
    assert not set(manifest.by_extractor) & set(WEIGHTLESS)


def test_the_metrics_that_need_weights_are_those_that_name_their_extractors(
    manifest: Manifest,
) -> None:
    for weights in manifest.weights:
        wanted = {
            metric.id
            for metric in GENERATION_METRICS.values()
            if set(metric.extractors) & set(weights.extractors)
        }
        assert set(weights.metrics) == wanted, weights.id


def test_every_network_says_licence_and_source(manifest: Manifest) -> None:
    for weights in manifest.weights:
        assert weights.licence
        assert weights.source.startswith("https://")
        assert weights.files, weights.id


@pytest.mark.parametrize("weights_id", sorted(PUBLISHED))
def test_the_number_of_parameters_is_that_of_the_architecture(
    weights_id: str, manifest: Manifest
) -> None:
    with torch.device("meta"):
        network = PUBLISHED[weights_id]()
    weights = manifest.by_id[weights_id]
    assert sum(part.numel() for part in network.parameters()) == weights.parameters
    assert weights.about_bytes == 4 * weights.parameters


def test_every_network_is_counted(manifest: Manifest) -> None:
    assert {each.id for each in manifest.weights} == set(PUBLISHED)


def test_a_small_manifest_reads_back(tmp_path: Path) -> None:
    digest = "0" * 63 + "a"
    found = load_manifest(written(tmp_path, row(digest=digest)))
    assert found.by_id["a"].files[0].sha256 == digest
    assert found.by_extractor["one"].id == "a"
    assert [each.id for each in found.needed_by("m")] == ["a"]
    assert found.needed_by("other") == ()


@pytest.mark.parametrize(
    "file", ["model.bin", "model.pt", "pytorch_model.pkl", "../x.json", "a/b.txt"]
)
def test_only_safetensors_and_texts_beside_each_other(tmp_path: Path, file: str) -> None:
    with pytest.raises(WeightsInvalid):
        load_manifest(written(tmp_path, row(file=file)))


@pytest.mark.parametrize(
    "rows",
    [
        (row(), row(extractor="two")),
        (row(), row(id="b")),
        (row(digest="abc"),),
        (row(id="../up"),),
    ],
    ids=["id twice", "extractor twice", "no digest", "no name"],
)
def test_contradictions_are_refused(tmp_path: Path, rows: tuple[str, ...]) -> None:
    with pytest.raises(WeightsInvalid):
        load_manifest(written(tmp_path, *rows))


def test_pins_as_sha256sum_prints_them(tmp_path: Path) -> None:
    path = tmp_path / "pins"
    first, second = "a" * 64, "0" * 64
    path.write_text(f"{first}  a/model.safetensors\n{second} *./a/config.json\n\n", "utf-8")
    assert dict(read_pins(path)) == {"a/model.safetensors": first, "a/config.json": second}


@pytest.mark.parametrize(
    "text", ["abc  a/b", "A" * 64 + "  a/b", "a" * 64, ("a" * 64 + "  a/b\n") * 2]
)
def test_pins_of_another_form_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pins"
    path.write_text(text, "utf-8")
    with pytest.raises(WeightsInvalid):
        read_pins(path)
