"""Clips: windows that pan over real photographs, real digits that move, a ball by formula."""

from __future__ import annotations

import numpy as np

from samples import sources
from samples.example import Bytes, Example, Floats, Media, Question, Split, generator, rounded
from samples.media import gif
from samples.tasks.image import DIGIT_NAMES, grey

#: Rows and columns that a window moves per frame, by the direction in which it goes.
DIRECTIONS = {
    "up": (-1, 0),
    "down": (1, 0),
    "left": (0, -1),
    "right": (0, 1),
    "up-left": (-1, -1),
    "up-right": (-1, 1),
    "down-left": (1, -1),
    "down-right": (1, 1),
}
STRAIGHT = ("up", "down", "left", "right")

PAN_SIDE = 16  # pixels of a window
PAN_FRAMES = 5
CUT_FRAMES = 12
NEXT_SIDE = 12
FIELD_SIDE = 16  # pixels of the field of a moving digit or ball
DIGIT_FRAMES = 5
TUBE_FRAMES = 8
DENOISED_SIDE = 20
DENOISED_FRAMES = 6
BALL_FRAMES = 8
BALL_PREDICTED = 4  # frames whose ball is to be predicted

_SPEEDS = (1, 2)  # pixels a frame
_PAN_NOISE = 10.0  # grey levels, standard deviation
_FIELD_NOISE = 25.0


def _ask(prompt: str, frames: Bytes, answer: object) -> Example:
    question = Question({"question": prompt}, {"video": gif(frames)})
    return Example(question, answer, {"video": ".gif"})


def _pan(
    split: Split, rng: np.random.Generator, side: int, frames: int, speeds: tuple[int, ...]
) -> tuple[str, Floats]:
    """A window's direction, and its frames [frames, side, side] without noise."""
    photographs = sources.photographs(split)
    whole = photographs[rng.integers(len(photographs))]
    names = list(DIRECTIONS)
    direction = names[rng.integers(len(names))]
    speed = speeds[rng.integers(len(speeds))]
    reach = frames * max(speeds)
    y, x = (int(rng.integers(reach, size - side - reach)) for size in whole.shape)
    dy, dx = DIRECTIONS[direction]
    corners = [(y + dy * speed * t, x + dx * speed * t) for t in range(frames)]
    return direction, np.stack([whole[a : a + side, b : b + side] for a, b in corners]).astype(
        np.float64
    )


def _noisy(frames: Floats, level: float, rng: np.random.Generator) -> Bytes:
    return np.clip(np.round(frames + rng.normal(0, level, frames.shape)), 0, 255).astype(np.uint8)


def motion_direction(split: Split) -> list[Example]:
    """A window pans over a photograph; the label is one of eight directions."""
    rng = generator("video-c-001", split)
    prompt = f"In which direction does the camera move: {', '.join(DIRECTIONS)}?"
    examples = []
    for _ in range(300 if split is Split.TRAIN else 80):
        direction, frames = _pan(split, rng, PAN_SIDE, PAN_FRAMES, _SPEEDS)
        examples.append(_ask(prompt, _noisy(frames, _PAN_NOISE, rng), direction))
    return examples


def cut_detection(split: Split) -> list[Example]:
    """Two pans, one after the other; the number is the first frame (from 0) of the second."""
    rng = generator("video-c-002", split)
    prompt = (
        f"The clip has {CUT_FRAMES} frames, 0 to {CUT_FRAMES - 1}. At which does a scene begin?"
    )
    examples = []
    for _ in range(200 if split is Split.TRAIN else 60):
        cut = int(rng.integers(2, CUT_FRAMES - 1))
        _, one = _pan(split, rng, PAN_SIDE, CUT_FRAMES, _SPEEDS)
        _, other = _pan(split, rng, PAN_SIDE, CUT_FRAMES, _SPEEDS)
        frames = np.concatenate([one[:cut], other[cut:]])
        examples.append(_ask(prompt, _noisy(frames, 2 * _PAN_NOISE, rng), cut))
    return examples


def _moving_digit(split: Split, rng: np.random.Generator) -> tuple[str, str, Bytes]:
    """The name and direction of a digit, and the clip in which it moves."""
    data = sources.digits(split)
    chosen = int(rng.integers(len(data.digits)))
    direction = STRAIGHT[rng.integers(len(STRAIGHT))]
    dy, dx = DIRECTIONS[direction]
    room = FIELD_SIDE - 8
    y, x = (int(rng.integers(2, room - 1)) for _ in range(2))
    frames = np.zeros((DIGIT_FRAMES, FIELD_SIDE, FIELD_SIDE))
    for t in range(DIGIT_FRAMES):
        at_y, at_x = (int(np.clip(v, 0, room)) for v in (y + dy * t, x + dx * t))
        frames[t, at_y : at_y + 8, at_x : at_x + 8] = grey(data.pixels[chosen])
    return DIGIT_NAMES[data.digits[chosen]], direction, _noisy(frames, _FIELD_NOISE, rng)


def moving_digit(split: Split) -> list[Example]:
    """A digit moves through noise; the text names it."""
    rng = generator("video-c-003", split)
    examples = []
    for _ in range(300 if split is Split.TRAIN else 80):
        name, _, frames = _moving_digit(split, rng)
        examples.append(
            _ask("Which digit moves through this clip? Write it as a word.", frames, name)
        )
    return examples


