"""Piano rolls as arrays, their parts numbered alike in answer and key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from general_level.catalogue.model import AnswerKind
from services.grader.decode.values import NoteSet
from services.grader.media.binding import LazyColumn, MediaJob
from services.grader.media.key_reader import KeyReader
from services.grader.media.reading import beside, remembered
from services.grader.metrics.text.normalise import label

Roll = NDArray[np.float64]
Columns = tuple[Any, ...]


def read_notes(key: KeyReader, value: object) -> NoteSet:
    """The notes of a piece."""
    found: NoteSet = key.answer(value, AnswerKind.PIANO_ROLL)
    return found


def roll_of(notes: NoteSet, numbers: Mapping[str, int] | None = None) -> Roll:
    """Notes as [notes, 4]: onset, duration, pitch, number of the part.

    ``numbers`` are those of parts that are known; others get the numbers behind them in the order
    of their names. Names are compared in their label form: "Violin I" and "violin  i" are one part.
    """
    names = [label(part) for part in notes.parts]
    numbers = numbered(names, numbers or {})
    parts = np.array([numbers[name] for name in names], dtype=np.float64)
    return np.stack([notes.onsets, notes.durations, notes.pitches.astype(np.float64), parts], 1)


def numbered(names: Iterable[str], known: Mapping[str, int]) -> dict[str, int]:
    """The numbers of ``known`` and behind them those of all other ``names``, in their order."""
    more = sorted(set(names) - known.keys())
    return {**known, **{name: len(known) + place for place, name in enumerate(more)}}


def beside_score(job: MediaJob) -> Columns:
    """Rolls of answers and of the key, parts numbered by the key's."""
    scores = remembered(job.expected(read_notes))

    def answer(notes: NoteSet, score: NoteSet) -> Roll:
        return roll_of(notes, numbered(map(label, score.parts), {}))

    return beside(job, scores, answer), LazyColumn(len(job), lambda item: roll_of(scores[item]))


def alone(job: MediaJob) -> Columns:
    """Rolls of answers."""
    return (job.answered(roll_of),)
