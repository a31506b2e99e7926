"""Inception-v3 as FID knows it: the 2048 numbers after the last pooling.

The network of C. Szegedy et al., "Rethinking the inception architecture for computer vision",
2016, in the form of the graph of 2015-12-05 that FID was defined with (M. Heusel et al., 2017):
average pools do not count the padding, the last block pools by maximum, 1008 classes, and pictures
are resized to 299 pixels by bilinear interpolation without anti-aliasing, corner on corner of the
first pixel. Names of tensors are those of the published port to torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from services.grader.device import Device
from services.grader.models.pictures import Picture, check_picture
from services.grader.models.tensors import TENSORS_FILE, fill, read_tensors
from services.grader.weights.folder import HeldWeights

PICTURES_PER_BATCH: Final = 16
#: Pixels of a side, and the middle grey of the graph.
SIDE: Final = 299
GREY: Final = 128.0

#: A number of channels at the width of a network.
_Width = Callable[[int], int]

_CLASSES: Final = 1008
_STEM: Final = 32


class Inception(nn.Module):
    """Pictures [n, 3, 299, 299] in -1..1 to [n, 2048 / width]; ``width`` divides all channels."""

    def __init__(self, width: int = 1) -> None:
        super().__init__()

        def w(channels: int) -> int:
            return channels // width

        self.Conv2d_1a_3x3 = _Convolution(3, w(32), 3, stride=2)
        self.Conv2d_2a_3x3 = _Convolution(w(32), w(32), 3)
        self.Conv2d_2b_3x3 = _Convolution(w(32), w(64), 3, padding=1)
        self.Conv2d_3b_1x1 = _Convolution(w(64), w(80), 1)
        self.Conv2d_4a_3x3 = _Convolution(w(80), w(192), 3)
        self.Mixed_5b = _Squares(w(192), w(32), w)
        self.Mixed_5c = _Squares(w(256), w(64), w)
        self.Mixed_5d = _Squares(w(288), w(64), w)
        self.Mixed_6a = _FirstReduction(w(288), w)
        self.Mixed_6b = _Crosses(w(768), w(128), w)
        self.Mixed_6c = _Crosses(w(768), w(160), w)
        self.Mixed_6d = _Crosses(w(768), w(160), w)
        self.Mixed_6e = _Crosses(w(768), w(192), w)
        self.Mixed_7a = _SecondReduction(w(768), w)
        self.Mixed_7b = _Fans(w(1280), w, largest=False)
        self.Mixed_7c = _Fans(w(2048), w, largest=True)
        self.fc = nn.Linear(w(2048), _CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = functional.max_pool2d(x, 3, 2)
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x))
        x = functional.max_pool2d(x, 3, 2)
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x)))
        x = self.Mixed_6a(x)
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(x))))
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        return x.mean(dim=(2, 3))


class _Convolution(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(
        self,
        channels: int,
        out: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(out, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.bn(self.conv(x)))


class _Squares(nn.Module):
    """35 x 35: branches of 1 x 1, 5 x 5 and twice 3 x 3, and a pool."""

    def __init__(self, channels: int, pooled: int, w: _Width) -> None:
        super().__init__()
        self.branch1x1 = _Convolution(channels, w(64), 1)
        self.branch5x5_1 = _Convolution(channels, w(48), 1)
        self.branch5x5_2 = _Convolution(w(48), w(64), 5, padding=2)
        self.branch3x3dbl_1 = _Convolution(channels, w(64), 1)
        self.branch3x3dbl_2 = _Convolution(w(64), w(96), 3, padding=1)
        self.branch3x3dbl_3 = _Convolution(w(96), w(96), 3, padding=1)
        self.branch_pool = _Convolution(channels, pooled, 1)

    def forward(self, x: Tensor) -> Tensor:
        five = self.branch5x5_2(self.branch5x5_1(x))
        three = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch1x1(x), five, three, self.branch_pool(_average(x))], 1)


class _FirstReduction(nn.Module):
    """35 x 35 to 17 x 17."""

    def __init__(self, channels: int, w: _Width) -> None:
        super().__init__()
        self.branch3x3 = _Convolution(channels, w(384), 3, stride=2)
        self.branch3x3dbl_1 = _Convolution(channels, w(64), 1)
        self.branch3x3dbl_2 = _Convolution(w(64), w(96), 3, padding=1)
        self.branch3x3dbl_3 = _Convolution(w(96), w(96), 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        three = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), three, functional.max_pool2d(x, 3, 2)], 1)


class _Crosses(nn.Module):
    """17 x 17: rows and columns of 7 in turn, once and twice, and a pool."""

    def __init__(self, channels: int, inner: int, w: _Width) -> None:
        super().__init__()
        row: dict[str, Any] = {"kernel": (1, 7), "padding": (0, 3)}
        column: dict[str, Any] = {"kernel": (7, 1), "padding": (3, 0)}
        self.branch1x1 = _Convolution(channels, w(192), 1)
        self.branch7x7_1 = _Convolution(channels, inner, 1)
        self.branch7x7_2 = _Convolution(inner, inner, **row)
        self.branch7x7_3 = _Convolution(inner, w(192), **column)
        self.branch7x7dbl_1 = _Convolution(channels, inner, 1)
        self.branch7x7dbl_2 = _Convolution(inner, inner, **column)
        self.branch7x7dbl_3 = _Convolution(inner, inner, **row)
        self.branch7x7dbl_4 = _Convolution(inner, inner, **column)
        self.branch7x7dbl_5 = _Convolution(inner, w(192), **row)
        self.branch_pool = _Convolution(channels, w(192), 1)

    def forward(self, x: Tensor) -> Tensor:
        once = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        twice = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        twice = self.branch7x7dbl_5(self.branch7x7dbl_4(twice))
        return torch.cat([self.branch1x1(x), once, twice, self.branch_pool(_average(x))], 1)


class _SecondReduction(nn.Module):
    """17 x 17 to 8 x 8."""

    def __init__(self, channels: int, w: _Width) -> None:
        super().__init__()
        self.branch3x3_1 = _Convolution(channels, w(192), 1)
        self.branch3x3_2 = _Convolution(w(192), w(320), 3, stride=2)
        self.branch7x7x3_1 = _Convolution(channels, w(192), 1)
        self.branch7x7x3_2 = _Convolution(w(192), w(192), (1, 7), padding=(0, 3))
        self.branch7x7x3_3 = _Convolution(w(192), w(192), (7, 1), padding=(3, 0))
        self.branch7x7x3_4 = _Convolution(w(192), w(192), 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        seven = self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x)))
        three = self.branch3x3_2(self.branch3x3_1(x))
        return torch.cat([three, self.branch7x7x3_4(seven), functional.max_pool2d(x, 3, 2)], 1)


class _Fans(nn.Module):
    """8 x 8: branches that end in a row and a column of 3 side by side, and a pool."""

    def __init__(self, channels: int, w: _Width, largest: bool) -> None:
        super().__init__()
        self.largest = largest
        self.branch1x1 = _Convolution(channels, w(320), 1)
        self.branch3x3_1 = _Convolution(channels, w(384), 1)
        self.branch3x3_2a = _Convolution(w(384), w(384), (1, 3), padding=(0, 1))
        self.branch3x3_2b = _Convolution(w(384), w(384), (3, 1), padding=(1, 0))
        self.branch3x3dbl_1 = _Convolution(channels, w(448), 1)
        self.branch3x3dbl_2 = _Convolution(w(448), w(384), 3, padding=1)
        self.branch3x3dbl_3a = _Convolution(w(384), w(384), (1, 3), padding=(0, 1))
        self.branch3x3dbl_3b = _Convolution(w(384), w(384), (3, 1), padding=(1, 0))
        self.branch_pool = _Convolution(channels, w(192), 1)

    def forward(self, x: Tensor) -> Tensor:
        once = self.branch3x3_1(x)
        twice = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        pooled = functional.max_pool2d(x, 3, 1, 1) if self.largest else _average(x)
        parts = [
            self.branch1x1(x),
            self.branch3x3_2a(once),
            self.branch3x3_2b(once),
            self.branch3x3dbl_3a(twice),
            self.branch3x3dbl_3b(twice),
            self.branch_pool(pooled),
        ]
        return torch.cat(parts, 1)


def open_inception(held: HeldWeights, device: Device) -> Mapping[str, Any]:
    """``pool``: pictures [h, w, 3] uint8 to [n, 2048] float64."""
    tensors = read_tensors(held.folder / TENSORS_FILE)
    # The width is that of the stem; the published network has 32 channels there.
    stem = tensors.get("Conv2d_1a_3x3.bn.bias")
    network = Inception(1 if stem is None else max(_STEM // max(stem.numel(), 1), 1))
    fill(network, tensors, held.weights.id)
    network.to(device.place)

    def batch(pictures: Sequence[Picture]) -> Tensor:
        pixels = torch.stack([prepare(check_picture(picture)) for picture in pictures])
        found: Tensor = network(pixels.to(device.place))
        return found

    def pool(pictures: Sequence[Picture]) -> NDArray[np.float64]:
        return device.features(pictures, PICTURES_PER_BATCH, batch)

    return {"pool": pool}


def prepare(picture: NDArray[np.uint8], side: int = SIDE) -> Tensor:
    """A picture [h, w, 3] uint8 as [3, side, side] float32, (x - 128) / 128.

    Output pixel i lies at i h / side of the input and is mixed from the two there; beyond the last
    row or column that one counts alone. Source: the resize of the graph (TensorFlow 1).
    """
    pixels = picture.astype(np.float32)
    pixels = _stretch(pixels, side)
    pixels = _stretch(pixels.transpose(1, 0, 2), side).transpose(2, 1, 0)
    return torch.from_numpy(np.ascontiguousarray((pixels - GREY) / GREY))


def _stretch(pixels: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Axis 0 of [n, m, c] at ``side`` places."""
    last = len(pixels) - 1
    at = np.arange(side, dtype=np.float32) * np.float32(len(pixels) / side)
    lower = np.minimum(at.astype(np.int64), last)
    share = (at - lower)[:, None, None].astype(np.float32)
    first, second = pixels[lower], pixels[np.minimum(lower + 1, last)]
    return np.asarray(first + (second - first) * share, dtype=np.float32)


def _average(x: Tensor) -> Tensor:
    return functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
