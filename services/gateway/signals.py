"""Wakes whoever waits for a change in this process: pollers, watchers, the checker.

A signal carries nothing and is never the truth: the waiter reads the database again. Waits are
bounded, so a change made by another replica is seen at the next poll.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict


class Signals:
    """Topics such as ``jobs/image``, ``submission/<id>``, ``ledger`` and ``standings``."""

    def __init__(self) -> None:
        self._waiters: defaultdict[str, set[asyncio.Future[None]]] = defaultdict(set)

    def notify(self, topic: str) -> None:
        """Wakes all that wait for the topic now. Call it on the event loop, after the commit."""
        for waiter in self._waiters.pop(topic, set()):
            if not waiter.done():
                waiter.set_result(None)

    def subscribe(self, *topics: str) -> asyncio.Future[None]:
        """A future that the next notification completes. Subscribe first, then read, then wait:
        a change between the read and the wait is not missed."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        for topic in topics:
            self._waiters[topic].add(waiter)
        waiter.add_done_callback(lambda _done: self._forget(waiter, topics))
        return waiter

    async def wait(self, waiter: asyncio.Future[None], timeout_seconds: float) -> bool:
        """Whether the future completed within the time. It is spent either way."""
        try:
            await asyncio.wait_for(waiter, timeout_seconds)
        except TimeoutError:
            return False
        return True

    def _forget(self, waiter: asyncio.Future[None], topics: tuple[str, ...]) -> None:
        for topic in topics:
            waiters = self._waiters.get(topic)
            if waiters is not None:
                waiters.discard(waiter)
                if not waiters:
                    del self._waiters[topic]
