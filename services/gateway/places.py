"""Places for calls that last: nobody may hold so many that none are left for the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from general_level.errors import ResourceExhausted


class Places:
    """At most ``most`` calls of one caller at once, in this process.

    It guards a process's memory and its places for calls, so it counts in each gateway apart.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: Counter[str] = Counter()

    @contextmanager
    def take(self, caller: str) -> Iterator[None]:
        """Holds a place; ResourceExhausted if the caller has all of its own already."""
        if self.taken(caller) >= self._most:
            raise ResourceExhausted(
                f"At most {self._most} such calls at once; end one first.", limit=self._most
            )
        self._taken[caller] += 1
        try:
            yield
        finally:
            self._taken[caller] -= 1
            if not self._taken[caller]:
                del self._taken[caller]

    def taken(self, caller: str) -> int:
        """How many places the caller holds."""
        return self._taken.get(caller, 0)
