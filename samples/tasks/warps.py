"""Real photographs turned and moved by a known map: its flow, and the corners of a turned card."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import map_coordinates

from samples import sources
from samples.example import Bytes, Example, Floats, Media, Question, Split, generator, rounded
from samples.fields import flo
from samples.media import gif, png

FLOW_SIDE = 32  # pixels
CARD_SIDE = 20  # pixels of a card's side
TABLE_SIDE = 40  # pixels of the picture in which a card lies
#: Grey levels: the table is darker than any card.
TABLE_LEVEL, CARD_LEVEL = 30.0, 90.0

_TABLE_NOISE = 8.0  # grey levels, standard deviation
_LEAST_CONTRAST = 15.0  # grey levels, standard deviation of a window
_MOST_SHIFT = 2.0  # pixels
_MOST_TURN = np.radians(5)
_MOST_SCALE = 0.05
_CARD_TURN = np.radians(40)


def _photograph(split: Split, rng: np.random.Generator) -> Bytes:
    photographs = sources.photographs(split)
    return photographs[rng.integers(len(photographs))]


def _turn(angle: float) -> Floats:
    """A rotation [2, 2] of columns (row, column)."""
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _sampled(picture: Bytes, places: Floats) -> Floats:
    """Grey levels at ``places`` [2, ...], rows and columns, between pixels by straight lines."""
    return np.asarray(map_coordinates(picture.astype(np.float64), places, order=1))


def picture_flow(split: Split) -> list[Example]:
    """Two frames: a window of a photograph, and the same turned, scaled and shifted a little."""
    rng = generator("video-c-005", split)
    prompt = "How far does each pixel of frame 0 move to frame 1? Answer with a .flo file."
    middle = (FLOW_SIDE - 1) / 2
    grid = np.mgrid[:FLOW_SIDE, :FLOW_SIDE].astype(np.float64)
    offsets = grid.reshape(2, -1) - middle
    examples: list[Example] = []
    while len(examples) < (120 if split is Split.TRAIN else 40):
        whole = _photograph(split, rng)
        corner = np.array([rng.integers(8, size - FLOW_SIDE - 8) for size in whole.shape])
        y, x = corner
        first = whole[y : y + FLOW_SIDE, x : x + FLOW_SIDE]
        if first.std() < _LEAST_CONTRAST:
            continue  # where nothing is to be seen nothing moves
        turn = (1 + rng.uniform(-_MOST_SCALE, _MOST_SCALE)) * _turn(
            rng.uniform(-_MOST_TURN, _MOST_TURN)
        )
        shift = rng.uniform(-_MOST_SHIFT, _MOST_SHIFT, size=2)
        # What is at offset p from the middle moves to turn p + shift.
        back = np.linalg.inv(turn) @ (offsets - shift[:, None])
        places = corner[:, None] + middle + back
        second = np.round(_sampled(whole, places).reshape(FLOW_SIDE, FLOW_SIDE)).astype(np.uint8)
        moves = (turn @ offsets + shift[:, None] - offsets).reshape(2, FLOW_SIDE, FLOW_SIDE)
        answer = Media(flo(np.stack([moves[1], moves[0]], axis=2)), ".flo")
        question = Question({"question": prompt}, {"video": gif(np.stack([first, second]))})
        examples.append(Example(question, answer, {"video": ".gif"}))
    return examples


def card_corners(split: Split) -> list[Example]:
    """A square of a photograph lies turned on a dark table; the key points are its corners."""
    rng = generator("image-c-011", split)
    prompt = (
        "Where are the corners of the card: top left, top right, bottom right, bottom left, as the "
        "card has them (it is turned by 40 degrees at most)?"
    )
    half = CARD_SIDE / 2
    corners = np.array([(-half, -half), (-half, half), (half, half), (half, -half)])
    grid = np.mgrid[:TABLE_SIDE, :TABLE_SIDE].astype(np.float64)
    reach = half * np.sqrt(2)
    examples = []
    for _ in range(120 if split is Split.TRAIN else 60):
        whole = _photograph(split, rng)
        corner = np.array([rng.integers(size - CARD_SIDE) for size in whole.shape])
        turn = _turn(rng.uniform(-_CARD_TURN, _CARD_TURN))
        middle = rng.uniform(reach, TABLE_SIDE - 1 - reach, size=2)
        offsets = np.linalg.inv(turn) @ (grid.reshape(2, -1) - middle[:, None])
        seen = _sampled(whole, corner[:, None] + half + offsets)
        lit = CARD_LEVEL + seen * (255 - CARD_LEVEL) / 255
        table = TABLE_LEVEL + rng.normal(0, _TABLE_NOISE, lit.shape)
        on_card = (np.abs(offsets) <= half).all(axis=0)
        picture = np.clip(np.round(np.where(on_card, lit, table)), 0, 255)
        places = corners @ turn.T + middle
        points = [[*rounded([x, y], 2), 2] for y, x in places]
        question = Question(
            {"question": prompt},
            {"image": png(picture.reshape(TABLE_SIDE, TABLE_SIDE).astype(np.uint8))},
        )
        examples.append(Example(question, [{"keypoints": points}], {"image": ".png"}))
    return examples
