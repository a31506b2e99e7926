"""Pictures: handwritten digits, coins, textures, photographs; all of them real."""

from __future__ import annotations

import numpy as np

from samples import sources
from samples.example import Bytes, Example, Floats, Media, Question, Split, generator, rounded
from samples.media import png

DIGIT_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
#: What is said of a digit in "Digit Properties".
EVEN, PRIME, LOOPED, LARGE = "even", "prime", "looped", "large"

COINS_WINDOW = (100, 132)  # height, width in pixels
TEXTURE_SIDE = 24
DEFECT_SIDE = 32
ROW_WIDTH = 16  # pixels of a predicted row
ROWS_GIVEN = 12
DENOISED_SIDE = 32
NOISE_LEVELS = 20.0  # standard deviation in grey levels
READ_DIGITS = 5

_GREY_STEP = 15  # 16 grey levels of the digits onto 0..240
_COUNTS = {Split.TRAIN: 300, Split.TEST: 100}


def grey(pixels: Floats) -> Bytes:
    """Digit pixels 0..16 as grey levels 0..240."""
    return np.asarray(np.round(pixels * _GREY_STEP), dtype=np.uint8)


def _ask(prompt: str, picture: Bytes, answer: object) -> Example:
    question = Question({"question": prompt}, {"image": png(picture)})
    return Example(question, answer, {"image": ".png"})


def digit_recognition(split: Split) -> list[Example]:
    """One digit; the label is its figure."""
    data = sources.digits(split)
    rng = generator("image-c-001", split)
    chosen = np.sort(rng.choice(len(data.digits), 600 if split is Split.TRAIN else 150, False))
    prompt = "Which digit is this? Answer with one figure."
    return [_ask(prompt, grey(data.pixels[i]), str(data.digits[i])) for i in chosen]


def number_reading(split: Split) -> list[Example]:
    """Five digits in a row with grey noise; the text is the number."""
    data = sources.digits(split)
    rng = generator("image-c-002", split)
    examples = []
    for _ in range(200 if split is Split.TRAIN else 60):
        chosen = rng.integers(len(data.digits), size=READ_DIGITS)
        row = np.hstack([data.pixels[i] for i in chosen])
        noisy = np.clip(row + rng.normal(0, 3.0, row.shape), 0, sources.DIGIT_LEVELS)
        number = "".join(str(data.digits[i]) for i in chosen)
        examples.append(_ask("Which number is written here?", grey(noisy), number))
    return examples


def properties_of(digit: int) -> list[str]:
    """The properties of one digit, in a fixed order."""
    found = [
        (EVEN, digit % 2 == 0),
        (PRIME, digit in (2, 3, 5, 7)),
        (LOOPED, digit in (0, 6, 8, 9)),
        (LARGE, digit > 4),
    ]
    return [name for name, holds in found if holds]


def digit_properties(split: Split) -> list[Example]:
    """One digit in noise; the labels are those properties of four that it has."""
    data = sources.digits(split)
    rng = generator("image-c-003", split)
    # Of 1 nothing is true, and an empty answer is none: it is left out.
    usable = [i for i, digit in enumerate(data.digits) if digit != 1]
    chosen = rng.choice(usable, _COUNTS[split], replace=False)
    prompt = "Which are true of this digit: even, prime, looped (a closed loop), large (above 4)?"
    examples = []
    for i in chosen:
        noisy = np.clip(data.pixels[i] + rng.normal(0, 3.0, (8, 8)), 0, sources.DIGIT_LEVELS)
        examples.append(_ask(prompt, grey(noisy), properties_of(data.digits[i])))
    return examples


def coin_counting(split: Split) -> list[Example]:
    """A window of the coins' photograph; the number is of coins whose centre lies inside."""
    whole, centres = sources.coins(split)
    rng = generator("image-c-004", split)
    height, width = COINS_WINDOW
    corners = [
        (y, x)
        for y in range(whole.shape[0] - height + 1)
        for x in range(whole.shape[1] - width + 1)
    ]
    examples = []
    for at in rng.choice(len(corners), 60, replace=False):
        y, x = corners[at]
        window = whole[y : y + height, x : x + width]
        inside = sum(y <= cy < y + height and x <= cx < x + width for cy, cx in centres)
        prompt = "How many coins have their centre in this picture?"
        examples.append(_ask(prompt, window, inside))
    return examples


