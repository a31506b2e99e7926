"""A TCP proxy that cuts each connection after a given number of bytes from the client."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress

_READ_BYTES = 16 * 1024


class BreakingProxy:
    """Forwards to a port of this machine; the n-th connection is cut after ``budgets[n]`` bytes.

    When the budgets are used up, connections last. Use it as an async context manager.
    """

    def __init__(self, port: int, budgets: Iterator[int]) -> None:
        self._target = port
        self._budgets = budgets
        self._tasks: set[asyncio.Task[None]] = set()
        self.cuts = 0
        self.port = 0

    async def __aenter__(self) -> BreakingProxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        budget = next(self._budgets, None)
        onward_reader, onward_writer = await asyncio.open_connection("127.0.0.1", self._target)
        back = asyncio.create_task(_copy(onward_reader, writer, None))
        try:
            if await _copy(reader, onward_writer, budget):
                self.cuts += 1
        finally:
            back.cancel()
            for end in (writer, onward_writer):
                # As a cable that is pulled: no goodbye.
                end.transport.abort()


async def _copy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, budget: int | None
) -> bool:
    """Copies until the end or until ``budget`` bytes have passed. Whether the budget ended it."""
    left = budget
    with suppress(ConnectionError):
        while left is None or left > 0:
            data = await reader.read(_READ_BYTES if left is None else min(_READ_BYTES, left))
            if not data:
                return False
            writer.write(data)
            await writer.drain()
            if left is not None:
                left -= len(data)
        return True
    return False
