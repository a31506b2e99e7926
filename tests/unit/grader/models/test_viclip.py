"""ViCLIP: its blocks against torch's attention and transformers' CLIP, its places by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from services.grader.device import Device
from services.grader.models import hub
from services.grader.models.clips import ClipProcessor
from services.grader.models.extractors import Extractors
from services.grader.models.pictures import CLIP_MEAN, CLIP_STD
from services.grader.models.tensors import TENSORS_FILE, fill, read_tensors
from services.grader.models.transformer import attend
from services.grader.models.viclip import Viclip, open_viclip
from services.grader.weights.errors import WeightsInvalid
from services.grader.weights.folder import HeldWeights, WeightsFolder
from tests.unit.grader.models.tiny import VICLIP

# isort: split
from transformers import CLIPConfig, CLIPModel

SIDE = VICLIP.patch * VICLIP.grid


@pytest.fixture(scope="module")
def held(tiny: WeightsFolder, cpu: Device) -> HeldWeights:
    return tiny.get("viclip")


@pytest.fixture(scope="module")
def network(held: HeldWeights) -> Viclip:
    found = Viclip(VICLIP)
    fill(found, read_tensors(held.folder / TENSORS_FILE), "viclip")
    return found


@pytest.fixture(scope="module")
def library(network: Viclip) -> nn.Module:
    """transformers' CLIP with the same numbers, for one frame whose place in time is the mean."""
    sizes = network.sizes
    config = CLIPConfig(
        text_config={
            "vocab_size": sizes.words,
            "hidden_size": sizes.text_width,
            "intermediate_size": 4 * sizes.text_width,
            "num_attention_heads": sizes.text_width // 64,
            "num_hidden_layers": sizes.text_layers,
            "max_position_embeddings": sizes.tokens,
            "eos_token_id": sizes.words - 1,
        },
        vision_config={
            "hidden_size": sizes.width,
            "intermediate_size": 4 * sizes.width,
            "num_attention_heads": sizes.width // 64,
            "num_hidden_layers": sizes.layers,
            "image_size": SIDE,
            "patch_size": sizes.patch,
        },
        projection_dim=sizes.out,
    )
    model = CLIPModel(config).eval()
    ours = network.state_dict()
    theirs = {
        "visual_projection.weight": ours["vision_encoder.proj"].T,
        "text_projection.weight": ours["text_encoder.text_projection"].T,
        "vision_model.embeddings.patch_embedding.weight": ours["vision_encoder.conv1.weight"][
            :, :, 0
        ],
        "vision_model.embeddings.class_embedding": ours["vision_encoder.class_embedding"],
        "vision_model.embeddings.position_embedding.weight": ours[
            "vision_encoder.positional_embedding"
        ],
        "text_model.embeddings.token_embedding.weight": ours["text_encoder.token_embedding.weight"],
        "text_model.embeddings.position_embedding.weight": ours[
            "text_encoder.positional_embedding"
        ],
    }
    for end in ("weight", "bias"):
        theirs[f"vision_model.pre_layrnorm.{end}"] = ours[f"vision_encoder.ln_pre.{end}"]
        theirs[f"vision_model.post_layernorm.{end}"] = ours[f"vision_encoder.ln_post.{end}"]
        theirs[f"text_model.final_layer_norm.{end}"] = ours[f"text_encoder.ln_final.{end}"]
        for part, layers in (("vision", sizes.layers), ("text", sizes.text_layers)):
            for layer in range(layers):
                to = f"{part}_model.encoder.layers.{layer}"
                at = f"{part}_encoder.transformer.resblocks.{layer}"
                thirds = ours[f"{at}.attn.in_proj_{end}"].chunk(3)
                for name, third in zip("qkv", thirds, strict=True):
                    theirs[f"{to}.self_attn.{name}_proj.{end}"] = third
                theirs[f"{to}.self_attn.out_proj.{end}"] = ours[f"{at}.attn.out_proj.{end}"]
                theirs[f"{to}.layer_norm1.{end}"] = ours[f"{at}.ln_1.{end}"]
                theirs[f"{to}.layer_norm2.{end}"] = ours[f"{at}.ln_2.{end}"]
                theirs[f"{to}.mlp.fc1.{end}"] = ours[f"{at}.mlp.c_fc.{end}"]
                theirs[f"{to}.mlp.fc2.{end}"] = ours[f"{at}.mlp.c_proj.{end}"]
    lacking = model.load_state_dict(theirs, strict=False)
    assert lacking.missing_keys == ["logit_scale"]
    assert lacking.unexpected_keys == []
    return model


def numbers(*shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(1).normal(size=shape)).float()


@pytest.mark.parametrize("causal", [False, True])
def test_attention_is_torchs(causal: bool) -> None:
    tokens = numbers(2, 7, 192)
    theirs = nn.MultiheadAttention(192, 3, batch_first=True).eval()
    mask = nn.Transformer.generate_square_subsequent_mask(7) if causal else None
    with torch.no_grad():
        theirs.in_proj_bias.normal_()
        wanted, _ = theirs(tokens, tokens, tokens, attn_mask=mask, need_weights=True)
        parts = nn.functional.linear(tokens, theirs.in_proj_weight, theirs.in_proj_bias).chunk(
            3, -1
        )
        made = theirs.out_proj(attend(*parts, causal=causal))
    torch.testing.assert_close(made, wanted, atol=1e-5, rtol=1e-4)


