"""Media asked for in numbers and made by formula: a picture, a clip, a sound, a motion.

Their metrics compare features of networks and wait for the weights. Who follows the formula gives
the very files of the key, and what is compared with itself has a known score under any network.
"""

from __future__ import annotations

import re

import numpy as np

from samples.example import Bytes, Example, Floats, Media, Question, Split, generator
from samples.fields import npy
from samples.media import AUDIO_RATE_HZ, gif, png, wav
from samples.tasks.audio import MIDDLE_C_HZ, SCALE
from samples.tasks.video import FIELD_SIDE, bounce
from samples.tasks.walk import Walk, motion

PICTURE_SIDE = 32
CLIP_FRAMES = 16
TONES = 10
TONE_SECONDS = 0.1

_COUNTS = {Split.TRAIN: 80, Split.TEST: 20}
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def numbers_of(text: str) -> list[float]:
    """The numbers that a request names, in order."""
    return [float(found) for found in _NUMBER.findall(text)]


def disc(row: float, column: float, radius: float, level: float) -> Bytes:
    """A disc of one grey level on black, [PICTURE_SIDE, PICTURE_SIDE]."""
    rows, columns = np.mgrid[:PICTURE_SIDE, :PICTURE_SIDE]
    inside = (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
    return np.asarray(np.where(inside, level, 0), dtype=np.uint8)


def ball_clip(row: float, column: float, down: float, right: float) -> Bytes:
    """A bouncing ball, [CLIP_FRAMES, FIELD_SIDE, FIELD_SIDE], by its first place and speed."""
    centres = bounce(np.array([row, column]), np.array([down, right]), CLIP_FRAMES)
    rows, columns = np.mgrid[:FIELD_SIDE, :FIELD_SIDE]
    y, x = centres[:, 0, None, None], centres[:, 1, None, None]
    levels = np.round(200 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 2))
    return np.asarray(levels, dtype=np.uint8)


def pure_tones(notes: list[str]) -> Floats:
    """Sine tones from middle C on, one after another, half of full scale."""
    time = np.arange(round(TONE_SECONDS * AUDIO_RATE_HZ)) / AUDIO_RATE_HZ
    frequencies = [MIDDLE_C_HZ * 2 ** (SCALE[note] / 12) for note in notes]
    return np.concatenate([0.5 * np.sin(2 * np.pi * frequency * time) for frequency in frequencies])


def _ask(prompt: str, request: str, content: bytes, ending: str) -> Example:
    question = Question({"question": prompt, "request": request})
    return Example(question, Media(content, ending))


def disc_drawing(split: Split) -> list[Example]:
    """A disc's place, size and level; the answer is the picture."""
    rng = generator("image-g-004", split)
    prompt = f"Draw a disc on black, {PICTURE_SIDE} x {PICTURE_SIDE}. Answer with a PNG."
    examples = []
    for _ in range(_COUNTS[split]):
        row, column = rng.integers(8, PICTURE_SIDE - 8, size=2).tolist()
        radius, level = int(rng.integers(3, 9)), int(rng.integers(60, 256))
        request = f"centre row {row}, column {column}, radius {radius}, grey level {level}"
        picture = disc(row, column, radius, level)
        examples.append(_ask(prompt, request, png(picture), ".png"))
    return examples


def ball_drawing(split: Split) -> list[Example]:
    """A ball's first place and speed; the answer is the clip of its bounces."""
    rng = generator("video-g-004", split)
    prompt = (
        f"Draw {CLIP_FRAMES} frames, {FIELD_SIDE} x {FIELD_SIDE}, of a ball of level 200 and "
        "spread 1 pixel. In each frame it gets faster downwards by 0.25 pixels a frame; it bounces "
        "at row 14 with 0.8 of its speed, at columns 1 and 14 with all of it. Answer with a GIF."
    )
    examples = []
    for _ in range(_COUNTS[split]):
        row, column, down, right = (
            round(float(rng.uniform(low, high)), 2)
            for low, high in ((2, 8), (3, 12), (-1, 0.5), (-1.5, 1.5))
        )
        request = f"row {row}, column {column}, downwards {down}, to the right {right} a frame"
        content = gif(ball_clip(row, column, down, right))
        examples.append(_ask(prompt, request, content, ".gif"))
    return examples


def tone_drawing(split: Split) -> list[Example]:
    """The names of notes; the answer is their sound."""
    rng = generator("audio-g-003", split)
    prompt = (
        f"Play these notes of C major from middle C ({MIDDLE_C_HZ} Hz) on, as sine tones of "
        f"{TONE_SECONDS} s and half of full scale at {AUDIO_RATE_HZ} Hz. Answer with a WAV file."
    )
    names = list(SCALE)
    examples = []
    for _ in range(_COUNTS[split]):
        notes = [names[at] for at in rng.integers(len(names), size=TONES)]
        examples.append(_ask(prompt, " ".join(notes), wav(pure_tones(notes)), ".wav"))
    return examples


def walk_drawing(split: Split) -> list[Example]:
    """Rate, swing, speed and size of a walk; the answer is the motion."""
    rng = generator("3d-g-005", split)
    prompt = "Let a figure walk straight ahead. Answer with its motion, 263 numbers a frame."
    examples = []
    for _ in range(_COUNTS[split]):
        walk = Walk(
            *(
                round(float(rng.uniform(low, high)), 2)
                for low, high in ((1.2, 2.4), (10, 35), (0.5, 1.6), (0.85, 1.15))
            )
        )
        request = (
            f"{walk.rate} steps a second, swing {walk.swing} degrees, {walk.speed} m/s, "
            f"size {walk.size}"
        )
        examples.append(_ask(prompt, request, npy(motion(walk)), ".npy"))
    return examples
