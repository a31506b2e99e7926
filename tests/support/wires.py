"""Proxies that can be parted, for tests that do not run in an event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from tests.support.breaking_proxy import BreakingProxy

T = TypeVar("T")


class Wires:
    """Connections over `BreakingProxy`, all in one thread. Use it as a context."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="wires")
        self._proxies: list[BreakingProxy] = []

    def __enter__(self) -> Wires:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        for proxy in self._proxies:
            self._run(proxy.__aexit__())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def lay(self, *ports: int) -> Wire:
        """A new way to these ports; each connection takes the next one that answers."""
        proxy = self._run(BreakingProxy(*ports).__aenter__())
        self._proxies.append(proxy)
        return Wire(proxy, self._loop)

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)


class Wire:
    """One way; ``target`` is where it begins."""

    def __init__(self, proxy: BreakingProxy, loop: asyncio.AbstractEventLoop) -> None:
        self._proxy = proxy
        self._loop = loop
        self.target = f"127.0.0.1:{proxy.port}"

    def part(self) -> None:
        """Nothing passes until `heal`."""
        self._loop.call_soon_threadsafe(self._proxy.part)

    def heal(self) -> None:
        self._loop.call_soon_threadsafe(self._proxy.heal)