def test_texts_are_clips(network: Viclip, library: nn.Module) -> None:
    end = VICLIP.words - 1
    tokens = torch.full((2, VICLIP.tokens), end)
    tokens[0, :5] = torch.tensor([512, 7, 300, 1, 44])
    tokens[1, :15] = torch.arange(40, 55)
    with torch.inference_mode():
        wanted = library.get_text_features(tokens).pooler_output
        made = network.text_encoder(tokens, torch.tensor([5, 15]))
    torch.testing.assert_close(made, wanted, atol=1e-5, rtol=1e-4)


def test_videos_are_clip_over_the_patches_of_all_frames(
    network: Viclip, library: nn.Module
) -> None:
    clips = numbers(2, 8, 3, SIDE, SIDE)
    vision, own = library.vision_model, network.vision_encoder
    with torch.inference_mode():
        # A frame's patches with their places, as the library makes them; then its place in time.
        each = [vision.embeddings(clips[:, place]) for place in range(8)]
        times = own.temporal_positional_embedding[0]
        patches = [frame[:, 1:] + times[place] for place, frame in enumerate(each)]
        tokens = vision.pre_layrnorm(torch.cat([each[0][:, :1], *patches], dim=1))
        last = vision.encoder(inputs_embeds=tokens).last_hidden_state[:, 0]
        wanted = library.visual_projection(vision.post_layernorm(last))
        made = own(clips)
    torch.testing.assert_close(made, wanted, atol=1e-5, rtol=1e-4)


def test_the_order_of_frames_matters(extractors: Extractors) -> None:
    video = np.random.default_rng(2).integers(0, 256, (8, 30, 40, 3), dtype=np.uint8)
    there, back = extractors.get("viclip_video")([video, video[::-1]])
    assert np.abs(there - back).max() > 1e-3


def test_eight_middle_frames_are_seen(extractors: Extractors) -> None:
    video = np.random.default_rng(3).integers(0, 256, (24, 30, 40, 3), dtype=np.uint8)
    embed = extractors.get("viclip_video")
    np.testing.assert_allclose(embed([video]), embed([video[1::3]]), rtol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 30, 40), (3, 2, 200)])
def test_short_and_tiny_videos_stand_still_at_their_end(
    shape: tuple[int, int, int], extractors: Extractors
) -> None:
    video = np.random.default_rng(4).integers(0, 256, (*shape, 3), dtype=np.uint8)
    longer = video[np.minimum(np.arange(8), len(video) - 1)]
    embed = extractors.get("viclip_video")
    assert np.array_equal(embed([video]), embed([longer]))


def test_frames_are_those_of_the_processor(network: Viclip, held: HeldWeights, cpu: Device) -> None:
    video = np.random.default_rng(5).integers(0, 256, (8, 30, 44, 3), dtype=np.uint8)
    clip = ClipProcessor(8, SIDE, SIDE, CLIP_MEAN, CLIP_STD, cubic=True)(video)
    with torch.inference_mode():
        wanted = network.vision_encoder(clip[None])
    made = open_viclip(held, cpu)["video"]([video])
    np.testing.assert_allclose(made, wanted, rtol=1e-5, atol=1e-6)


def test_a_text_is_cut_and_its_case_does_not_matter(extractors: Extractors) -> None:
    text = extractors.get("viclip_text")
    # Sixteen tokens, the first and the last taken; a word is its bytes here.
    rows = text(["abcdefghijklmnop", "abcdefghijklmnxyz", "ABCDEFGHIJKLMN", "abcdefghijklm"])
    np.testing.assert_allclose(rows[1:3], rows[[0, 2]], rtol=1e-5, atol=1e-6)
    assert np.abs(rows[3] - rows[0]).max() > 1e-3


def test_the_words_are_those_of_clip(network: Viclip, held: HeldWeights, cpu: Device) -> None:
    tokenizer = hub.open_part(hub.CLIPTokenizer, held.folder)
    tokens = tokenizer("a dog", padding="max_length", max_length=16, return_tensors="pt").input_ids
    with torch.inference_mode():
        wanted = network.text_encoder(tokens, torch.tensor([5]))
    assert tokens[0, 5] == tokenizer.eos_token_id
    made = open_viclip(held, cpu)["text"](["a dog"])
    np.testing.assert_allclose(made, wanted, rtol=1e-5, atol=1e-6)


def test_the_temperature_of_training_may_be_in_the_file(network: Viclip) -> None:
    fill(Viclip(VICLIP), {**network.state_dict(), "temp": torch.ones(())}, "viclip", r"^temp$")


def test_a_file_of_another_size_is_refused_by_name(network: Viclip) -> None:
    tensors = network.state_dict()
    tensors["vision_encoder.proj"] = torch.zeros(100, 16)
    with pytest.raises(WeightsInvalid) as refused:
        fill(Viclip(VICLIP), tensors, "viclip")
    assert refused.value.metadata["tensor"] == "vision_encoder.proj"
