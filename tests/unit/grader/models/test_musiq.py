"""MUSIQ: patches and places by hand, layers against torch's own, scores of pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from services.grader.device import Device
from services.grader.metrics.media_generation import GENERATION_METRICS
from services.grader.models.extractors import Extractors
from services.grader.models.musiq import Musiq, pyramid_of
from services.grader.models.tensors import TENSORS_FILE, fill, read_tensors
from services.grader.weights.folder import WeightsFolder
from tests.unit.grader.models.tiny import MUSIQ


@pytest.fixture(scope="module")
def network(tiny: WeightsFolder, cpu: Device) -> Musiq:
    found = Musiq(MUSIQ)
    fill(found, read_tensors(tiny.get("musiq-koniq").folder / TENSORS_FILE), "musiq-koniq")
    return found


def a_picture(height: int, width: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(height * 1000 + width)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("size", "grids"),
    [
        ((64, 64), [(7, 7), (12, 12), (2, 2)]),
        ((100, 200), [(4, 7), (6, 12), (4, 7)]),
        ((1, 1), [(7, 7), (12, 12), (1, 1)]),
        # A side that rounds to nothing is one pixel.
        ((1, 2000), [(1, 7), (1, 12), (1, 63)]),
    ],
)
def test_how_many_patches_a_picture_has_at_each_scale(
    size: tuple[int, int], grids: list[tuple[int, int]]
) -> None:
    patches, places, scales = pyramid_of(a_picture(*size))
    counts = [rows * columns for rows, columns in grids]
    assert patches.shape == (sum(counts), 3, 32, 32)
    assert scales.tolist() == [scale for scale, count in enumerate(counts) for _ in range(count)]
    assert places.min() == 0
    assert places.max() < 100
    assert patches.min() >= -1.5
    assert patches.max() <= 1.5


def test_a_picture_of_whole_patches_is_cut_row_by_row() -> None:
    picture = a_picture(64, 96)
    patches, places, scales = pyramid_of(picture)
    own = patches[scales == 2]
    for at, (row, column) in enumerate(np.ndindex(2, 3)):
        cut = picture[32 * row : 32 * row + 32, 32 * column : 32 * column + 32]
        wanted = torch.from_numpy(cut).permute(2, 0, 1) / 255.0 * 2 - 1
        torch.testing.assert_close(own[at], wanted)
    # Two rows and three columns over a grid of ten: 0 and 5; 0, 3 and 6.
    assert places[scales == 2].tolist() == [0, 3, 6, 50, 53, 56]


def test_what_lacks_to_whole_patches_is_grey_on_both_sides() -> None:
    white = np.full((30, 33, 3), 255, dtype=np.uint8)
    patches, _, scales = pyramid_of(white)
    left, right = patches[scales == 2]
    whole = torch.cat([left, right], dim=2)[0]
    wanted = torch.zeros(32, 64)
    wanted[1:31, 15:48] = 1.0
    assert torch.equal(whole, wanted)


def test_smaller_scales_are_torchs_bicubic() -> None:
    picture = a_picture(448, 448)
    patches, _, scales = pyramid_of(picture)
    whole = torch.from_numpy(picture).permute(2, 0, 1)[None] / 255.0 * 2 - 1
    for scale, side in ((0, 224), (1, 384)):
        wanted = functional.interpolate(whole, (side, side), mode="bicubic")[0]
        count = side // 32
        made = patches[scales == scale].reshape(count, count, 3, 32, 32)
        made = made.permute(2, 0, 3, 1, 4).reshape(3, side, side)
        torch.testing.assert_close(made, wanted, atol=1e-5, rtol=1e-5)


def test_convolutions_use_standard_filters(network: Musiq) -> None:
    x = torch.from_numpy(np.random.default_rng(1).normal(size=(2, 3, 32, 32))).float()
    weight = network.conv_root.weight.double()
    filters = weight.flatten(1)
    filters = (filters - filters.mean(1, keepdim=True)) / (filters.std(1, keepdim=True) + 1e-5)
    # Seven pixels wide, two apart, over 32: five lack, two before and three after.
    padded = functional.pad(x, (2, 3, 2, 3)).double()
    wanted = functional.conv2d(padded, filters.reshape(weight.shape), stride=2)
    made = network.conv_root(x)
    assert made.shape == (2, MUSIQ.stem, 16, 16)
    torch.testing.assert_close(made.double(), wanted, atol=1e-4, rtol=1e-4)


def test_blocks_are_torchs_encoder_layers(network: Musiq) -> None:
    theirs = nn.TransformerEncoderLayer(
        MUSIQ.width,
        MUSIQ.width // 64,
        MUSIQ.hidden,
        activation="gelu",
        layer_norm_eps=1e-6,
        batch_first=True,
        norm_first=True,
    ).eval()
    block = network.transformer_encoder.transformer["encoderblock_1"]
    ours = block.state_dict()
    state = {}
    for end in ("weight", "bias"):
        thirds = [ours[f"attention.{name}.{end}"] for name in ("query", "key", "value")]
        state[f"self_attn.in_proj_{end}"] = torch.cat(thirds)
        state[f"self_attn.out_proj.{end}"] = ours[f"attention.out.{end}"]
        for number in (1, 2):
            state[f"linear{number}.{end}"] = ours[f"mlp.fc{number}.{end}"]
            state[f"norm{number}.{end}"] = ours[f"norm{number}.{end}"]
    theirs.load_state_dict(state)
    tokens = torch.from_numpy(np.random.default_rng(2).normal(size=(1, 9, MUSIQ.width))).float()
    with torch.no_grad():
        torch.testing.assert_close(block(tokens), theirs(tokens), atol=1e-5, rtol=1e-4)


def test_a_tokens_place_and_scale_count(network: Musiq) -> None:
    patches, places, scales = pyramid_of(a_picture(64, 96))
    with torch.inference_mode():
        score = network(patches, places, scales)
        assert score.shape == (1,)
        assert abs(score - network(patches, places.flip(0), scales)) > 1e-5
        assert abs(score - network(patches, places, 2 - scales)) > 1e-5
        # The order of the patches does not, with their places.
        swapped = network(patches.flip(0), places.flip(0), scales.flip(0))
        torch.testing.assert_close(swapped, score, atol=1e-5, rtol=1e-4)


def test_many_patches_are_convolved_in_parts(
    network: Musiq, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = pyramid_of(a_picture(100, 100))
    with torch.inference_mode():
        whole = network(*inputs)
        monkeypatch.setattr("services.grader.models.musiq._PATCHES_AT_ONCE", 50)
        torch.testing.assert_close(network(*inputs), whole, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (33, 2)])
def test_tiny_pictures_have_a_score(size: tuple[int, int], extractors: Extractors) -> None:
    assert np.isfinite(extractors.get("musiq_score")([a_picture(*size)])).all()


def test_the_metric_takes_them(extractors: Extractors) -> None:
    video = np.stack([a_picture(40, 50)] * 2)
    score = extractors.get("musiq_score")
    found = GENERATION_METRICS["musiq"].function([video], musiq_score=score)
    assert found.value == pytest.approx(float(np.clip(score(list(video)), 0, 100).mean()))
