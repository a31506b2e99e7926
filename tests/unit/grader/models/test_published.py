"""The networks written here against the published code, at full size with weights of a formula.

The expected numbers were made by the published implementations, which are not installed here, from
the same weights and inputs, in float32 on a CPU with torch 2.13.0: torchvision 0.28.0 (3D ResNet),
torch-fidelity 0.4.0 (Inception), torchvggish (VGGish without its last ReLU), the evaluator of
text-to-motion (its motion part), pyiqa 0.1.16 (MUSIQ, with its own making of patches), and what
VBench 0.1.5 carries (RAFT, both parts of ViCLIP, Unmasked Teacher). Of the last two the blocks are
all alike: two of them are kept, of full width; all 24 were compared when they were written.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from services.grader.models.inception import Inception, prepare
from services.grader.models.motion_encoder import MotionNetwork
from services.grader.models.musiq import Musiq, pyramid_of
from services.grader.models.raft import Raft, padded_frames
from services.grader.models.umt import Umt, UmtSizes
from services.grader.models.vggish import Vggish
from services.grader.models.viclip import Viclip, ViclipSizes
from services.grader.models.video_resnet import VideoResNet


def by_formula(network: nn.Module) -> nn.Module:
    """Sines over the place in each tensor, of the spread that keeps activations in range."""
    state = network.state_dict()
    for name in sorted(state):
        tensor = state[name]
        if not tensor.is_floating_point() or ".norm3." in name:
            continue
        wave = torch.sin(torch.arange(tensor.numel(), dtype=torch.float64) * 1.7 + len(name))
        if name.endswith("running_var"):
            values = 1.0 + 0.5 * wave
        elif tensor.ndim > 1:
            values = wave * math.sqrt(2.0 / (tensor.numel() / tensor.shape[0])) * math.sqrt(2.0)
        elif name.endswith("weight"):
            values = 1.0 + 0.1 * wave
        else:
            values = 0.1 * wave
        with torch.no_grad():
            tensor.copy_(values.reshape(tensor.shape))
    return network.eval().requires_grad_(False)


def waves(*shape: int) -> Tensor:
    """Inputs in -1..1."""
    size = math.prod(shape)
    return torch.sin(torch.arange(size, dtype=torch.float64) ** 1.5 * 0.01).reshape(shape).float()


def picture(height: int, width: int) -> np.ndarray:
    values = waves(height, width, 3).numpy().astype(np.float64)
    return np.round(values * 127 + 128).astype(np.uint8)


def outputs() -> dict[str, Tensor]:
    """One output row of each network that is written here."""
    torch.set_num_threads(1)
    frame = picture(128, 136)
    padded, _ = padded_frames(np.stack([frame, np.roll(frame, 2, axis=1)]))
    viclip = Viclip(ViclipSizes(layers=2, text_layers=2, words=1000))
    tokens, ends = torch.full((1, 32), 999), torch.tensor([8])
    tokens[0, :8] = torch.tensor([998, 320, 192, 533, 286, 100, 400, 7])
    with torch.inference_mode():
        return {
            "inception": by_formula(Inception())(prepare(picture(120, 90))[None])[0],
            "video-resnet": by_formula(VideoResNet())(waves(1, 3, 16, 32, 32))[0],
            "vggish": by_formula(Vggish())(waves(1, 1, 96, 64))[0],
            "raft": by_formula(Raft())(padded[:1], padded[1:])[0].flatten(),
            "motion": by_formula(MotionNetwork())(waves(1, 24, 259))[0],
            "viclip-video": by_formula(viclip.vision_encoder)(waves(1, 8, 3, 224, 224))[0],
            "viclip-text": by_formula(viclip.text_encoder)(tokens, ends)[0],
            "umt": by_formula(Umt(UmtSizes(layers=2)))(waves(1, 16, 3, 224, 224))[0],
            "musiq": by_formula(Musiq())(*pyramid_of(picture(97, 150))),
        }


@pytest.fixture(scope="module")
def made() -> dict[str, Tensor]:
    return outputs()


#: Length, Euclidean norm, and six values at equal steps, by the published code.
EXPECTED = {
    "inception": (2048, 22.101248, [1.325835, 0.094005, 0.014656, 0.0, 0.000066, 0.050272]),
    "video-resnet": (512, 21.868299, [0.147111, 0.733197, 0.269207, 0.139957, 1.015331, 0.139052]),
    "vggish": (128, 24.466595, [-1.472997, 2.480711, 2.374845, -1.592812, -2.882421, 0.402218]),
    "raft": (34816, 1938.659518, [6.696826, 15.629753, 15.639969, 6.072126, -2.803759, -2.800269]),
    "motion": (512, 170.092363, [-3.45967, 6.720804, 10.614267, 4.547999, -5.75837, -10.586647]),
    "viclip-video": (
        768,
        2.714448,
        [-0.116781, 0.133719, -0.063687, -0.047769, 0.128155, -0.125188],
    ),
    "viclip-text": (
        768,
        662.430613,
        [29.31776, -7.375774, -19.363457, 33.508583, -25.859509, 1.391248],
    ),
    "umt": (400, 27.107385, [1.321839, -1.25961, -1.321002, 1.23504, 1.43319, -1.196954]),
    "musiq": (1, 0.066351, [0.066351]),
}


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_the_network_gives_what_the_published_code_gives(
    name: str, made: dict[str, Tensor]
) -> None:
    length, norm, values = EXPECTED[name]
    row = made[name].double().numpy()
    assert len(row) == length
    np.testing.assert_allclose(np.linalg.norm(row), norm, rtol=1e-4)
    np.testing.assert_allclose(row[:: max(length // 6, 1)][:6], values, rtol=1e-3, atol=1e-4)
