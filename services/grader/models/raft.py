"""RAFT: where each pixel of a frame moves to in the next (Z. Teed, J. Deng, ECCV 2020).

The large network, 20 steps, as the dynamic degree of VBench uses it. Names of tensors are those of
the published weights. The same flow, both ways, gives the frames between frames.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from services.grader.device import Device
from services.grader.models.halfway import halfway
from services.grader.models.pictures import Picture, check_video
from services.grader.models.tensors import TENSORS_FILE, fill, read_tensors
from services.grader.weights.folder import HeldWeights

#: A pair's correlations are many: pairs are few.
PAIRS_PER_BATCH: Final = 2
STEPS: Final = 20
#: Flow is found at an eighth of the size, on four coarser and coarser maps, four pixels around.
STRIDE: Final = 8
LEVELS: Final = 4
RADIUS: Final = 4

_STATE: Final = 128
_CONTEXT: Final = 128
_FEATURES: Final = 256
#: The least side of a frame in pixels: the coarsest of the four maps still has two.
LEAST_SIDE: Final = STRIDE * 2**LEVELS


class Raft(nn.Module):
    """Frames [n, 3, h, w] in -1..1 and the next ones to flow [n, 2, h, w] in pixels, (x, y)."""

    def __init__(self) -> None:
        super().__init__()
        self.fnet = _Encoder(_FEATURES, batch_norm=False)
        self.cnet = _Encoder(_STATE + _CONTEXT, batch_norm=True)
        self.update_block = _Update()

    def forward(self, first: Tensor, second: Tensor, steps: int = STEPS) -> Tensor:
        pyramid = _correlations(self.fnet(first), self.fnet(second))
        state, context = self.cnet(first).split([_STATE, _CONTEXT], dim=1)
        state, context = torch.tanh(state), functional.relu(context)
        n, _, height, width = state.shape
        rows = torch.arange(height, dtype=state.dtype, device=state.device)
        columns = torch.arange(width, dtype=state.dtype, device=state.device)
        start = torch.stack(torch.meshgrid(columns, rows, indexing="xy")).expand(n, -1, -1, -1)
        at = start
        for _ in range(steps):
            state, change = self.update_block(state, context, _around(pyramid, at), at - start)
            at = at + change
        # Only the last step's flow is enlarged; the published code enlarges each, for training.
        return _enlarged(at - start, 0.25 * self.update_block.mask(state))


class _Encoder(nn.Module):
    """Pictures to maps of an eighth of the size."""

    def __init__(self, out: int, batch_norm: bool) -> None:
        super().__init__()
        norm = nn.BatchNorm2d if batch_norm else nn.InstanceNorm2d
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3)
        self.norm1 = norm(64)
        self.layer1 = nn.Sequential(_Residual(64, 64, norm, 1), _Residual(64, 64, norm, 1))
        self.layer2 = nn.Sequential(_Residual(64, 96, norm, 2), _Residual(96, 96, norm, 1))
        self.layer3 = nn.Sequential(_Residual(96, 128, norm, 2), _Residual(128, 128, norm, 1))
        self.conv2 = nn.Conv2d(128, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.norm1(self.conv1(x)))
        found: Tensor = self.conv2(self.layer3(self.layer2(self.layer1(x))))
        return found


class _Residual(nn.Module):
    def __init__(self, channels: int, out: int, norm: Any, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, 1)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1)
        self.norm1, self.norm2 = norm(out), norm(out)
        self.downsample = (
            nn.Sequential(nn.Conv2d(channels, out, 1, stride), norm(out)) if stride != 1 else None
        )

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.norm1(self.conv1(x)))
        y = functional.relu(self.norm2(self.conv2(y)))
        return functional.relu((x if self.downsample is None else self.downsample(x)) + y)


class _Update(nn.Module):
    """One step: the state takes in what is seen around each target, and says how to move it."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = _MotionEncoder()
        self.gru = _Gru(_STATE, _CONTEXT + 128)
        self.flow_head = _FlowHead()
        self.mask = nn.Sequential(
            nn.Conv2d(_STATE, 256, 3, padding=1), nn.ReLU(), nn.Conv2d(256, STRIDE**2 * 9, 1)
        )

    def forward(
        self, state: Tensor, context: Tensor, seen: Tensor, flow: Tensor
    ) -> tuple[Tensor, Tensor]:
        state = self.gru(state, torch.cat([context, self.encoder(flow, seen)], 1))
        return state, self.flow_head(state)


class _MotionEncoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convc1 = nn.Conv2d(LEVELS * (2 * RADIUS + 1) ** 2, 256, 1)
        self.convc2 = nn.Conv2d(256, 192, 3, padding=1)
        self.convf1 = nn.Conv2d(2, 128, 7, padding=3)
        self.convf2 = nn.Conv2d(128, 64, 3, padding=1)
        self.conv = nn.Conv2d(64 + 192, 128 - 2, 3, padding=1)

    def forward(self, flow: Tensor, seen: Tensor) -> Tensor:
        seen = functional.relu(self.convc2(functional.relu(self.convc1(seen))))
        moved = functional.relu(self.convf2(functional.relu(self.convf1(flow))))
        return torch.cat([functional.relu(self.conv(torch.cat([seen, moved], 1))), flow], 1)


