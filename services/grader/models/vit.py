"""A vision transformer that names the ImageNet class of a picture (A. Dosovitskiy et al., 2021)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from services.grader.device import Device
from services.grader.models import hub
from services.grader.models.pictures import Picture, vit_processor
from services.grader.weights.folder import HeldWeights

PICTURES_PER_BATCH: Final = 32


def open_vit(held: HeldWeights, device: Device) -> Mapping[str, Any]:
    """``probabilities``: pictures [h, w, 3] uint8 to [n, classes], each row summing to 1."""
    model = hub.open_network(hub.ViTForImageClassification, held.folder, "vit", device.place)
    processor = vit_processor(model.config.image_size)

    def batch(pictures: Sequence[Picture]) -> torch.Tensor:
        pixels = processor(pictures).to(device.place)
        return torch.softmax(model(pixel_values=pixels).logits.double(), dim=1)

    def probabilities(pictures: Sequence[Picture]) -> NDArray[np.float64]:
        return device.features(pictures, PICTURES_PER_BATCH, batch)

    return {"probabilities": probabilities}
