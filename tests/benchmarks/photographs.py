"""Pictures with the content of photographs, for measurements: pieces of scikit-image's samples."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import skimage
from numpy.typing import NDArray
from PIL import Image

#: Faces, animals, streets, sky, tissue, textures: the large samples that the package holds itself.
SOURCES = (
    *("astronaut.png", "coffee.png", "chelsea.png", "hubble_deep_field.jpg", "ihc.png"),
    *("motorcycle_left.png", "retina.jpg", "rocket.jpg", "camera.png", "brick.png", "gravel.png"),
)


def photographs(count: int, side: int, seed: int = 0) -> list[NDArray[np.uint8]]:
    """Pieces uint8 [side, side, 3] of the samples in turn; a smaller sample is mirrored to fit."""
    random = np.random.default_rng(seed)
    wholes = [_whole(name, side) for name in SOURCES]
    pieces = []
    for number in range(count):
        whole = wholes[number % len(wholes)]
        top, left = (int(random.integers(0, size - side + 1)) for size in whole.shape[:2])
        piece = whole[top : top + side, left : left + side]
        pieces.append(np.ascontiguousarray(piece[:, ::-1] if random.random() < 0.5 else piece))
    return pieces


def degraded(picture: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """The picture after JPEG at this quality: what a model's output may be against its target."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    return np.array(Image.open(file))


def png(picture: NDArray[np.uint8]) -> bytes:
    """The picture as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", compress_level=4)
    return file.getvalue()


def _whole(name: str, side: int) -> NDArray[np.uint8]:
    with Image.open(Path(skimage.__file__).parent / "data" / name) as image:
        pixels = np.asarray(image.convert("RGB"))
    short = [max(side - size, 0) for size in pixels.shape[:2]]
    return np.pad(pixels, ((0, short[0]), (0, short[1]), (0, 0)), mode="symmetric")
