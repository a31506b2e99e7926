"""A light HTTP/1.1 reader for measurements: llhttp's parser over an asyncio connection."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable

import httptools

#: Readers' addresses, as a trusted proxy in front of the pages would name them (RFC 2544's range).
_addresses = itertools.cycle(f"198.18.{high}.{low}" for high in range(200) for low in range(250))


class Reader(asyncio.Protocol):
    """One connection; one request at a time."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._answered: asyncio.Future[None] | None = None
        self.headers: dict[bytes, bytes] = {}
        self.body_bytes = 0

    @classmethod
    async def open(cls, port: int) -> Reader:
        _, reader = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return reader

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(exc or ConnectionResetError("the server closed"))

    def on_message_begin(self) -> None:
        self.headers = {}
        self.body_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        self.body_bytes += len(body)

    def on_message_complete(self) -> None:
        self._status = self._parser.get_status_code()
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(None)

    async def get(self, address: str, headers: str = "") -> int:
        """The status; ``headers`` are lines with their ends."""
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(
            f"GET {address} HTTP/1.1\r\nhost: bench\r\naccept: text/html\r\n"
            f"x-forwarded-for: {next(_addresses)}\r\n{headers}\r\n".encode()
        )
        await self._answered
        return self._status

    def close(self) -> None:
        self._transport.close()


async def load(
    port: int, address: str, headers: str, connections: int, seconds: float, status: int
) -> list[float]:
    """Seconds of each answer over so many connections for some time; all must have the status."""
    readers = [await Reader.open(port) for _ in range(connections)]
    end = time.perf_counter() + seconds

    async def one(reader: Reader) -> list[float]:
        taken = []
        while (begun := time.perf_counter()) < end:
            got = await reader.get(address, headers)
            taken.append(time.perf_counter() - begun)
            assert got == status, f"{address} answered {got}"
        reader.close()
        return taken

    return [taken for each in await asyncio.gather(*map(one, readers)) for taken in each]


async def hear(
    port: int, events: str, table: str, after: int, listening: Callable[[], None]
) -> tuple[float, float]:
    """Opens a stream of events; when it told of news after ``after``, and when the table was there.

    ``listening`` is called once the server has begun to answer. Instants of the machine's
    monotonic clock.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"GET {events} HTTP/1.1\r\nhost: bench\r\n"
        f"x-forwarded-for: {next(_addresses)}\r\n\r\n".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    assert b" 200 " in head.partition(b"\r\n")[0], head
    await reader.readline()
    listening()
    while True:
        line = await reader.readline()
        assert line, "the stream ended"
        if line.startswith(b"data: ") and int(line[6:]) > after:
            break
    told = time.monotonic()
    page = await Reader.open(port)
    status = await page.get(table, "accept-encoding: gzip\r\n")
    assert status == 200, f"{table} answered {status}"
    shown = time.monotonic()
    page.close()
    writer.close()
    return told, shown
