"""DINOv2: what is in a picture, learned without labels (M. Oquab et al., 2023)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from services.grader.device import Device
from services.grader.models import hub
from services.grader.models.pictures import Picture, dino_processor
from services.grader.weights.folder import HeldWeights

PICTURES_PER_BATCH: Final = 16


def open_dinov2(held: HeldWeights, device: Device) -> Mapping[str, Any]:
    """``image``: pictures [h, w, 3] uint8 to the class token after the last norm, [n, d]."""
    model = hub.open_network(hub.Dinov2Model, held.folder, "dinov2", device.place)
    processor = dino_processor()

    def batch(pictures: Sequence[Picture]) -> torch.Tensor:
        pixels = processor(pictures).to(device.place)
        found: torch.Tensor = model(pixel_values=pixels).last_hidden_state[:, 0]
        return found

    def image(pictures: Sequence[Picture]) -> NDArray[np.float64]:
        return device.features(pictures, PICTURES_PER_BATCH, batch)

    return {"image": image}
