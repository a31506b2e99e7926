"""Classes by number: metrics compare integers, answers and keys hold texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from services.grader.metrics.text.normalise import Memo, label


class Classes:
    """The classes of a key, numbered from 1 in the order of their names.

    Names are compared in the form in which ``accuracy`` compares labels (``normalise.label``), on
    both sides. A label that the key does not know is ``unknown``, a class that no key has. Where
    no label of the key has a name there is one class, and the labels of answers are not read.
    """

    def __init__(self, labels: Iterable[str]) -> None:
        self._form = Memo(label)
        names = sorted({self._form[text] for text in labels})
        self._number = {name: number for number, name in enumerate(names, start=1)}
        self._nameless = names == [""]
        self.unknown = len(names) + 1

    def number(self, text: str) -> int:
        """The number of one label."""
        return 1 if self._nameless else self._number.get(self._form[text], self.unknown)

    def numbers(self, labels: Sequence[str]) -> NDArray[np.int64]:
        """The numbers of labels, int64 [n]."""
        return np.array([self.number(text) for text in labels], dtype=np.int64)


class OpenClasses(Classes):
    """As :class:`Classes`, but each label that the key does not know is a class of its own.

    For measures in which a class that a model invents costs something.
    """

    def __init__(self, labels: Iterable[str]) -> None:
        super().__init__(labels)
        self._invented: dict[str, int] = {}

    def number(self, text: str) -> int:
        number = super().number(text)
        if number != self.unknown:
            return number
        return self._invented.setdefault(self._form[text], self.unknown + len(self._invented))
