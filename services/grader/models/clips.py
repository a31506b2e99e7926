"""Videos as the video networks want them: a few frames, resized by points, their middles.

The published scorer resizes these frames without anti-aliasing (a resized pixel mixes the two or
four pixels nearest to its place and no others), which Pillow does not do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from services.grader.models.pictures import Picture, check_video

_BYTE: Final = 255.0
#: The free number of the cubic kernel, as torch and OpenCV have it (R. Keys, 1981).
_CUBIC: Final = -0.75


@dataclass(frozen=True, slots=True)
class ClipProcessor:
    """How a network's clip is made of a video, in this order.

    ``frames`` of it (:func:`spread`); each with its shorter side resized to ``resize`` pixels (the
    longer one rounded down), linearly or with ``cubic``; the middle ``crop``, rounded to bytes;
    then (x / 255 - mean) / std per RGB channel.
    """

    frames: int
    resize: int
    crop: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    cubic: bool = False

    def __call__(self, video: Picture) -> torch.Tensor:
        """A video [t, h, w, 3] uint8, t at least 1, as [frames, 3, crop, crop] float32."""
        frames = check_video(video)
        made = np.stack([self._one(frames[at]) for at in spread(len(frames), self.frames)])
        return torch.from_numpy(made)

    def _one(self, frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        pixels = np.clip(np.rint(resized_middle(frame, self.resize, self.crop, self.cubic)), 0, 255)
        scaled = (pixels / _BYTE - self.mean) / self.std
        return np.ascontiguousarray(scaled.transpose(2, 0, 1), dtype=np.float32)


def spread(count: int, wanted: int) -> NDArray[np.intp]:
    """The places of ``wanted`` frames among ``count``: the middles of so many equal parts.

    A part of an even number of frames has the earlier of its two middle ones. Of fewer frames than
    wanted all are taken and the last one is repeated.
    """
    parts = min(count, wanted)
    edges = np.arange(parts + 1) * count // parts
    middles = (edges[:-1] + edges[1:] - 1) // 2
    return np.asarray(middles[np.minimum(np.arange(wanted), parts - 1)])


def resized_middle(
    frame: NDArray[np.uint8], resize: int, crop: int, cubic: bool
) -> NDArray[np.float64]:
    """The middle [crop, crop, 3] of a frame [h, w, 3] whose shorter side is made ``resize`` pixels.

    Only the middle is computed, so a very long frame costs no more. ``crop`` is at most ``resize``.
    """
    short = min(frame.shape[:2])
    (rows, down), (columns, across) = (
        _taps(side, resize * side // short, crop, cubic) for side in frame.shape[:2]
    )
    top, left = rows.min(), columns.min()
    seen = frame[top : rows.max() + 1, left : columns.max() + 1].astype(np.float64)
    tall = np.einsum("kr,krcx->rcx", down, seen[rows - top])
    return np.asarray(np.einsum("kc,rkcx->rcx", across, tall[:, columns - left]))


def _taps(
    before: int, after: int, crop: int, cubic: bool
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Places and weights [taps, crop] of the pixels that the middle of a resized side mixes.

    Pixel centres lie at half-integers, and a place beyond an edge is the edge's pixel. The middle
    begins at half of what is left over, halves rounded to even.
    """
    start = round((after - crop) / 2)
    at = (start + np.arange(crop) + 0.5) * (before / after) - 0.5
    lower = np.floor(at).astype(np.intp)
    part = at - lower
    steps = np.arange(-1, 3) if cubic else np.arange(2)
    weights = np.stack([_weight(np.abs(part - step), cubic) for step in steps])
    return np.clip(lower + steps[:, None], 0, before - 1), weights


def _weight(distance: NDArray[np.float64], cubic: bool) -> NDArray[np.float64]:
    if not cubic:
        return 1.0 - distance
    near = ((_CUBIC + 2) * distance - (_CUBIC + 3)) * distance**2 + 1
    far = _CUBIC * (((distance - 5) * distance + 8) * distance - 4)
    return np.where(distance <= 1, near, far)
