"""Sound as samples: WAV, FLAC, MP3 and OGG by libsndfile, M4A by PyAV."""

from __future__ import annotations

import io
from typing import Any, Final

import av
import numpy as np
import soundfile  # type: ignore[import-untyped]
from numpy.typing import NDArray

from general_level.submission.codes import Code
from services.grader.decode.formats.unusable import Content, check, finite
from services.grader.decode.formats.videos import open_container
from services.grader.decode.limits import (
    MAX_AUDIO_CHANNELS,
    MAX_AUDIO_FILE_BYTES,
    MAX_AUDIO_RATE_HZ,
    MAX_AUDIO_SAMPLES,
    MAX_AUDIO_SECONDS,
    MIN_AUDIO_RATE_HZ,
)

_FORMATS: Final = frozenset({"WAV", "WAVEX", "RF64", "FLAC", "MP3", "OGG"})
_BLOCK_SAMPLES: Final = 1024 * 1024


def read_sound(data: bytes, ending: str) -> Content:
    """``samples`` float32 [samples, channels] and ``rate`` int64 [] in Hz."""
    check(len(data) <= MAX_AUDIO_FILE_BYTES, Code.MEDIA_TOO_LARGE)
    samples, rate = _by_av(data) if ending == ".m4a" else _by_soundfile(data)
    check(len(samples), Code.MEDIA_NO_CONTENT)
    return {"samples": finite(samples), "rate": np.array(rate, dtype=np.int64)}


def _room(rate: int, channels: int) -> int:
    """How many samples of each channel are read at most; Unusable for an odd rate or count."""
    check(MIN_AUDIO_RATE_HZ <= rate <= MAX_AUDIO_RATE_HZ, Code.MEDIA_WRONG_SHAPE)
    check(1 <= channels <= MAX_AUDIO_CHANNELS, Code.MEDIA_WRONG_SHAPE)
    return min(MAX_AUDIO_SECONDS * rate, MAX_AUDIO_SAMPLES // channels)


def _by_soundfile(data: bytes) -> tuple[NDArray[Any], int]:
    with soundfile.SoundFile(io.BytesIO(data)) as sound:
        check(sound.format in _FORMATS)
        rate, channels = int(sound.samplerate), int(sound.channels)
        room = _room(rate, channels)
        check(sound.frames <= room, Code.MEDIA_TOO_LARGE)
        # Read in blocks: what a header says need not be there.
        blocks: list[NDArray[Any]] = []
        count = 0
        step = max(1, _BLOCK_SAMPLES // channels)
        while count <= room:
            block = sound.read(step, dtype="float32", always_2d=True)
            if not len(block):
                break
            blocks.append(block)
            count += len(block)
    check(count <= room, Code.MEDIA_TOO_LARGE)
    return np.concatenate(blocks) if blocks else np.empty((0, channels), np.float32), rate


def _by_av(data: bytes) -> tuple[NDArray[Any], int]:
    with open_container(data, "mov") as container:
        check(container.streams.audio)
        stream = container.streams.audio[0]
        rate, channels = int(stream.rate or 0), int(stream.channels or 0)
        room = _room(rate, channels)
        resampler = av.AudioResampler(format="fltp", layout=stream.layout.name, rate=rate)
        blocks: list[NDArray[Any]] = []
        count = 0
        for frame in container.decode(stream):
            for part in resampler.resample(frame):
                block = part.to_ndarray().T
                check(block.shape[1] == channels, Code.MEDIA_WRONG_SHAPE)
                blocks.append(block)
                count += len(block)
                check(count <= room, Code.MEDIA_TOO_LARGE)
    samples = np.concatenate(blocks) if blocks else np.empty((0, channels))
    return np.ascontiguousarray(samples, dtype=np.float32), rate
