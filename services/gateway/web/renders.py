"""Pages are made one at a time, beside the event loop: what many read first, a search after it.

Rendering holds Python's one lock; more than one page at once would make none of them earlier and
the event loop, with all its gRPC calls, wait for more threads.
"""

from __future__ import annotations

import asyncio
import functools
import heapq
import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import IntEnum
from typing import Final, Generic, TypeVar

from general_level.errors import Unavailable

Made = TypeVar("Made")

#: Pages that wait to be made; the next is refused.
WAITING_MAX: Final = 200


class Urgency(IntEnum):
    """Who goes first."""

    PAGE = 0
    """A page at its plain address, which everyone who comes will read."""

    SEARCH = 1
    """What one reader asks for."""

    AHEAD = 2
    """Nobody waits for it yet."""


class TooManyWaiting(Unavailable):
    """Too many pages are being made at the moment."""

    reason = "TOO_MANY_WAITING"


class Renders(Generic[Made]):
    """One thread, and a line before it; ``refused`` is told of each for whom it is too long."""

    def __init__(
        self, waiting_max: int = WAITING_MAX, refused: Callable[[], None] = lambda: None
    ) -> None:
        self._thread = ThreadPoolExecutor(1, "pages")
        self._most = waiting_max
        self._refused = refused
        self._line: list[tuple[int, int, Callable[[], Made], asyncio.Future[Made]]] = []
        self._numbers = itertools.count()
        self._busy = False

    async def run(self, work: Callable[[], Made], urgency: Urgency) -> Made:
        """What ``work`` makes. Raises TooManyWaiting where the line is long, and what it raises."""
        if len(self._line) >= self._most:
            self._refused()
            raise TooManyWaiting("Try again in a few seconds.", retry_after_seconds=5)
        done: asyncio.Future[Made] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._line, (urgency, next(self._numbers), work, done))
        self._next()
        return await done

    def _next(self) -> None:
        while self._line and not self._busy:
            _, _, work, done = heapq.heappop(self._line)
            if done.done():
                continue  # who asked has gone
            self._busy = True
            made = asyncio.get_running_loop().run_in_executor(self._thread, work)
            made.add_done_callback(functools.partial(self._made, done))

    def _made(self, done: asyncio.Future[Made], made: asyncio.Future[Made]) -> None:
        self._busy = False
        self._next()
        if made.cancelled():
            done.cancel()
        elif done.done():
            made.exception()  # who asked has gone; it is looked at, so that nobody complains
        elif (error := made.exception()) is not None:
            done.set_exception(error)
        else:
            done.set_result(made.result())
