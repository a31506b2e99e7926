"""One golden case: a tiny key, what a lab answered, and the score that must come out."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from general_level.catalogue.model import AnswerKind

_TOLERANCE: Final = 1e-9  # relative, or absolute where the score is 0


@dataclass(frozen=True, slots=True)
class GoldenItem:
    """One item of a golden key."""

    id: str
    references: Sequence[Any]


@dataclass(frozen=True, slots=True)
class GoldenCase:
    """One metric over a tiny key: item id to references, and what a lab answered.

    ``files`` are the lab's and ``media`` the key's, by path. ``expected`` is None where the value
    depends on a network's weights: then the network has answered if the value is a legal one.
    ``tolerance`` is relative; networks of single precision need a wider one.
    """

    metric_id: str
    kind: AnswerKind
    key: Mapping[str, list[Any]]
    answers: Mapping[str, Any]
    expected: float | None
    options: Mapping[str, str] = field(default_factory=dict)
    ratings: bytes = b""
    files: Mapping[str, bytes] = field(default_factory=dict)
    media: Mapping[str, bytes] = field(default_factory=dict)
    tolerance: float = _TOLERANCE

    @property
    def items(self) -> Sequence[GoldenItem]:
        """The key's items, as the scorer takes them."""
        return [GoldenItem(item, references) for item, references in self.key.items()]

    @property
    def members(self) -> Mapping[str, bytes]:
        """The lab's files, prediction.json first."""
        rows = [{"id": item, "prediction": answer} for item, answer in self.answers.items()]
        return {"prediction.json": json.dumps(rows).encode(), **self.files}

    def matches(self, value: float) -> bool:
        """Whether ``value`` is the known score."""
        if self.expected is None:
            return math.isfinite(value)
        return math.isclose(value, self.expected, rel_tol=self.tolerance, abs_tol=self.tolerance)
