"""Unmasked Teacher against transformers' VideoMAE, its places and what it makes of videos."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from services.grader.device import Device
from services.grader.metrics.media_generation import GENERATION_METRICS
from services.grader.models.clips import ClipProcessor
from services.grader.models.extractors import Extractors
from services.grader.models.pictures import IMAGENET_MEAN, IMAGENET_STD
from services.grader.models.tensors import TENSORS_FILE, fill, read_tensors
from services.grader.models.umt import SIDE, Umt, open_umt, positions
from services.grader.weights.folder import HeldWeights, WeightsFolder
from tests.unit.grader.models.tiny import UMT

# isort: split
from transformers import VideoMAEConfig, VideoMAEForVideoClassification


@pytest.fixture(scope="module")
def held(tiny: WeightsFolder, cpu: Device) -> HeldWeights:
    return tiny.get("umt-l-16")


def network_of(held: HeldWeights, frames: int) -> Umt:
    found = Umt(UMT, frames)
    fill(found, read_tensors(held.folder / TENSORS_FILE), "umt-l-16")
    return found


def library_of(network: Umt, frames: int) -> nn.Module:
    """transformers' VideoMAE with the same numbers."""
    config = VideoMAEConfig(
        image_size=SIDE,
        patch_size=UMT.patch,
        num_frames=frames,
        tubelet_size=1,
        hidden_size=UMT.width,
        num_hidden_layers=UMT.layers,
        num_attention_heads=UMT.width // 64,
        intermediate_size=UMT.hidden,
        layer_norm_eps=1e-6,
        use_mean_pooling=True,
        qkv_bias=True,
        num_labels=UMT.classes,
    )
    model = VideoMAEForVideoClassification(config).eval()
    ours = network.state_dict()
    theirs: dict[str, Tensor] = {}
    for end in ("weight", "bias"):
        theirs[f"videomae.embeddings.patch_embeddings.projection.{end}"] = ours[
            f"patch_embed.proj.{end}"
        ]
        theirs[f"fc_norm.{end}"] = ours[f"fc_norm.{end}"]
        theirs[f"classifier.{end}"] = ours[f"head.{end}"]
        for layer in range(UMT.layers):
            to, at = f"videomae.encoder.layer.{layer}", f"blocks.{layer}"
            theirs[f"{to}.attention.output.dense.{end}"] = ours[f"{at}.attn.proj.{end}"]
            theirs[f"{to}.layernorm_before.{end}"] = ours[f"{at}.norm1.{end}"]
            theirs[f"{to}.layernorm_after.{end}"] = ours[f"{at}.norm2.{end}"]
            theirs[f"{to}.intermediate.dense.{end}"] = ours[f"{at}.mlp.fc1.{end}"]
            theirs[f"{to}.output.dense.{end}"] = ours[f"{at}.mlp.fc2.{end}"]
    for layer in range(UMT.layers):
        to, at = f"videomae.encoder.layer.{layer}.attention.attention", f"blocks.{layer}.attn"
        for name, third in zip(
            ("query", "key", "value"), ours[f"{at}.qkv.weight"].chunk(3), strict=True
        ):
            theirs[f"{to}.{name}.weight"] = third
        theirs[f"{to}.query.bias"] = ours[f"{at}.q_bias"]
        theirs[f"{to}.value.bias"] = ours[f"{at}.v_bias"]
    found = model.load_state_dict(theirs, strict=False)
    assert found.missing_keys == []
    assert found.unexpected_keys == []
    return model


def test_eight_frames_are_videomae(held: HeldWeights) -> None:
    network = network_of(held, 8)
    clips = torch.from_numpy(np.random.default_rng(1).normal(size=(2, 8, 3, SIDE, SIDE))).float()
    library = library_of(network, 8)
    with torch.inference_mode():
        wanted = library(pixel_values=clips).logits
        torch.testing.assert_close(network(clips), wanted, atol=1e-5, rtol=1e-4)


