"""CLAP: sounds and texts in one space (Y. Wu et al., ICASSP 2023).

The network hears ten seconds. Of a longer sound the published processor takes ten at random; here
it is the middle ten, so that a score can be repeated. A shorter one is repeated, then padded, as
published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from services.grader.device import Device
from services.grader.models import hub
from services.grader.models.sounds import Sound, middle, resample
from services.grader.weights.folder import HeldWeights

SOUNDS_PER_BATCH: Final = 8
TEXTS_PER_BATCH: Final = 64
#: Two positions of the text network's table are taken by its padding.
_RESERVED: Final = 2


def open_clap(held: HeldWeights, device: Device, sound_rate_hz: int) -> Mapping[str, Any]:
    """``audio``: sounds [samples] at ``sound_rate_hz`` to [n, d]; ``text``: texts to [n, d].

    Embeddings have length 1, as the network gives them; float64.
    """
    model = hub.open_network(hub.ClapModel, held.folder, "clap", device.place)
    processor = hub.open_part(hub.ClapFeatureExtractor, held.folder)
    tokenizer = hub.open_part(hub.RobertaTokenizer, held.folder)
    rate_hz, heard = processor.sampling_rate, processor.nb_max_samples
    longest = model.config.text_config.max_position_embeddings - _RESERVED

    def audio_batch(sounds: Sequence[Sound]) -> torch.Tensor:
        cut = [middle(resample(sound, sound_rate_hz, rate_hz), heard) for sound in sounds]
        inputs = processor(cut, sampling_rate=rate_hz, return_tensors="pt").to(device.place)
        found: torch.Tensor = model.get_audio_features(**inputs).pooler_output
        return found

    def audio(sounds: Sequence[Sound]) -> NDArray[np.float64]:
        return device.features(sounds, SOUNDS_PER_BATCH, audio_batch)

    def text_batch(texts: Sequence[str]) -> torch.Tensor:
        tokens = tokenizer(
            list(texts), padding=True, truncation=True, max_length=longest, return_tensors="pt"
        ).to(device.place)
        found: torch.Tensor = model.get_text_features(**tokens).pooler_output
        return found

    def text(texts: Sequence[str]) -> NDArray[np.float64]:
        return device.features(texts, TEXTS_PER_BATCH, text_batch)

    return {"audio": audio, "text": text}
