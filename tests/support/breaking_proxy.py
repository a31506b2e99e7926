"""A TCP proxy that breaks: it cuts connections after some bytes, or lets nothing through at all."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress

_READ_BYTES = 16 * 1024


class BreakingProxy:
    """Forwards to ports of this machine; the n-th connection is cut after ``budgets[n]`` bytes.

    When the budgets are used up, connections last. Of several ports each connection takes the next
    one that answers, as behind a balancer. After ``part_after`` bytes of all connections together
    it parts, once. Use it as an async context manager.
    """

    def __init__(
        self, *ports: int, budgets: Iterator[int] | None = None, part_after: int | None = None
    ) -> None:
        self._targets = list(ports)
        self._part_after = part_after
        self._onward_bytes = 0
        #: Set once it has parted by itself.
        self.parted = asyncio.Event()
        self._budgets = budgets or iter(())
        self._tasks: set[asyncio.Task[None]] = set()
        self._whole = asyncio.Event()
        self._whole.set()
        self.cuts = 0
        self.port = 0

    def part(self) -> None:
        """From now on no byte passes either way and nobody is told, as in a parted network."""
        self._whole.clear()

    def heal(self) -> None:
        """What was sent meanwhile arrives, as it does when TCP sends it again."""
        self._whole.set()

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
        ends = [writer]
        try:
            await self._whole.wait()
            onward_reader, onward_writer = await self._connect()
            ends.append(onward_writer)
            ways = [
                asyncio.create_task(self._copy(reader, onward_writer, budget, onward=True)),
                asyncio.create_task(self._copy(onward_reader, writer, None)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                if ways[0].done() and ways[0].result():
                    self.cuts += 1
            finally:
                for way in ways:
                    way.cancel()
        except ConnectionError:
            pass
        finally:
            for end in ends:
                # As a cable that is pulled: no goodbye.
                end.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        for _ in self._targets:
            port = self._targets.pop(0)
            self._targets.append(port)
            with suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", port)
        raise ConnectionRefusedError

    async def _copy(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        budget: int | None,
        *,
        onward: bool = False,
    ) -> bool:
        """Copies to the end or until ``budget`` bytes have passed. Whether the budget ended it."""
        left = budget
        with suppress(ConnectionError):
            while left is None or left > 0:
                data = await reader.read(_READ_BYTES if left is None else min(_READ_BYTES, left))
                await self._whole.wait()
                if not data:
                    return False
                writer.write(data)
                await writer.drain()
                if left is not None:
                    left -= len(data)
                if onward:
                    self._count(len(data))
            return True
        return False

    def _count(self, size: int) -> None:
        self._onward_bytes += size
        if self._part_after is not None and self._onward_bytes >= self._part_after:
            self._part_after = None
            self.part()
            self.parted.set()
