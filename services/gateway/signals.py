"""Wakes whoever waits for a change: pollers, watchers, the checker.

A signal carries nothing and is never the truth: the waiter reads the database again. What is
notified here wakes the waiters of this process and is forwarded to the other gateways, where there
are some (`storage.replicas`). Waits are bounded, so that a lost signal costs only time.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable


class Signals:
    """Topics such as ``jobs/image``, ``submission/<id>``, ``ledger`` and ``standings``."""

    def __init__(self) -> None:
        self._waiters: defaultdict[str, set[asyncio.Future[None]]] = defaultdict(set)
        self._topics: dict[asyncio.Future[None], tuple[str, ...]] = {}
        self._forward: Callable[[str], None] | None = None

    def forward_to(self, forward: Callable[[str], None] | None) -> None:
        """Gives every topic that is notified here to ``forward`` as well."""
        self._forward = forward

    def notify(self, topic: str) -> None:
        """Wakes all that wait for the topic now, in every gateway.

        Call it on the event loop, after the commit.
        """
        self.wake(topic)
        if self._forward is not None:
            self._forward(topic)

    def wake_all(self) -> None:
        """Wakes all that wait for anything in this process."""
        for topic in list(self._waiters):
            self.wake(topic)

    def wake(self, topic: str) -> None:
        """Wakes all that wait for the topic in this process."""
        for waiter in list(self._waiters.get(topic, ())):
            self._forget(waiter)
            if not waiter.done():
                waiter.set_result(None)

    def subscribe(self, *topics: str) -> asyncio.Future[None]:
        """A future that the next notification of any of the topics completes.

        Subscribe first, then read, then wait: a change between the read and the wait is not missed.
        Cancel the future if it is not waited for.
        """
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._topics[waiter] = topics
        for topic in topics:
            self._waiters[topic].add(waiter)
        waiter.add_done_callback(self._forget)
        return waiter

    async def wait(self, waiter: asyncio.Future[None], timeout_seconds: float) -> bool:
        """Whether the future completed within the time. It is spent either way."""
        # Not `wait_for`: on Python 3.11 it can swallow a cancellation (python/cpython#86296).
        try:
            async with asyncio.timeout(timeout_seconds):
                await waiter
        except TimeoutError:
            return False
        return True

    def waiting(self, topic: str) -> int:
        """How many wait for the topic."""
        return len(self._waiters.get(topic, ()))

    def _forget(self, waiter: asyncio.Future[None]) -> None:
        for topic in self._topics.pop(waiter, ()):
            waiters = self._waiters[topic]
            waiters.discard(waiter)
            if not waiters:
                del self._waiters[topic]
