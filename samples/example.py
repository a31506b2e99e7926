"""What the makers of tasks produce, and what a model may see of it."""

from __future__ import annotations

import enum
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

#: Where answers lie in a task's folder, in the benchmark and in an archive.
ANSWERS_FOLDER: Final = "answers"

Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]

#: One answer as ``json`` writes it (text, number, list, object), a `Media` in place of a path.
Answer = Any


@dataclass(frozen=True, slots=True)
class Media:
    """A file that an answer names: its content and the ending of its name, as ``.png``."""

    content: bytes
    ending: str


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
    output; the builder writes its files.
    """

    question: Question
    answer: Answer
    endings: Mapping[str, str] = field(default_factory=dict)


Maker = Callable[[Split], list[Example]]
Features = Callable[[Question], Floats]


def generator(task_id: str, split: Split) -> np.random.Generator:
    """The random numbers of one task and split: the same on every machine."""
    return np.random.Generator(np.random.PCG64([zlib.crc32(task_id.encode()), int(split)]))


def placed(answer: Answer, number: int) -> tuple[Answer, dict[str, bytes]]:
    """The answer of item ``number`` with paths for its files, and the files by path.

    An answer has one file at most.
    """
    files: dict[str, bytes] = {}

    def with_paths(value: Answer) -> Answer:
        if isinstance(value, Media):
            path = f"{ANSWERS_FOLDER}/{number:03d}{value.ending}"
            if path in files:
                raise ValueError(f"item {number} has a second file")
            files[path] = value.content
            return path
        if isinstance(value, Mapping):
            return {name: with_paths(part) for name, part in value.items()}
        return [with_paths(part) for part in value] if isinstance(value, list) else value

    return with_paths(answer), files


def rounded(values: Floats | Sequence[float], digits: int) -> list[float]:
    """Numbers as an annotation holds them."""
    # Adding 0.0 turns a negative zero into zero.
    return [float(value) for value in np.round(np.asarray(values, dtype=np.float64), digits) + 0.0]
