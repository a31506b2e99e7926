"""Sounds of answers and keys as metrics and their networks take them: mono, at one rate."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from general_level.catalogue.model import AnswerKind
from general_level.submission.answer_forms import MEDIA_ENDINGS
from services.grader.decode.values import Sound
from services.grader.media.accepted import all_accepted, firsts
from services.grader.media.binding import MediaJob
from services.grader.media.key_reader import KeyReader, ReferenceUnusable
from services.grader.media.prompts import text
from services.grader.models.sounds import resample

Waveform = NDArray[np.float32]
Columns = tuple[Any, ...]

#: The rate that extractors take sounds to have (``models.extractors``); stated again because that
#: module brings the libraries of all networks, which reading a key can do without.
RATE_HZ: Final = 48_000


def heard(sound: Sound) -> Waveform | None:
    """The mean of the channels at RATE_HZ, float32 [samples]; None where there is no sample.

    Only the rate changes: loudness, silence at the ends and length in seconds stay.
    """
    if not len(sound.samples):
        return None
    return resample(sound.mono(), sound.rate, RATE_HZ).astype(np.float32)


def read_sound(key: KeyReader, value: object) -> Waveform:
    """The sound of a path."""
    found = heard(key.sound(value))
    if found is None:
        raise ReferenceUnusable("a sound with samples")
    return found


def read_style(key: KeyReader, value: object) -> str | Waveform:
    """A style: the sound of a path where the text ends as one, otherwise the text."""
    words = key.text(value)
    is_path = words.strip().lower().endswith(MEDIA_ENDINGS[AnswerKind.AUDIO])
    return read_sound(key, words) if is_path else words


def with_texts(job: MediaJob) -> Columns:
    """Sounds and their texts."""
    return job.answered(heard), firsts(job, text)


def with_styles(job: MediaJob) -> Columns:
    """Sounds and their styles."""
    return job.answered(heard), job.expected(read_style)


def with_transcripts(job: MediaJob) -> Columns:
    """Sounds and all accepted transcripts of each."""
    return job.answered(heard), list(all_accepted(job, text))


def with_rare_words(job: MediaJob) -> Columns:
    """The same for CIDEr, which weighs words by how few of a key's items have them."""
    if len(job) < 2:
        raise ReferenceUnusable("the texts of two items at least")
    return with_transcripts(job)


def beside_recording(job: MediaJob) -> Columns:
    """Sounds and their recordings."""
    return job.answered(heard), job.expected(read_sound)
