"""Generated speech, by a recogniser's transcript of it: word error rate and CIDEr.

The transcripts go through the metrics of texts (``text.edits.wer``, ``text.cider.cider``), which
have the rules of normalisation and 0/0. The recogniser sees only the sounds that are there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from services.grader.metrics.media import Transcriber, check_aligned
from services.grader.metrics.result import MetricResult
from services.grader.metrics.text.cider import cider
from services.grader.metrics.text.edits import Unit, wer

Sounds = Sequence[NDArray[Any] | None]


def wer_speech(
    sounds: Sounds,
    references: Sequence[Sequence[str]],
    *,
    transcriber: Transcriber,
    unit: Unit = "word",
) -> MetricResult:
    """The mean over items of edits per word of the true text, in percent; 0 is perfect.

    Sounds are mono [samples] float. May pass 100; by characters with ``unit="character"``. Of
    several texts the closest counts. A missing sound costs 100.
    """
    return wer(transcripts(sounds, references, transcriber), references, unit=unit)


def cider_speech(
    sounds: Sounds, references: Sequence[Sequence[str]], *, transcriber: Transcriber
) -> MetricResult:
    """The mean CIDEr-D times 100 of the transcripts; 0..1000, higher is better.

    Sounds are mono [samples] float. A missing sound scores 0. Raises ValueError for a key of one
    item.
    """
    return cider(transcripts(sounds, references, transcriber), references)


def transcripts(
    sounds: Sounds, references: Sequence[object], transcriber: Transcriber
) -> list[str | None]:
    """The transcript of each sound, None where there is none; heard one by one."""
    check_aligned(sounds, references)
    texts: list[str | None] = []
    for sound in sounds:
        if sound is None:
            texts.append(None)
            continue
        heard = transcriber([sound])
        if len(heard) != 1:
            raise ValueError(f"a transcriber gave {len(heard)} transcripts for one sound")
        texts.append(heard[0])
    return texts
