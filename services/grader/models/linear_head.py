"""The linear head that rates beauty from CLIP embeddings (LAION aesthetic predictor, 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from services.grader.device import Device
from services.grader.metrics.features.verdicts import LinearHead
from services.grader.models.tensors import TENSORS_FILE, read_tensors
from services.grader.weights.errors import WeightsInvalid
from services.grader.weights.folder import HeldWeights


def open_linear_head(held: HeldWeights, _device: Device) -> Mapping[str, Any]:
    """``head``: the weights themselves; applying them is the metric's part, in float64."""
    tensors = read_tensors(held.folder / TENSORS_FILE)
    if set(tensors) != {"weight", "bias"} or tensors["weight"].numel() != tensors["weight"].size(
        -1
    ):
        raise WeightsInvalid(
            f"{held.weights.id} is not one linear row.", weights=held.weights.id, tensor=""
        )
    weight = tensors["weight"].double().numpy().reshape(-1)
    return {"head": LinearHead(np.asarray(weight), float(tensors["bias"].double().reshape(())))}
