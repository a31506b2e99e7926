"""MUSIQ: how good a picture looks, without another to compare it with (J. Ke et al., ICCV 2021).

A transformer over the patches of a picture at its own size and at two smaller ones. Each patch is
told its place, hashed to a grid of 10 x 10 over the picture, and its scale. Names of tensors are
those of the published port to torch, which the published scorer uses; so is the resizing, bicubic
without anti-aliasing, where the paper's own code smooths.
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
from services.grader.models.pictures import Picture, check_picture
from services.grader.models.tensors import TENSORS_FILE, fill, read_tensors
from services.grader.models.transformer import HEAD, Mlp, attend, depth
from services.grader.weights.folder import HeldWeights

#: Pictures of two sizes have two numbers of patches, so they go one by one.
PICTURES_PER_BATCH: Final = 1
#: Pixels of a patch's side, and of a picture's longer side at the smaller scales.
PATCH: Final = 32
LONGER_SIDES: Final = (224, 384)
#: Places of the grid along one side.
GRID: Final = 10

#: Patches that are convolved at a time; bounds the memory of a large picture.
_PATCHES_AT_ONCE: Final = 1024
_GROUPS: Final = 32
#: The convolutions make a token of a patch of a quarter of the side, in this many times the stem.
_SHRINK: Final = 4
_WIDEN: Final = 4


@dataclass(frozen=True, slots=True)
class MusiqSizes:
    """The size of the network; the published one by default."""

    stem: int = 64
    width: int = 384
    hidden: int = 1152
    layers: int = 14


class Musiq(nn.Module):
    """The patches of one picture [m, 3, 32, 32] in -1..1 with their grid places and scales [m].

    To its quality [1], on the scale of the training's mean opinion scores.
    """

    def __init__(self, sizes: MusiqSizes | None = None) -> None:
        super().__init__()
        sizes = sizes or MusiqSizes()
        self.conv_root = _StandardConvolution(3, sizes.stem, 7, 2)
        self.gn_root = nn.GroupNorm(_GROUPS, sizes.stem, eps=1e-6)
        self.block1 = _Bottleneck(sizes.stem, _WIDEN * sizes.stem)
        pixels = (PATCH // _SHRINK) ** 2
        self.embedding = nn.Linear(_WIDEN * sizes.stem * pixels, sizes.width)
        self.transformer_encoder = _Encoder(sizes)
        self.head = nn.Linear(sizes.width, 1)

    def forward(self, patches: Tensor, places: Tensor, scales: Tensor) -> Tensor:
        tokens = torch.cat([self._tokens(part) for part in torch.split(patches, _PATCHES_AT_ONCE)])
        found: Tensor = self.head(self.transformer_encoder(tokens, places, scales))
        return found

    def _tokens(self, patches: Tensor) -> Tensor:
        x = functional.relu(self.gn_root(self.conv_root(patches)))
        x = self.block1(functional.max_pool2d(_same(x, 3, 2), 3, 2))
        # Channels last, as the network was trained.
        found: Tensor = self.embedding(x.permute(0, 2, 3, 1).flatten(1))
        return found


class _StandardConvolution(nn.Conv2d):
    """A convolution whose filters are scaled to mean 0 and deviation 1 when they are used."""

    def __init__(self, channels: int, out: int, size: int, stride: int) -> None:
        super().__init__(channels, out, size, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        centred = self.weight - self.weight.mean(dim=(1, 2, 3), keepdim=True)
        scaled = centred / (self.weight.std(dim=(1, 2, 3), keepdim=True) + 1e-5)
        size, stride = self.kernel_size[0], self.stride[0]
        return functional.conv2d(_same(x, size, stride), scaled, stride=stride)


class _Bottleneck(nn.Module):
    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.conv1 = _StandardConvolution(channels, channels, 1, 1)
        self.conv2 = _StandardConvolution(channels, channels, 3, 1)
        self.conv3 = _StandardConvolution(channels, out, 1, 1)
        self.conv_proj = _StandardConvolution(channels, out, 1, 1)
        self.gn1, self.gn2 = (nn.GroupNorm(_GROUPS, channels, eps=1e-4) for _ in range(2))
        self.gn3, self.gn_proj = (nn.GroupNorm(_GROUPS, out, eps=1e-4) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.gn1(self.conv1(x)))
        y = functional.relu(self.gn2(self.conv2(y)))
        return functional.relu(self.gn3(self.conv3(y)) + self.gn_proj(self.conv_proj(x)))


class _Encoder(nn.Module):
    """Tokens [m, width] to the first token after the transformer, [width]."""

    def __init__(self, sizes: MusiqSizes) -> None:
        super().__init__()
        self.posembed_input = _Table("position_emb", (1, GRID**2, sizes.width))
        self.scaleembed_input = _Table("scale_emb", (len(LONGER_SIDES) + 1, sizes.width))
        self.cls = nn.Parameter(torch.zeros(1, 1, sizes.width))
        self.transformer = nn.ModuleDict(
            {f"encoderblock_{place}": _Block(sizes) for place in range(sizes.layers)}
        )
        self.encoder_norm = nn.LayerNorm(sizes.width, eps=1e-6)

    def forward(self, tokens: Tensor, places: Tensor, scales: Tensor) -> Tensor:
        x = tokens + self.posembed_input.row(places) + self.scaleembed_input.row(scales)
        x = torch.cat([self.cls, x[None]], dim=1)
        for block in self.transformer.values():
            x = block(x)
        found: Tensor = self.encoder_norm(x[0, 0])
        return found


class _Table(nn.Module):
    """Rows of learned numbers under a name of their own."""

    def __init__(self, name: str, shape: tuple[int, ...]) -> None:
        super().__init__()
        self._name = name
        self.register_parameter(name, nn.Parameter(torch.zeros(shape)))

    def row(self, numbers: Tensor) -> Tensor:
        table: Tensor = getattr(self, self._name)
        return table.flatten(0, -2)[numbers]


class _Block(nn.Module):
    def __init__(self, sizes: MusiqSizes) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(sizes.width, eps=1e-6)
        self.attention = _Attention(sizes.width)
        self.norm2 = nn.LayerNorm(sizes.width, eps=1e-6)
        self.mlp = Mlp(sizes.width, sizes.hidden)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        found: Tensor = x + self.mlp(self.norm2(x))
        return found


class _Attention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.out(attend(self.query(x), self.key(x), self.value(x)))
        return found


def open_musiq(held: HeldWeights, device: Device) -> Mapping[str, Any]:
    """``score``: pictures [h, w, 3] uint8 to [n, 1] float64, about 0..100, higher is better."""
    tensors = read_tensors(held.folder / TENSORS_FILE)
    network = Musiq(_sizes_of(tensors))
    fill(network, tensors, held.weights.id)
    network.to(device.place)

    def batch(pictures: Sequence[Picture]) -> Tensor:
        inputs = [pyramid_of(picture) for picture in pictures]
        return torch.stack(
            [network(*(part.to(device.place) for part in pyramid)) for pyramid in inputs]
        )

    def score(pictures: Sequence[Picture]) -> NDArray[np.float64]:
        return device.features(pictures, PICTURES_PER_BATCH, batch)

    return {"score": score}


def pyramid_of(picture: Picture) -> tuple[Tensor, Tensor, Tensor]:
    """The patches [m, 3, 32, 32] of a picture [h, w, 3] uint8, with grid places and scales [m].

    Pixels are in -1..1. Scales 0 and 1 are the picture with its longer side resized to 224 and to
    384 pixels (sides rounded, at least one pixel), 2 is the picture itself. Each is filled up by
    zeros on both sides to whole patches, listed row by row.
    """
    # A copy: what was decoded may be read-only, which torch does not like.
    pixels = torch.tensor(check_picture(picture), dtype=torch.float32).permute(2, 0, 1)
    whole = 2 * (pixels / 255.0) - 1
    height, width = whole.shape[1:]
    parts = []
    for scale, longer in enumerate((*LONGER_SIDES, None)):
        sized = whole
        if longer is not None:
            ratio = longer / max(height, width)
            size = [max(round(side * ratio), 1) for side in (height, width)]
            sized = functional.interpolate(whole[None], size, mode="bicubic")[0]
        patches, places = _patches(sized)
        parts.append((patches, places, torch.full_like(places, scale)))
    patches, places, scales = (torch.cat(column) for column in zip(*parts, strict=True))
    return patches, places, scales


def _patches(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """The patches [m, 3, 32, 32] of [3, h, w], row by row, and their places in the grid [m]."""
    cut = _same(pixels, PATCH, PATCH).unfold(1, PATCH, PATCH).unfold(2, PATCH, PATCH)
    rows, columns = cut.shape[1:3]
    places = GRID * _hashed(rows)[:, None] + _hashed(columns)
    return cut.permute(1, 2, 0, 3, 4).flatten(0, 1), places.flatten()


def _hashed(count: int) -> Tensor:
    """The places in the grid of ``count`` patches along a side: the nearest ones, rounded down."""
    grid = torch.arange(GRID, dtype=torch.float32)
    return functional.interpolate(grid[None, None], count, mode="nearest")[0, 0].long()


def _same(x: Tensor, size: int, stride: int) -> Tensor:
    """Zeros around [..., h, w] so that a window of ``size`` gives a result for each ``stride``.

    Where their number is odd, the last side has one more.
    """
    lacking = [max((-(-side // stride) - 1) * stride + size - side, 0) for side in x.shape[-2:]]
    top, left = (number // 2 for number in lacking)
    return functional.pad(x, (left, lacking[1] - left, top, lacking[0] - top))


def _sizes_of(tensors: Mapping[str, Tensor]) -> MusiqSizes:
    """The sizes that a file's tensors say; the published ones where they say none."""
    try:
        stem = tensors["gn_root.bias"].numel()
        width = tensors["embedding.bias"].numel()
        hidden = tensors["transformer_encoder.transformer.encoderblock_0.mlp.fc1.bias"].numel()
    except KeyError:
        return MusiqSizes()
    if stem % _GROUPS or width % HEAD:
        return MusiqSizes()
    layers = depth(tensors, "transformer_encoder.transformer.encoderblock_")
    return MusiqSizes(stem, width, hidden, layers)