def motion_captioning(split: Split) -> list[Example]:
    """A digit moves through noise; the text says which and whither."""
    rng = generator("video-c-004", split)
    examples = []
    for _ in range(300 if split is Split.TRAIN else 60):
        name, direction, frames = _moving_digit(split, rng)
        examples.append(_ask("Describe this clip.", frames, f"the digit {name} moves {direction}"))
    return examples


def digit_tube(split: Split) -> list[Example]:
    """A digit crosses noise in some of the frames; the tube is of its boxes in these."""
    data = sources.digits(split)
    rng = generator("video-c-006", split)
    prompt = f"In which of the frames 0 to {TUBE_FRAMES - 1} is a digit, and in which boxes?"
    room = FIELD_SIDE - 8
    examples = []
    for _ in range(120 if split is Split.TRAIN else 40):
        chosen = int(rng.integers(len(data.digits)))
        dy, dx = DIRECTIONS[STRAIGHT[rng.integers(len(STRAIGHT))]]
        begin, length = int(rng.integers(4)), int(rng.integers(3, TUBE_FRAMES - 3))
        start = rng.integers(room + 1, size=2)
        shown = range(begin, begin + length)
        field = np.zeros((TUBE_FRAMES, FIELD_SIDE, FIELD_SIDE))
        boxes = []
        for t in shown:
            y, x = (int(v) for v in np.clip(start + (t - begin) * np.array([dy, dx]), 0, room))
            field[t, y : y + 8, x : x + 8] = grey(data.pixels[chosen])
            boxes.append([x, y, 8, 8])
        frames = _noisy(field, _FIELD_NOISE, rng)
        label = DIGIT_NAMES[data.digits[chosen]]
        tube = {"frames": list(shown), "boxes": boxes, "label": label}
        examples.append(_ask(prompt, frames, [tube]))
    return examples


def clip_denoising(split: Split) -> list[Example]:
    """A noisy pan over a photograph; the answer is the clip without noise."""
    rng = generator("video-g-003", split)
    prompt = "Remove the noise from this clip. Answer with a GIF of as many frames, of this size."
    examples: list[Example] = []
    while len(examples) < (60 if split is Split.TRAIN else 24):
        _, frames = _pan(split, rng, DENOISED_SIDE, DENOISED_FRAMES, _SPEEDS)
        if (frames[1:] == frames[:-1]).all(axis=(1, 2)).any():
            continue  # in a flat sky nothing moves
        answer = Media(gif(frames.astype(np.uint8)), ".gif")
        examples.append(_ask(prompt, _noisy(frames, 2 * _PAN_NOISE, rng), answer))
    return examples


def next_frame(split: Split) -> list[Example]:
    """Four frames of a pan; the series is the fifth's pixels, row by row, as grey levels."""
    rng = generator("video-g-001", split)
    prompt = f"Predict the next frame: {NEXT_SIDE**2} grey levels from 0 to 255, row by row."
    examples = []
    for _ in range(300 if split is Split.TRAIN else 60):
        _, frames = _pan(split, rng, NEXT_SIDE, 5, (1, 2))
        noisy = _noisy(frames[:4], 3.0, rng)
        examples.append(_ask(prompt, noisy, rounded(frames[4].ravel(), 0)))
    return examples


def bounce(place: Floats, speed: Floats, count: int) -> Floats:
    """Centres [count, 2] (row, column) in pixels of a ball that bounces off walls and floor.

    ``place`` is the first of them, ``speed`` in pixels a frame.
    """
    gravity, low, high = 0.25, 1.0, FIELD_SIDE - 2.0
    (y, x), (vy, vx) = place, speed
    centres = np.empty((count, 2))
    for centre in centres:
        centre[:] = y, x
        vy += gravity
        y, x = y + vy, x + vx
        if y > high:
            y, vy = 2 * high - y, -0.8 * vy
        if not low <= x <= high:
            x, vx = 2 * (low if x < low else high) - x, -vx
    return centres


def ball_trajectory(split: Split) -> list[Example]:
    """A ball thrown by formula; the series is row and column of its centre in four more frames."""
    rng = generator("video-g-002", split)
    prompt = (
        "Where is the ball in the next 4 frames? "
        "Row and column of each, in pixels from the top left."
    )
    rows, columns = np.mgrid[:FIELD_SIDE, :FIELD_SIDE]
    examples = []
    for _ in range(300 if split is Split.TRAIN else 60):
        place = np.array([rng.uniform(2, 8), rng.uniform(3, 12)])
        speed = np.array([rng.uniform(-1.0, 0.5), rng.uniform(-1.5, 1.5)])
        centres = bounce(place, speed, BALL_FRAMES + BALL_PREDICTED)
        y, x = centres[:BALL_FRAMES, 0, None, None], centres[:BALL_FRAMES, 1, None, None]
        frames = 200 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 2)
        answer = rounded(centres[BALL_FRAMES:].ravel(), 2)
        examples.append(_ask(prompt, _noisy(frames, 8.0, rng), answer))
    return examples
