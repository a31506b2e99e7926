"""Two handwritten digits on one canvas: in words, pixel by pixel, and as a graph."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from samples import sources
from samples.example import Bytes, Example, Floats, Media, Question, Split, generator
from samples.fields import segments_png
from samples.media import png
from samples.tasks.image import DIGIT_NAMES, grey

#: Rows and columns of the first and the second digit, before a shift along the free side.
RELATIONS = {"above": ((0, 0), (12, 0)), "beside": ((0, 0), (0, 12))}
#: The relation of the second digit to the first.
CONVERSE = {"above": "below", "beside": "beside"}

CANVAS_SIDE = 20  # pixels
DIGIT_SIDE = 8
#: Pixels of a digit from this level on, of 16, are ink.
INK_LEVEL = 5.0
#: What is no digit's ink.
PAPER = "paper"

_NOISE = 1.5  # levels of 16, standard deviation
_COUNTS = {Split.TRAIN: 150, Split.TEST: 60}


class DigitPair(NamedTuple):
    """A noisy canvas, the names of its digits, how the first lies to the second, and where."""

    picture: Bytes
    names: tuple[str, str]
    relation: str
    corners: tuple[tuple[int, int], tuple[int, int]]  # row, column
    digits: tuple[Floats, Floats]  # [8, 8] in 0..16, without noise


def _pair(data: sources.Digits, rng: np.random.Generator) -> DigitPair:
    relations = list(RELATIONS)
    first, second = (int(i) for i in rng.integers(len(data.digits), size=2))
    relation = relations[rng.integers(len(relations))]
    canvas = np.zeros((CANVAS_SIDE, CANVAS_SIDE))
    shift = int(rng.integers(CANVAS_SIDE - DIGIT_SIDE + 1))
    one, other = (
        (y, x + shift) if relation == "above" else (y + shift, x) for y, x in RELATIONS[relation]
    )
    digits = data.pixels[first], data.pixels[second]
    for pixels, (top, left) in zip(digits, (one, other), strict=True):
        canvas[top : top + DIGIT_SIDE, left : left + DIGIT_SIDE] = pixels
    canvas = np.clip(canvas + rng.normal(0, _NOISE, canvas.shape), 0, sources.DIGIT_LEVELS)
    names = DIGIT_NAMES[data.digits[first]], DIGIT_NAMES[data.digits[second]]
    return DigitPair(grey(canvas), names, relation, (one, other), digits)


def _pairs(split: Split, task_id: str, count: int) -> list[DigitPair]:
    data = sources.digits(split)
    rng = generator(task_id, split)
    return [_pair(data, rng) for _ in range(count)]


def _ask(prompt: str, picture: Bytes, answer: object) -> Example:
    question = Question({"question": prompt}, {"image": png(picture)})
    return Example(question, answer, {"image": ".png"})


def digit_captioning(split: Split) -> list[Example]:
    """Two digits on a canvas; the text says what they are and how they lie."""
    prompt = "Describe the picture: which digits, and how does the first lie to the second?"
    return [
        _ask(prompt, pair.picture, f"a {pair.names[0]} {pair.relation} a {pair.names[1]}")
        for pair in _pairs(split, "image-c-006", 600 if split is Split.TRAIN else 80)
    ]


def panoptic_answer(
    names: tuple[str, str], corners: tuple[tuple[int, int], ...], inks: tuple[Any, Any]
) -> dict[str, Any]:
    """Segment 1 is the paper, 2 and 3 the ink, bool [8, 8], of the digits at the corners."""
    numbers = np.ones((CANVAS_SIDE, CANVAS_SIDE), dtype=np.uint8)
    for number, (top, left), ink in zip((2, 3), corners, inks, strict=True):
        numbers[top : top + DIGIT_SIDE, left : left + DIGIT_SIDE][ink] = number
    segments = [
        {"segment": number, "label": label} for number, label in enumerate((PAPER, *names), start=1)
    ]
    return {"file": Media(segments_png(numbers), ".png"), "segments": segments}


def graph_answer(
    names: tuple[str, str], corners: tuple[tuple[int, int], ...], relation: str
) -> dict[str, Any]:
    """Both digits with their boxes, and how each lies to the other."""
    objects = [
        {"label": name, "box": [left, top, DIGIT_SIDE, DIGIT_SIDE]}
        for name, (top, left) in zip(names, corners, strict=True)
    ]
    relations = [
        {"subject": 0, "predicate": relation, "object": 1},
        {"subject": 1, "predicate": CONVERSE[relation], "object": 0},
    ]
    return {"objects": objects, "relations": relations}


def digit_panoptic(split: Split) -> list[Example]:
    """Every pixel of two digits on a canvas: the paper's or a digit's ink."""
    prompt = "Part this picture into paper and the ink of each digit, named by its word."
    examples = []
    for pair in _pairs(split, "image-c-009", _COUNTS[split]):
        inks = (pair.digits[0] >= INK_LEVEL, pair.digits[1] >= INK_LEVEL)
        examples.append(_ask(prompt, pair.picture, panoptic_answer(pair.names, pair.corners, inks)))
    return examples


def digit_scene_graph(split: Split) -> list[Example]:
    """Two digits on a canvas; the graph has them as objects and how they lie as relations."""
    prompt = "Which digits are here, in which boxes, and how do they lie: above, below, beside?"
    return [
        _ask(prompt, pair.picture, graph_answer(pair.names, pair.corners, pair.relation))
        for pair in _pairs(split, "image-c-010", _COUNTS[split])
    ]
