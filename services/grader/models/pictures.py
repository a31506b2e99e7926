"""Pictures as networks want them: resized, cropped, scaled.

Each function is the published processor of its networks, on Pillow and numpy. Resizing is
Pillow's, on bytes, which the published processors use as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

Picture = NDArray[Any]

_BYTE: Final = 255.0


@dataclass(frozen=True, slots=True)
class Processor:
    """How a network's pictures are made, in this order.

    ``resize`` to a shorter side of so many pixels (the longer one rounded down), or with ``square``
    both sides; ``crop`` the middle of so many (zeros beyond the edge); then (x / 255 - mean) / std
    per RGB channel.
    """

    resize: int
    crop: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    resample: Image.Resampling = Image.Resampling.BICUBIC
    square: bool = False

    def __call__(self, pictures: Sequence[Picture]) -> torch.Tensor:
        """Pictures [h, w, 3] uint8 as one tensor [n, 3, crop, crop] float32."""
        return torch.from_numpy(np.stack([self._one(picture) for picture in pictures]))

    def _one(self, picture: Picture) -> NDArray[np.float32]:
        image = self._resized(Image.fromarray(check_picture(picture)))
        pixels = _middle(np.asarray(image), self.crop).astype(np.float32) * np.float32(1 / _BYTE)
        scaled = (pixels - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        return np.ascontiguousarray(scaled.transpose(2, 0, 1))

    def _resized(self, image: Image.Image) -> Image.Image:
        width, height = image.size
        if self.square:
            width = height = self.resize
        else:
            short = min(width, height)
            width, height = self.resize * width // short, self.resize * height // short
        return image.resize((width, height), self.resample)


#: A. Radford et al., "Learning transferable visual models from natural language supervision", 2021.
CLIP_MEAN: Final = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD: Final = (0.26862954, 0.26130258, 0.27577711)
#: Of the training pictures of ImageNet.
IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
IMAGENET_STD: Final = (0.229, 0.224, 0.225)
HALVES: Final = (0.5, 0.5, 0.5)


def clip_processor(side: int) -> Processor:
    """CLIP's: shorter side and middle of ``side`` pixels, bicubic."""
    return Processor(side, side, CLIP_MEAN, CLIP_STD)


def dino_processor() -> Processor:
    """DINOv2's: shorter side of 256 pixels, middle of 224, bicubic."""
    return Processor(256, 224, IMAGENET_MEAN, IMAGENET_STD)


def vit_processor(side: int) -> Processor:
    """The ImageNet ViT's: both sides ``side`` pixels, bilinear."""
    return Processor(side, side, HALVES, HALVES, Image.Resampling.BILINEAR, square=True)


def check_picture(picture: Picture) -> NDArray[np.uint8]:
    """The picture itself; ValueError for anything but [h, w, 3] uint8 with h and w at least 1."""
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
        raise ValueError(f"a picture is [h, w, 3] uint8, not {picture.shape} {picture.dtype}")
    return np.ascontiguousarray(picture)


def check_video(video: Picture) -> NDArray[np.uint8]:
    """The video itself; ValueError for anything but [t, h, w, 3] uint8 with t at least 1."""
    if video.dtype != np.uint8 or video.ndim != 4 or video.shape[3] != 3 or not video.size:
        raise ValueError(f"a video is [t, h, w, 3] uint8, not {video.shape} {video.dtype}")
    return np.ascontiguousarray(video)


def _middle(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    wide = np.pad(
        pixels,
        (
            _margin(side - height),
            _margin(side - width),
            (0, 0),
        ),
    )
    top, left = max(height - side, 0) // 2, max(width - side, 0) // 2
    return wide[top : top + side, left : left + side]


def _margin(lacking: int) -> tuple[int, int]:
    lacking = max(lacking, 0)
    return -(-lacking // 2), lacking // 2
