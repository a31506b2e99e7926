"""Coins of a real photograph at half its size: where they are, which pixels, and one followed."""

from __future__ import annotations

from typing import Any

import numpy as np

from samples import sources
from samples.example import Bytes, Example, Floats, Question, Split, generator, rounded
from samples.fields import mask_runs
from samples.media import gif, png

WINDOW = (50, 66)  # height, width in pixels
TRACK_SIDE = 44  # pixels of the field of a camera that moves
TRACK_FRAMES = 6
COIN = "coin"

_STEP = 3  # pixels that the camera moves between frames at most


def _windows(split: Split, task_id: str) -> list[tuple[Bytes, Floats]]:
    """Windows, no two at one place, each with the circles of all coins in its own pixels."""
    whole, circles = sources.half_coins(split)
    rng = generator(task_id, split)
    height, width = WINDOW
    rows, columns = (size - side + 1 for size, side in zip(whole.shape, WINDOW, strict=True))
    windows = []
    for place in rng.choice(rows * columns, 80 if split is Split.TRAIN else 40, replace=False):
        y, x = divmod(int(place), columns)
        window = np.ascontiguousarray(whole[y : y + height, x : x + width])
        windows.append((window, circles - [y, x, 0]))
    return windows


def _ask(prompt: str, window: Bytes, answer: object) -> Example:
    question = Question({"question": prompt}, {"image": png(window)})
    return Example(question, answer, {"image": ".png"})


def coin_detection(split: Split) -> list[Example]:
    """Boxes of the coins whose centre is in the window, each cut at its edge."""
    height, width = WINDOW
    prompt = (
        "Give the box of each coin whose centre is in this picture; of a coin that the edge cuts, "
        "the box of the part that is seen."
    )
    examples = []
    for window, circles in _windows(split, "image-c-007"):
        boxes: list[dict[str, Any]] = []
        for y, x, radius in circles:
            if not (0 <= y < height and 0 <= x < width):
                continue
            # A pixel covers half a unit on either side of its centre.
            left, top = max(x + 0.5 - radius, 0), max(y + 0.5 - radius, 0)
            right, bottom = min(x + 0.5 + radius, width), min(y + 0.5 + radius, height)
            box = rounded([left, top, right - left, bottom - top], 2)
            boxes.append({"box": box, "label": COIN})
        examples.append(_ask(prompt, window, boxes))
    return examples


def coin_segmentation(split: Split) -> list[Example]:
    """The mask of all pixels that belong to coins, also to coins whose centre is outside."""
    rows, columns = np.mgrid[: WINDOW[0], : WINDOW[1]]
    prompt = "Which pixels of this picture belong to coins? Answer with one mask."
    examples = []
    for window, circles in _windows(split, "image-c-008"):
        y, x, radius = (circles[:, at, None, None] for at in range(3))
        inside = ((rows - y) ** 2 + (columns - x) ** 2 <= radius**2).any(axis=0)
        examples.append(_ask(prompt, window, [{"mask": mask_runs(inside), "label": COIN}]))
    return examples


def coin_tracking(split: Split) -> list[Example]:
    """A camera wanders over the coins; the track of the one whose first box is told."""
    whole, circles = sources.half_coins(split)
    rng = generator("video-c-007", split)
    examples: list[Example] = []
    while len(examples) < (60 if split is Split.TRAIN else 24):
        y, x, radius = circles[rng.integers(len(circles))]
        # Corners of fields that show the whole coin.
        low = np.maximum(np.ceil([y + radius + 1, x + radius + 1]) - TRACK_SIDE, 0).astype(int)
        high = np.floor([y - radius, x - radius]).astype(int)
        high = np.minimum(high, np.array(whole.shape) - TRACK_SIDE)
        if (high - low < _STEP).any():
            continue
        corner = rng.integers(low, high + 1)
        corners = []
        for _ in range(TRACK_FRAMES):
            corners.append(corner)
            step = rng.integers(1, _STEP + 1, size=2) * rng.choice([-1, 1], size=2)
            # What would lead out of the range is turned round.
            turned = (corner + step < low) | (corner + step > high)
            corner = np.clip(corner + np.where(turned, -step, step), low, high)
        frames = np.stack([whole[a : a + TRACK_SIDE, b : b + TRACK_SIDE] for a, b in corners])
        if (frames[1:] == frames[:-1]).all(axis=(1, 2)).any():
            continue
        boxes = [
            rounded([x + 0.5 - radius - b, y + 0.5 - radius - a, 2 * radius, 2 * radius], 2)
            for a, b in corners
        ]
        first = " ".join(f"{value:.2f}" for value in boxes[0])
        prompt = f"Follow the coin whose box in frame 0 is (x, y, width, height): {first}"
        answer = [{"track": 1, "frames": list(range(TRACK_FRAMES)), "boxes": boxes}]
        question = Question({"question": prompt}, {"video": gif(frames)})
        examples.append(Example(question, answer, {"video": ".gif"}))
    return examples
