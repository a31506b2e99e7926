"""How long to wait before the next try."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(slots=True)
class Backoff:
    """Doubling delays with jitter, so that graders do not come back all at once.

    The n-th delay lies between half and all of ``first_seconds * 2^n``, at most ``cap_seconds``.
    """

    rng: random.Random
    first_seconds: float = 0.2
    cap_seconds: float = 5.0
    tries: int = 0

    def next_seconds(self) -> float:
        """The next delay."""
        full = min(self.cap_seconds, self.first_seconds * 2.0**self.tries)
        self.tries = min(self.tries + 1, 32)
        return full * self.rng.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Starts over, after a success."""
        self.tries = 0