class _Gru(nn.Module):
    """A gated unit along rows, then along columns."""

    def __init__(self, state: int, inputs: int) -> None:
        super().__init__()
        both = state + inputs
        self.convz1, self.convr1, self.convq1 = (
            nn.Conv2d(both, state, (1, 5), padding=(0, 2)) for _ in range(3)
        )
        self.convz2, self.convr2, self.convq2 = (
            nn.Conv2d(both, state, (5, 1), padding=(2, 0)) for _ in range(3)
        )

    def forward(self, state: Tensor, inputs: Tensor) -> Tensor:
        for z, r, q in (
            (self.convz1, self.convr1, self.convq1),
            (self.convz2, self.convr2, self.convq2),
        ):
            both = torch.cat([state, inputs], 1)
            kept = torch.sigmoid(r(both)) * state
            share = torch.sigmoid(z(both))
            state = (1 - share) * state + share * torch.tanh(q(torch.cat([kept, inputs], 1)))
        return state


class _FlowHead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(_STATE, 256, 3, padding=1)
        self.conv2 = nn.Conv2d(256, 2, 3, padding=1)

    def forward(self, state: Tensor) -> Tensor:
        found: Tensor = self.conv2(functional.relu(self.conv1(state)))
        return found


def _correlations(first: Tensor, second: Tensor) -> list[Tensor]:
    """Per pixel of the first map [n, c, h, w] its products with the second, at four sizes.

    Each [n h w, 1, h / 2^i, w / 2^i].
    """
    n, channels, height, width = first.shape
    products = first.flatten(2).transpose(1, 2) @ second.flatten(2) / channels**0.5
    maps = [products.reshape(n * height * width, 1, height, width)]
    for _ in range(LEVELS - 1):
        maps.append(functional.avg_pool2d(maps[-1], 2, 2))
    return maps


def _around(pyramid: Sequence[Tensor], at: Tensor) -> Tensor:
    """The correlations in the window around each target [n, 2, h, w], (x, y): [n, 324, h, w].

    Windows are listed column by column, as the published weights were trained.
    """
    n, _, height, width = at.shape
    centre = at.permute(0, 2, 3, 1).reshape(-1, 1, 1, 2)
    reach = torch.arange(-RADIUS, RADIUS + 1, dtype=at.dtype, device=at.device)
    window = torch.stack(torch.meshgrid(reach, reach, indexing="ij"), dim=-1)[None]
    parts = []
    for level, correlation in enumerate(pyramid):
        rows, columns = correlation.shape[-2:]
        places = centre / 2**level + window
        scale = torch.tensor([columns - 1, rows - 1], dtype=at.dtype, device=at.device)
        seen = functional.grid_sample(correlation, 2 * places / scale - 1, align_corners=True)
        parts.append(seen.reshape(n, height, width, -1))
    return torch.cat(parts, -1).permute(0, 3, 1, 2)


def _enlarged(flow: Tensor, mask: Tensor) -> Tensor:
    """Flow [n, 2, h, w] at eight times the size: each pixel mixes its nine coarse neighbours."""
    n, _, height, width = flow.shape
    shares = mask.view(n, 1, 9, STRIDE, STRIDE, height, width).softmax(dim=2)
    near = functional.unfold(STRIDE * flow, 3, padding=1).view(n, 2, 9, 1, 1, height, width)
    mixed = (shares * near).sum(dim=2).permute(0, 1, 4, 2, 5, 3)
    return mixed.reshape(n, 2, STRIDE * height, STRIDE * width)


def open_raft(held: HeldWeights, device: Device) -> Mapping[str, Any]:
    """``flow``: one video [t, h, w, 3] uint8 to [t - 1, h, w, 2] float64 in pixels, (x, y).

    ``middle``: such a video to the frames [t - 1, h, w, 3] uint8 half-way between each two
    neighbours. Of one frame there are none of either.
    """
    network = Raft()
    tensors = read_tensors(held.folder / TENSORS_FILE)
    # The published weights name the norm of a downsampling twice.
    fill(network, tensors, held.weights.id, ignored=r"\.norm3\.")
    network.to(device.place)

    def batch(pairs: Sequence[tuple[Tensor, Tensor]]) -> list[NDArray[np.float64]]:
        first = torch.stack([pair[0] for pair in pairs]).to(device.place)
        second = torch.stack([pair[1] for pair in pairs]).to(device.place)
        found = network(first, second).to("cpu", torch.float64)
        return list(found.permute(0, 2, 3, 1).numpy())

    def flow(frames: Picture) -> NDArray[np.float64]:
        video = check_video(frames)
        height, width = video.shape[1:3]
        padded, (top, left) = padded_frames(video)
        pairs = list(itertools.pairwise(padded))
        found = device.in_batches(pairs, PAIRS_PER_BATCH, batch)
        if not found:
            return np.empty((0, height, width, 2))
        return np.stack(found)[:, top : top + height, left : left + width]

    def middle(frames: Picture) -> NDArray[np.uint8]:
        video = check_video(frames)
        forward, backward = flow(video), flow(video[::-1].copy())[::-1]
        made = [halfway(*each) for each in zip(video, video[1:], forward, backward, strict=False)]
        return np.stack(made) if made else video[:0]

    return {"flow": flow, "middle": middle}


def padded_frames(video: NDArray[np.uint8]) -> tuple[Tensor, tuple[int, int]]:
    """Frames [t, h, w, 3] as [t, 3, H, W] in -1..1, and the place (top, left) of the old corner.

    H and W are the next multiples of 8, and 128 at least; edges are repeated, on both sides.
    """
    # A copy: what was decoded may be read-only, which torch does not like.
    pixels = torch.tensor(video, dtype=torch.float32).permute(0, 3, 1, 2)
    lacking_rows, lacking_columns = (_lacking(side) for side in pixels.shape[-2:])
    top, left = lacking_rows // 2, lacking_columns // 2
    sides = [left, lacking_columns - left, top, lacking_rows - top]
    return functional.pad(2 * (pixels / 255.0) - 1, sides, mode="replicate"), (top, left)


def _lacking(side: int) -> int:
    return max(-side % STRIDE, LEAST_SIDE - side)