def test_sixteen_frames_are_videomae_with_the_places_stretched(held: HeldWeights) -> None:
    network = network_of(held, 16)
    library = library_of(network, 16)
    library.videomae.embeddings.position_embeddings = network.positions[None]
    clips = torch.from_numpy(np.random.default_rng(2).normal(size=(1, 16, 3, SIDE, SIDE))).float()
    with torch.inference_mode():
        wanted = library(pixel_values=clips).logits
        torch.testing.assert_close(network(clips), wanted, atol=1e-5, rtol=1e-4)


def test_places_of_eight_frames_are_sines() -> None:
    table = positions(8, 4, 6)
    assert table.shape == (32, 6)
    for place in (0, 1, 17, 31):
        turns = [place / 10_000 ** (2 * pair / 6) for pair in range(3)]
        wanted = [each for turn in turns for each in (np.sin(turn), np.cos(turn))]
        np.testing.assert_allclose(table[place], wanted, atol=1e-5)


def test_places_of_sixteen_frames_lie_between_those_of_eight() -> None:
    few, many = positions(8, 4, 6).reshape(8, 4, 6), positions(16, 4, 6).reshape(16, 4, 6)
    torch.testing.assert_close(many[0], few[0])
    torch.testing.assert_close(many[15], few[7])
    for place in range(7):
        torch.testing.assert_close(many[2 * place + 1], 0.75 * few[place] + 0.25 * few[place + 1])
        torch.testing.assert_close(many[2 * place + 2], 0.25 * few[place] + 0.75 * few[place + 1])


def test_a_file_with_its_places_is_read_too(held: HeldWeights) -> None:
    tensors = read_tensors(held.folder / TENSORS_FILE)
    fill(Umt(UMT), {**tensors, "pos_embed": torch.zeros(1, 256, 128)}, "a", r"^pos_embed$")


def test_each_class_has_its_own_probability(held: HeldWeights, cpu: Device) -> None:
    video = np.random.default_rng(3).integers(0, 256, (16, 60, 80, 3), dtype=np.uint8)
    clip = ClipProcessor(16, 256, 224, IMAGENET_MEAN, IMAGENET_STD)(video)
    with torch.inference_mode():
        scores = network_of(held, 16)(clip[None]).double().numpy()
    made = open_umt(held, cpu)["probabilities"]([video])
    np.testing.assert_allclose(made, 1 / (1 + np.exp(-scores)), rtol=1e-5)
    assert made.shape == (1, UMT.classes)
    assert ((made > 0) & (made < 1)).all()


def test_sixteen_middle_frames_are_seen(extractors: Extractors) -> None:
    video = np.random.default_rng(4).integers(0, 256, (48, 30, 40, 3), dtype=np.uint8)
    actions = extractors.get("action_probabilities")
    np.testing.assert_allclose(actions([video]), actions([video[1::3]]), rtol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 30, 40), (5, 2, 200)])
def test_short_and_tiny_videos_stand_still_at_their_end(
    shape: tuple[int, int, int], extractors: Extractors
) -> None:
    video = np.random.default_rng(5).integers(0, 256, (*shape, 3), dtype=np.uint8)
    longer = video[np.minimum(np.arange(16), len(video) - 1)]
    actions = extractors.get("action_probabilities")
    assert np.array_equal(actions([video]), actions([longer]))


def test_the_metric_takes_them(extractors: Extractors) -> None:
    video = np.random.default_rng(6).integers(0, 256, (16, 30, 40, 3), dtype=np.uint8)
    metric = GENERATION_METRICS["action-success"]
    actions = extractors.get("action_probabilities")
    best = int(actions([video])[0].argmax())
    sure = actions([video])[0, best] >= 0.85
    found = metric.function([video], [best], action_probabilities=actions)
    assert found.value == (100.0 if sure else 0.0)
