"""What the makers of tasks produce, and what a model may see of it."""

from __future__ import annotations

import enum
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]

#: One answer as ``json`` writes it (text, number, list), or the bytes of a picture.
Answer = Any


class Split(enum.IntEnum):
    """Which half of a source, and which seeds, an example comes from; the two never meet."""

    TRAIN = 0  # never shipped: what baselines and specialists learn from
    TEST = 1  # the items of the benchmark


@dataclass(frozen=True, slots=True)
class Question:
    """The input of one item: its texts by field, and its files' contents by field."""

    fields: Mapping[str, str]
    media: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """All texts, one a line."""
        return "\n".join(self.fields.values())


@dataclass(frozen=True, slots=True)
class Example:
    """A question with its answer.

    ``endings`` are the file name endings of the question's media by field, ``answer`` is the
    output, and where it is a picture's bytes the builder writes the file.
    """

    question: Question
    answer: Answer
    endings: Mapping[str, str] = field(default_factory=dict)


Maker = Callable[[Split], list[Example]]
Features = Callable[[Question], Floats]


def generator(task_id: str, split: Split) -> np.random.Generator:
    """The random numbers of one task and split: the same on every machine."""
    return np.random.Generator(np.random.PCG64([zlib.crc32(task_id.encode()), int(split)]))


def rounded(values: Floats | Sequence[float], digits: int) -> list[float]:
    """Numbers as an annotation holds them."""
    # Adding 0.0 turns a negative zero into zero.
    return [float(value) for value in np.round(np.asarray(values, dtype=np.float64), digits) + 0.0]
