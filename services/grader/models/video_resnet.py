"""The 3D ResNet of 18 layers that the published FVD takes its features from.

D. Tran et al., "A closer look at spatiotemporal convolutions for action recognition", CVPR 2018, as
trained on Kinetics-400. The published scorer calls it I3D; its values do not compare with those of
I3D. Names of tensors are those of the published weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from services.grader.device import Device
from services.grader.models.pictures import Picture, Processor, check_video
from services.grader.models.tensors import TENSORS_FILE, fill, read_tensors
from services.grader.weights.folder import HeldWeights

VIDEOS_PER_BATCH: Final = 4
#: Frames of a video that are seen, and pixels of a side, as the published scorer has them.
FRAMES: Final = 16
SIDE: Final = 224
#: Of the training videos of Kinetics-400.
KINETICS_MEAN: Final = (0.43216, 0.394666, 0.37645)
KINETICS_STD: Final = (0.22803, 0.22145, 0.216989)

_CLASSES: Final = 400
_CHANNELS: Final = 64


class VideoResNet(nn.Module):
    """Videos [n, 3, t, h, w] to [n, 8 channels]; ``channels`` are those of the stem."""

    def __init__(self, channels: int = _CHANNELS) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv3d(3, channels, (3, 7, 7), (1, 2, 2), (1, 3, 3), bias=False),
            nn.BatchNorm3d(channels),
        )
        self.layer1 = _stage(channels, channels, stride=1)
        self.layer2 = _stage(channels, 2 * channels, stride=2)
        self.layer3 = _stage(2 * channels, 4 * channels, stride=2)
        self.layer4 = _stage(4 * channels, 8 * channels, stride=2)
        self.fc = nn.Linear(8 * channels, _CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.stem(x))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return x.mean(dim=(2, 3, 4))


class _Block(nn.Module):
    """Two convolutions of 3 x 3 x 3, and the way around them."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(
            nn.Conv3d(channels, out, 3, stride, 1, bias=False), nn.BatchNorm3d(out)
        )
        self.conv2 = nn.Sequential(nn.Conv3d(out, out, 3, 1, 1, bias=False), nn.BatchNorm3d(out))
        self.downsample = (
            nn.Sequential(nn.Conv3d(channels, out, 1, stride, bias=False), nn.BatchNorm3d(out))
            if stride != 1 or channels != out
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        around = x if self.downsample is None else self.downsample(x)
        return functional.relu(self.conv2(functional.relu(self.conv1(x))) + around)


def _stage(channels: int, out: int, stride: int) -> nn.Sequential:
    return nn.Sequential(_Block(channels, out, stride), _Block(out, out, 1))


def open_video_resnet(held: HeldWeights, device: Device) -> Mapping[str, Any]:
    """``pool``: videos [t, h, w, 3] uint8 to [n, 512] float64.

    The first 16 frames count; of a shorter video the last one is repeated.
    """
    tensors = read_tensors(held.folder / TENSORS_FILE)
    stem = tensors.get("stem.1.bias")
    network = VideoResNet(_CHANNELS if stem is None else stem.numel())
    fill(network, tensors, held.weights.id)
    network.to(device.place)
    processor = Processor(
        SIDE, SIDE, KINETICS_MEAN, KINETICS_STD, Image.Resampling.BILINEAR, square=True
    )

    def batch(videos: Sequence[Picture]) -> Tensor:
        clips = [processor(list(first_frames(check_video(video)))) for video in videos]
        found: Tensor = network(torch.stack(clips).transpose(1, 2).to(device.place))
        return found

    def pool(videos: Sequence[Picture]) -> NDArray[np.float64]:
        return device.features(videos, VIDEOS_PER_BATCH, batch)

    return {"pool": pool}


def first_frames(video: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The first 16 frames of [t, h, w, 3]; the last one again where there are fewer."""
    return video[np.minimum(np.arange(FRAMES), len(video) - 1)]