def texture_recognition(split: Split) -> list[Example]:
    """A patch at a random brightness and contrast; the label is its material."""
    rng = generator("image-c-005", split)
    halves = sources.textures(split)
    names = list(halves)
    examples = []
    for _ in range(300 if split is Split.TRAIN else 90):
        name = names[rng.choice(len(names), p=(0.5, 0.3, 0.2))]
        patch = _patch(halves[name], TEXTURE_SIDE, rng).astype(np.float64)
        contrast, brightness = rng.uniform(0.4, 0.9), rng.uniform(90, 160)
        changed = np.clip((patch - patch.mean()) * contrast + brightness, 0, 255)
        prompt = "Is this brick, grass or gravel?"
        examples.append(_ask(prompt, changed.astype(np.uint8), name))
    return examples


def defect_localisation(split: Split) -> list[Example]:
    """A patch of one material with a spot of another; the map of the spot's pixels."""
    rng = generator("image-c-012", split)
    halves = sources.textures(split)
    names = list(halves)
    rows, columns = np.mgrid[:DEFECT_SIDE, :DEFECT_SIDE]
    prompt = "Where is this surface damaged? Answer with a grey PNG, brighter where it is surer."
    examples = []
    for _ in range(120 if split is Split.TRAIN else 40):
        sound, other = rng.choice(len(names), size=2, replace=False)
        whole, foreign = (
            _patch(halves[names[at]], DEFECT_SIDE, rng).astype(np.float64) for at in (sound, other)
        )
        y, x = rng.uniform(8, DEFECT_SIDE - 8, size=2)
        high, wide = rng.uniform(4, 8, size=2)
        spot = ((rows - y) / high) ** 2 + ((columns - x) / wide) ** 2 <= 1
        # Both at one mean brightness, so that the material alone tells.
        foreign += whole.mean() - foreign[spot].mean()
        picture = np.clip(np.round(np.where(spot, foreign, whole)), 0, 255).astype(np.uint8)
        answer = Media(png(np.where(spot, 255, 0).astype(np.uint8)), ".png")
        examples.append(_ask(prompt, picture, answer))
    return examples


def digit_completion(split: Split) -> list[Example]:
    """The upper half of a digit; the series is the lower half's 32 pixels, row by row, 0..16."""
    data = sources.digits(split)
    rng = generator("image-g-001", split)
    prompt = "Complete the digit: the 32 pixels of the lower half, row by row, from 0 to 16."
    chosen = rng.choice(len(data.digits), 600 if split is Split.TRAIN else 100, replace=False)
    return [
        _ask(prompt, grey(data.pixels[i][:4]), rounded(data.pixels[i][4:].ravel(), 0))
        for i in chosen
    ]


def row_continuation(split: Split) -> list[Example]:
    """Twelve rows of a photograph's patch; the series is the next row's grey levels."""
    rng = generator("image-g-002", split)
    prompt = f"Predict the next row of this picture: {ROW_WIDTH} grey levels from 0 to 255."
    examples = []
    for _ in range(_COUNTS[split]):
        photographs = sources.photographs(split)
        whole = photographs[rng.integers(len(photographs))]
        patch = _patch(whole, ROW_WIDTH, rng)
        row = rounded(patch[ROWS_GIVEN].astype(np.float64), 0)
        examples.append(_ask(prompt, patch[:ROWS_GIVEN], row))
    return examples


def picture_denoising(split: Split) -> list[Example]:
    """A noisy patch of a photograph; the answer is a picture file, the clean patch."""
    rng = generator("image-g-003", split)
    prompt = "Remove the noise from this picture. Answer with a PNG of the same size."
    examples = []
    for _ in range(20):
        photographs = sources.photographs(split)
        patch = _patch(photographs[rng.integers(len(photographs))], DENOISED_SIDE, rng)
        noisy = np.clip(patch + rng.normal(0, NOISE_LEVELS, patch.shape), 0, 255)
        answer = Media(png(patch), ".png")
        examples.append(_ask(prompt, noisy.astype(np.uint8), answer))
    return examples


def _patch(whole: Bytes, side: int, rng: np.random.Generator) -> Bytes:
    """A square patch at a random place."""
    y, x = (int(rng.integers(size - side + 1)) for size in whole.shape)
    return np.ascontiguousarray(whole[y : y + side, x : x + side])
