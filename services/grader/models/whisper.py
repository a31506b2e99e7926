"""Whisper: speech to text (A. Radford et al., 2023), greedy and without sampling.

A sound is cut into windows of 30 s, what the network hears at once, and the texts of the windows
are joined by a space. The language is the one that the network detects in each window.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.grader.device import Device
from services.grader.models import hub
from services.grader.models.sounds import Sound, resample
from services.grader.weights.folder import HeldWeights

WINDOWS_PER_BATCH: Final = 4


def open_whisper(held: HeldWeights, device: Device, sound_rate_hz: int) -> Mapping[str, Any]:
    """``transcript``: sounds [samples] at ``sound_rate_hz`` to one text each."""
    kind = hub.WhisperForConditionalGeneration
    model = hub.open_network(kind, held.folder, "whisper", device.place)
    processor = hub.open_part(hub.WhisperFeatureExtractor, held.folder)
    tokenizer = hub.open_part(hub.WhisperTokenizer, held.folder)
    rate_hz, heard = processor.sampling_rate, processor.n_samples
    # An English-only network refuses to be told what to do.
    multilingual = getattr(model.generation_config, "is_multilingual", False)
    task = {"task": "transcribe"} if multilingual else {}

    def batch(windows: Sequence[NDArray[np.float64]]) -> list[str]:
        inputs = processor(
            [window.astype(np.float32) for window in windows],
            sampling_rate=rate_hz,
            return_attention_mask=True,
            return_tensors="pt",
        ).to(device.place)
        tokens = model.generate(**inputs, **task, do_sample=False, num_beams=1)
        texts: list[str] = tokenizer.batch_decode(tokens, skip_special_tokens=True)
        return texts

    def transcript(sounds: Sequence[Sound]) -> list[str]:
        cuts = [_windows(resample(sound, sound_rate_hz, rate_hz), heard) for sound in sounds]
        texts = iter(
            device.in_batches([window for cut in cuts for window in cut], WINDOWS_PER_BATCH, batch)
        )
        return [" ".join(next(texts).strip() for _ in cut).strip() for cut in cuts]

    return {"transcript": transcript}


def _windows(sound: NDArray[np.float64], length: int) -> list[NDArray[np.float64]]:
    return [sound[start : start + length] for start in range(0, len(sound), length)]
