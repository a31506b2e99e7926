"""Unmasked Teacher: which of 400 actions a video shows (K. Li et al., ICCV 2023).

A ViT-L/16 over sixteen frames at once, tuned on Kinetics-400; the mean of its tokens is classified.
Places are told by fixed sines of eight frames, stretched in time to sixteen as in the published
code; the published file does not hold them. Names of tensors are those of the published checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from services.grader.device import Device
from services.grader.models.clips import ClipProcessor
from services.grader.models.pictures import IMAGENET_MEAN, IMAGENET_STD, Picture
from services.grader.models.tensors import TENSORS_FILE, fill, read_tensors
from services.grader.models.transformer import HEAD, Mlp, attend, depth
from services.grader.weights.folder import HeldWeights

VIDEOS_PER_BATCH: Final = 1
#: Frames of a video that are seen, the shorter side before the middle is cut, and its side.
FRAMES: Final = 16
RESIZED: Final = 256
SIDE: Final = 224

#: Frames that the network was first trained with, whose places it knows.
_FIRST_FRAMES: Final = 8
_PERIOD: Final = 10_000.0
_EPSILON: Final = 1e-6


@dataclass(frozen=True, slots=True)
class UmtSizes:
    """The size of the network; the published one by default."""

    width: int = 1024
    layers: int = 24
    patch: int = 16
    hidden: int = 4096
    classes: int = 400


class Umt(nn.Module):
    """Clips [n, t, 3, 224, 224] to the scores of the classes [n, classes]."""

    positions: Tensor

    def __init__(self, sizes: UmtSizes | None = None, frames: int = FRAMES) -> None:
        super().__init__()
        sizes = sizes or UmtSizes()
        self.patch_embed = _PatchEmbedding(sizes)
        self.blocks = nn.ModuleList(_Block(sizes) for _ in range(sizes.layers))
        self.fc_norm = nn.LayerNorm(sizes.width, eps=_EPSILON)
        self.head = nn.Linear(sizes.width, sizes.classes)
        places = (SIDE // sizes.patch) ** 2
        self.register_buffer("positions", positions(frames, places, sizes.width), persistent=False)

    def forward(self, clips: Tensor) -> Tensor:
        x = self.patch_embed(clips) + self.positions
        for block in self.blocks:
            x = block(x)
        found: Tensor = self.head(self.fc_norm(x.mean(dim=1)))
        return found


class _PatchEmbedding(nn.Module):
    def __init__(self, sizes: UmtSizes) -> None:
        super().__init__()
        kernel = (1, sizes.patch, sizes.patch)
        self.proj = nn.Conv3d(3, sizes.width, kernel, kernel)

    def forward(self, clips: Tensor) -> Tensor:
        found: Tensor = self.proj(clips.transpose(1, 2)).flatten(2).transpose(1, 2)
        return found


class _Block(nn.Module):
    def __init__(self, sizes: UmtSizes) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(sizes.width, eps=_EPSILON)
        self.attn = _Attention(sizes.width)
        self.norm2 = nn.LayerNorm(sizes.width, eps=_EPSILON)
        self.mlp = Mlp(sizes.width, sizes.hidden)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        found: Tensor = x + self.mlp(self.norm2(x))
        return found


class _Attention(nn.Module):
    """Queries and values have a bias, keys have none."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(width))
        self.v_bias = nn.Parameter(torch.zeros(width))
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.qkv(x).chunk(3, dim=-1)
        found: Tensor = self.proj(attend(query + self.q_bias, key, value + self.v_bias))
        return found


def positions(frames: int, places: int, width: int) -> Tensor:
    """The embeddings [frames places, width] of the places of ``places`` patches in each frame.

    Place p of the first training's eight frames has sin and cos of p / 10000^(2 i / width) in turn;
    for another number of frames they are interpolated linearly in time, frame centres at
    half-integers.
    """
    place = torch.arange(_FIRST_FRAMES * places, dtype=torch.float64)[:, None]
    angles = place / _PERIOD ** (torch.arange(0, width, 2, dtype=torch.float64) / width)
    table = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1).float()
    if frames != _FIRST_FRAMES:
        in_time = table.reshape(1, _FIRST_FRAMES, places * width).transpose(1, 2)
        stretched = functional.interpolate(in_time, size=frames, mode="linear")
        table = stretched.transpose(1, 2).reshape(frames * places, width)
    return table


def open_umt(held: HeldWeights, device: Device) -> Mapping[str, Any]:
    """``probabilities``: videos [t, h, w, 3] uint8 to [n, 400] float64, each in 0..1.

    Each class's own probability, the logistic function of its score, as the published scorer has
    it: rows do not sum to 1. Sixteen frames count, the middles of the video's sixteenths; of a
    shorter video the last is repeated.
    """
    tensors = read_tensors(held.folder / TENSORS_FILE)
    network = Umt(_sizes_of(tensors))
    # Places, where a file was written with them: fixed numbers.
    fill(network, tensors, held.weights.id, ignored=r"^pos_embed$")
    network.to(device.place)
    processor = ClipProcessor(FRAMES, RESIZED, SIDE, IMAGENET_MEAN, IMAGENET_STD)

    def batch(videos: Sequence[Picture]) -> Tensor:
        clips = torch.stack([processor(video) for video in videos])
        return torch.sigmoid(network(clips.to(device.place)).double())

    def probabilities(videos: Sequence[Picture]) -> NDArray[np.float64]:
        return device.features(videos, VIDEOS_PER_BATCH, batch)

    return {"probabilities": probabilities}


def _sizes_of(tensors: Mapping[str, Tensor]) -> UmtSizes:
    """The sizes that a file's tensors say; the published ones where they say none."""
    try:
        width, _, _, patch, _ = tensors["patch_embed.proj.weight"].shape
        hidden = tensors["blocks.0.mlp.fc1.bias"].numel()
        classes = tensors["head.bias"].numel()
    except (KeyError, ValueError):
        return UmtSizes()
    if width % HEAD or not 0 < patch <= SIDE:
        return UmtSizes()
    return UmtSizes(width, depth(tensors, "blocks."), patch, hidden, classes)
