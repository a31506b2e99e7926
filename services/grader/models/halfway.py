"""The frame half-way between two, from the optical flow between them.

The flow to each neighbour from the middle is approximated by linear motion (H. Jiang et al., "Super
SloMo", CVPR 2018, equation 4, at half of the time); each neighbour is then sampled where the middle
pixel comes from, and the two are mixed half and half. No network of its own, so nothing hides an
occlusion; a place that lies outside of one neighbour is taken from the other alone.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional


def halfway(
    first: NDArray[np.uint8],
    second: NDArray[np.uint8],
    forward: NDArray[np.float64],
    backward: NDArray[np.float64],
) -> NDArray[np.uint8]:
    """The frame [h, w, 3] uint8 half-way between ``first`` and ``second``.

    ``forward`` [h, w, 2] is the flow in pixels, (x, y), from the first to the second, ``backward``
    that from the second to the first. With f and b the two at a pixel, it comes from where
    (b - f) / 4 leads in the first frame and (f - b) / 4 in the second, mixed linearly from the four
    pixels around. A place outside of both frames is mixed from the nearest edges of both.
    """
    to_first = torch.from_numpy((backward - forward) / 4.0)
    seen, inside = _sampled(first, to_first)
    also_seen, also_inside = _sampled(second, -to_first)
    share = torch.where(inside == also_inside, 0.5, inside.double())[..., None]
    mixed = share * seen + (1 - share) * also_seen
    return np.asarray(mixed.round().clamp(0, 255).to(torch.uint8).numpy())


def _sampled(frame: NDArray[np.uint8], flow: Tensor) -> tuple[Tensor, Tensor]:
    """The frame [h, w, 3] where ``flow`` leads from each pixel, and whether that is inside."""
    height, width = frame.shape[:2]
    columns = torch.arange(width, dtype=torch.float64) + flow[..., 0]
    rows = torch.arange(height, dtype=torch.float64)[:, None] + flow[..., 1]
    inside = (columns >= 0) & (columns <= width - 1) & (rows >= 0) & (rows <= height - 1)
    # From pixel centres to -1..1 between the outer edges.
    grid = torch.stack([(2 * columns + 1) / width - 1, (2 * rows + 1) / height - 1], dim=-1)
    pixels = torch.tensor(frame, dtype=torch.float64).permute(2, 0, 1)[None]
    found = functional.grid_sample(pixels, grid[None], padding_mode="border", align_corners=False)
    return found[0].permute(1, 2, 0), inside
