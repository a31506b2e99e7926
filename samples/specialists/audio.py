"""Specialists for sounds."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from samples.example import Answer, Example, Floats, Media, Question, rounded
from samples.media import AUDIO_RATE_HZ, wav
from samples.tasks.audio import (
    BEAT_SAMPLES,
    CHORDS,
    MIDDLE_C_HZ,
    MIDDLE_C_PITCH,
    NOTE_SAMPLES,
    PITCH_CLASSES,
    SCALE,
    TUNE_PREDICTED,
    WAVE_PREDICTED,
    WAVE_SCALE,
    heard,
)

_PADDED = 8192  # length of the transform: a bin every 0.5 Hz
_OVERTONES = (1, 2, 3)


def _harmonic_sums(sound: Floats, semitones: Sequence[float]) -> Floats:
    """For each pitch above middle C, the sum of the spectrum's magnitudes at its overtones."""
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), _PADDED))
    frequencies = MIDDLE_C_HZ * 2 ** (np.asarray(semitones) / 12)
    bins = np.outer(frequencies, _OVERTONES) * _PADDED / AUDIO_RATE_HZ
    inside = bins < len(spectrum) - 1
    at = np.where(inside, np.round(bins), 0).astype(int)
    return np.asarray((spectrum[at] * inside).sum(axis=1))


def pitch_class(_train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """The pitch with the largest harmonic sum (M. R. Schroeder, JASA 43, 1968)."""
    pitches = list(range(-12, 24))
    sums = [_harmonic_sums(heard(question), pitches) for question in questions]
    return [PITCH_CLASSES[pitches[int(s.argmax())] % 12] for s in sums]


def chord_recognition(_train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """The chord whose three tones have the largest sum of magnitudes in an octave-folded spectrum.

    T. Fujishima, "Realtime chord recognition of musical sound", ICMC 1999.
    """
    answers = []
    for question in questions:
        spectrum = np.abs(np.fft.rfft(heard(question) * np.hanning(800), _PADDED))
        frequencies = np.arange(len(spectrum)) * AUDIO_RATE_HZ / _PADDED
        usable = (frequencies > 150) & (frequencies < 700)
        semitones = np.round(12 * np.log2(frequencies[usable] / MIDDLE_C_HZ)).astype(int) % 12
        chroma = np.bincount(semitones, weights=spectrum[usable] ** 2, minlength=12)
        fits = {
            (name, root): sum(chroma[(root + step) % 12] for step in steps)
            for name, steps in CHORDS.items()
            for root in range(12)
        }
        answers.append(max(fits, key=lambda chord: fits[chord])[0])
    return answers


def melody_transcription(_train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """For each tenth of a second the note with the largest harmonic sum."""
    names = list(SCALE)
    answers = []
    for question in questions:
        parts = heard(question).reshape(-1, NOTE_SAMPLES)
        sums = [_harmonic_sums(part, list(SCALE.values())) for part in parts]
        answers.append(" ".join(names[int(s.argmax())] for s in sums))
    return answers


def note_transcription(_train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """For each beat the note with the largest harmonic sum, or silence; like beats are one note."""
    steps = list(SCALE.values())
    silence = 0.2  # root mean square of a beat that holds no tone
    answers = []
    for question in questions:
        notes: list[dict[str, int]] = []
        for beat, part in enumerate(heard(question).reshape(-1, BEAT_SAMPLES)):
            if np.sqrt(np.mean(part**2)) < silence:
                continue
            pitch = MIDDLE_C_PITCH + steps[int(_harmonic_sums(part, steps).argmax())]
            last = notes[-1] if notes else None
            if last and last["pitch"] == pitch and last["onset"] + last["duration"] == beat:
                last["duration"] += 1
            else:
                notes.append({"onset": beat, "duration": 1, "pitch": pitch})
        answers.append(notes)
    return answers


def melody_denoising(_train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """For each note the sines of its overtones that fit the sound best, in least squares."""
    steps = list(SCALE.values())
    time = np.arange(NOTE_SAMPLES) / AUDIO_RATE_HZ
    answers = []
    for question in questions:
        notes = []
        for part in heard(question).reshape(-1, NOTE_SAMPLES):
            pitch = steps[int(_harmonic_sums(part, steps).argmax())]
            phases = [2 * np.pi * MIDDLE_C_HZ * 2 ** (pitch / 12) * k * time for k in _OVERTONES]
            waves = np.stack([wave(phase) for phase in phases for wave in (np.sin, np.cos)], axis=1)
            notes.append(waves @ np.linalg.lstsq(waves, part, rcond=None)[0])
        answers.append(Media(wav(np.concatenate(notes)), ".wav"))
    return answers


def waveform_continuation(_train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """Linear prediction from the sound itself, of order 24, by least squares."""
    order = 24
    answers = []
    for question in questions:
        sound = list(heard(question))
        past = np.stack([sound[at : at + order] for at in range(len(sound) - order)])
        weights = np.linalg.solve(
            past.T @ past + 1e-2 * np.eye(order), past.T @ np.array(sound[order:])
        )
        for _ in range(WAVE_PREDICTED):
            sound.append(float(np.clip(np.dot(sound[-order:], weights), -1, 1)))
        answers.append(rounded(WAVE_SCALE * np.array(sound[-WAVE_PREDICTED:]), 3))
    return answers


def melody_continuation(train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """The likeliest note after the last two, or after the last one where two are new."""
    after: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for example in train:
        notes = example.question.fields["notes"].split() + example.answer.split()
        for at in range(1, len(notes)):
            for length in (1, 2):
                after[tuple(notes[max(at - length, 0) : at])][notes[at]] += 1
    answers = []
    for question in questions:
        notes = question.fields["notes"].split()
        for _ in range(TUNE_PREDICTED):
            counts = after.get(tuple(notes[-2:])) or after.get(tuple(notes[-1:])) or {"do": 1}
            notes.append(min(counts, key=lambda note: (-counts[note], note)))
        answers.append(" ".join(notes[-TUNE_PREDICTED:]))
    return answers
