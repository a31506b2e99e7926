"""CLIP: pictures and texts in one space (A. Radford et al., 2021).

Serves ViT-B/32 (clip_image, clip_text) and ViT-L/14 (clip_image_large); the size is in the folder's
configuration. Embeddings are those after the projections, not scaled to length 1: a metric that
takes a cosine does that itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from services.grader.device import Device
from services.grader.models import hub
from services.grader.models.pictures import Picture, clip_processor
from services.grader.weights.folder import HeldWeights

PICTURES_PER_BATCH: Final = 32
TEXTS_PER_BATCH: Final = 64


def open_clip(held: HeldWeights, device: Device) -> Mapping[str, Any]:
    """``image``: pictures [h, w, 3] uint8 to [n, d]; ``text``: texts to [n, d]; float64.

    A text is cut to the longest that the network takes (77 tokens as published).
    """
    model = hub.open_network(hub.CLIPModel, held.folder, "clip", device.place)
    processor = clip_processor(model.config.vision_config.image_size)
    longest = model.config.text_config.max_position_embeddings

    def image_batch(pictures: Sequence[Picture]) -> torch.Tensor:
        pixels = processor(pictures).to(device.place)
        found: torch.Tensor = model.get_image_features(pixel_values=pixels).pooler_output
        return found

    def image(pictures: Sequence[Picture]) -> NDArray[np.float64]:
        return device.features(pictures, PICTURES_PER_BATCH, image_batch)

    if "text" not in held.weights.extractors.values():
        return {"image": image}
    tokenizer = hub.open_part(hub.CLIPTokenizer, held.folder)

    def text_batch(texts: Sequence[str]) -> torch.Tensor:
        tokens = tokenizer(
            list(texts),
            padding="max_length",
            truncation=True,
            max_length=longest,
            return_tensors="pt",
        ).to(device.place)
        found: torch.Tensor = model.get_text_features(**tokens).pooler_output
        return found

    def text(texts: Sequence[str]) -> NDArray[np.float64]:
        return device.features(texts, TEXTS_PER_BATCH, text_batch)

    return {"image": image, "text": text}
