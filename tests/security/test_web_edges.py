"""What a reader may send that no browser would, over raw sockets to a real gateway."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from services.gateway.app import Gateway
from services.gateway.web.connections import CONNECTIONS_AT_ONCE, HEAD_BYTES_MAX, Patience
from services.gateway.web.edge import BODY_BYTES_MAX, QUERY_CHARACTERS_MAX
from services.gateway.web.rate_limits import REQUESTS_AT_ONCE, SEARCHES_AT_ONCE, STREAMS_AT_ONCE
from services.gateway.web.security import HEADERS
from services.gateway.web.server import WebServer
from services.gateway.web.telemetry import WebTelemetry
from services.kit.telemetry import Registry
from tests.support.gateway import eventually, settings_for
from tests.support.site import entry, publish, site

#: Nothing of these is in any answer: where code lies, how it failed, what it is made of.
INTERNAL = re.compile(
    rb"Traceback|File \"|/services/|site-packages|\.py\b|sqlite|starlette|uvicorn"
)
#: For answers on a busy machine.
PATIENCE_SECONDS = 60
#: Quick enough for a test; what is waited for is that they take effect.
SHORT = Patience(head_seconds=0.2, look_seconds=0.05, idle_looks=4)


@dataclass(frozen=True, slots=True)
class Answer:
    """All that came back until the server closed."""

    data: bytes

    @property
    def statuses(self) -> list[int]:
        return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d{3}) ", self.data)]


async def raw(port: int, *chunks: bytes, half_close: bool = False) -> Answer:
    """Sends the chunks and reads to the end; a reset counts as an end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    data = b""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            for chunk in chunks:
                writer.write(chunk)
                await writer.drain()
            if half_close:
                writer.write_eof()
            while more := await reader.read(65_536):
                data += more
    except ConnectionError:
        pass
    finally:
        writer.close()
    return Answer(data)


def get(address: str, *lines: str, method: str = "GET", version: str = "1.1") -> bytes:
    """A request after which the server closes."""
    head = [f"{method} {address} HTTP/{version}", "host: board", "connection: close", *lines]
    return "\r\n".join([*head, "", ""]).encode("latin-1")


@asynccontextmanager
async def web(folder: Path) -> AsyncIterator[int]:
    async with site(folder) as (gateway, client):
        await publish(gateway, [entry("Model")])
        assert client.base_url.port
        yield client.base_url.port


ABSURD = (
    "/boards/%00",
    "/static/%00",
    "/static/%00.css",
    "/static/../site.py",
    "/static/..%2f..%2fapp.py",
    "/static/%2e%2e/%2e%2e/app.py",
    "/static//etc/passwd",
    "/static/" + "a" * 5_000,
    "/models/" + "x" * 10_000,
    "/models/%ff%fe",
    "/boards/A-full%0d%0aset-cookie:%20a=b",
    "/boards/A-full;a=b",
    "/tasks/..",
    "//evil.example/",
    "/%5cevil.example/",
    "///",
    "/boards/",
    "/boards/A-full?sort=%00&order=%ff&level=99&q=%F0%9F",
    "/boards/A-full?q=" + "a" * (QUERY_CHARACTERS_MAX + 1),
    "/boards/A-full?" + "q=a&" * 200,
    "http://other.example/boards",
    "*",
)


async def test_no_address_makes_an_answer_that_tells_of_the_inside(tmp_path: Path) -> None:
    async with web(tmp_path) as port:
        for address in ABSURD:
            for accept in ("text/html", "application/json"):
                answer = await raw(port, get(address, f"accept: {accept}"))
                assert len(answer.statuses) == 1, address
                assert answer.statuses[0] < 500, address
                assert not INTERNAL.search(answer.data), address
                head = answer.data.split(b"\r\n\r\n")[0].lower()
                assert b"\r\nset-cookie:" not in head, address
                # Nobody is sent to another site.
                for place in re.findall(rb"\r\nlocation: (\S*)", head):
                    assert re.match(rb"/(?![/\\])", place), address


async def test_methods_that_a_page_has_not_are_refused_with_those_that_it_has(
    tmp_path: Path,
) -> None:
    async with web(tmp_path) as port:
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"):
            answer = await raw(port, get("/boards/A-full", method=method))
            assert answer.statuses == [405], method
            assert b"\r\nallow: " in answer.data
        answer = await raw(port, get("/boards/A-full", method="HEAD"))
        head, _, body = answer.data.partition(b"\r\n\r\n")
        assert answer.statuses == [200]
        assert b"\r\ncontent-length: " in head
        assert body == b""
        assert (await raw(port, b"\x16\x03\x01\x02\x00\x01\x00")).statuses == [400]


async def test_old_versions_and_ranges_are_answered(tmp_path: Path) -> None:
    async with web(tmp_path) as port:
        old = await raw(port, get("/boards", version="1.0"))
        assert old.statuses == [200]
        assert b"transfer-encoding" not in old.data.split(b"\r\n\r\n")[0].lower()
        part = await raw(port, get("/static/site.css", "range: bytes=0-9"))
        assert part.statuses == [206]
        assert len(part.data.partition(b"\r\n\r\n")[2]) == 10
        for absurd in ("bytes=9-1", "bytes=-", "bytes=99999999-", "bytes=" + "0-1," * 2_000):
            answer = await raw(port, get("/static/site.css", f"range: {absurd}"))
            assert answer.statuses[0] in {200, 206, 400, 416}, absurd
            assert not INTERNAL.search(answer.data)


async def test_two_readings_of_where_a_request_ends_are_refused(tmp_path: Path) -> None:
    """Else a proxy in front and this server may disagree about whose request is whose."""
    hidden = "GET /hidden HTTP/1.1\r\nhost: board\r\n\r\n"
    async with web(tmp_path) as port:
        for lines in (
            ["content-length: 4", "transfer-encoding: chunked"],
            ["transfer-encoding: chunked", "content-length: 4"],
            ["content-length: 4", "content-length: 5"],
            ["content-length: +4"],
            ["content-length: 4, 5"],
            ["transfer-encoding: chunked, identity"],
            ["transfer-encoding: xchunked"],
            ["content-length : 4"],
            ["x: a\nb"],
            [" folded: x"],
        ):
            head = "\r\n".join(["POST /boards HTTP/1.1", "host: board", *lines, "", ""])
            answer = await raw(port, f"{head}0\r\n\r\n{hidden}".encode(), half_close=True)
            assert answer.statuses[:1] == [400], lines
            assert len(answer.statuses) == 1, lines


async def test_a_head_has_a_size(tmp_path: Path) -> None:
    long = "x: " + "a" * HEAD_BYTES_MAX
    many = [f"x-{number}: {'a' * 20}" for number in range(2_000)]
    async with web(tmp_path) as port:
        assert (await raw(port, get("/", long))).statuses == [431]
        assert (await raw(port, get("/", *many))).statuses == [431]
        endless = (b"GET / HTTP/1.1\r\nx: ", *[b"a" * 8_192] * 8)
        assert (await raw(port, *endless)).statuses in ([431], [])
        assert (await raw(port, get("/", "x: " + "a" * 8_000))).statuses == [200]


async def test_a_body_has_a_size(tmp_path: Path) -> None:
    async with web(tmp_path) as port:
        answer = await raw(
            port, get("/boards", f"content-length: {BODY_BYTES_MAX + 1}", method="POST")
        )
        assert answer.statuses == [413]
        for absurd in ("9" * 18, "9" * 40):
            answer = await raw(port, get("/", f"content-length: {absurd}"))
            assert answer.statuses[0] in {400, 413}


async def test_an_address_has_so_many_requests_searches_and_streams(tmp_path: Path) -> None:
    async with web(tmp_path) as port:
        searches = [
            await raw(port, get(f"/boards/A-full?q={number}", "accept: application/json"))
            for number in range(SEARCHES_AT_ONCE + 60)
        ]
        refused = [answer for answer in searches if answer.statuses == [429]]
        assert refused
        assert b"TOO_MANY_REQUESTS" in refused[0].data
        assert re.search(rb"\r\nretry-after: \d+\r\n", refused[0].data)
        # What everyone reads is there for this address, too.
        assert (await raw(port, get("/boards/A-full"))).statuses == [200]

        opened = []
        while True:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            opened.append(writer)
            writer.write(b"GET /boards/A-full/events HTTP/1.1\r\nhost: board\r\n\r\n")
            async with asyncio.timeout(PATIENCE_SECONDS):
                if b" 429 " in await reader.readline():
                    break
        assert len(opened) == STREAMS_AT_ONCE + 1
        for writer in opened:
            writer.close()

        burst = b"".join([get("/nowhere").replace(b"close", b"keep-alive")] * 2_000)
        answer = await raw(port, burst, get("/nowhere"))
        assert answer.statuses[0] == 404
        assert 429 in answer.statuses
        assert answer.statuses.index(429) <= REQUESTS_AT_ONCE * 2


@pytest.mark.parametrize("trusted", [(), ("127.0.0.0/8", "10.0.0.0/8")])
async def test_only_a_trusted_proxy_says_whose_request_it_is(
    tmp_path: Path, trusted: tuple[str, ...]
) -> None:
    networks = tuple(ip_network(network) for network in trusted)
    gateway = Gateway(
        settings_for(tmp_path, web_address="127.0.0.1:0", web_trusted_proxies=networks)
    )
    port = (await gateway.start()).web
    assert port
    await publish(gateway, [entry("Model")])

    async def searched(forwarded: Callable[[int], str]) -> set[int]:
        statuses: set[int] = set()
        for number in range(SEARCHES_AT_ONCE + 60):
            lines = f"x-forwarded-for: {forwarded(number)}"
            answer = await raw(port, get(f"/boards/A-full?q={forwarded(0)[-3:]}{number}", lines))
            statuses |= set(answer.statuses)
        return statuses

    try:
        # Readers of their own, or one that says something else each time.
        spread = await searched(lambda number: f"203.0.113.{number}")
        assert spread == ({200} if trusted else {200, 429})
        # What the reader itself wrote stands left of what the proxy added.
        spoofed = await searched(lambda number: f"198.51.100.{number}, 203.0.113.250, 10.1.2.3")
        assert 429 in spoofed
    finally:
        await gateway.stop()


@asynccontextmanager
async def server(app: ASGIApp, patience: Patience = SHORT) -> AsyncIterator[WebServer]:
    told = WebTelemetry(Registry())
    made = WebServer(app, "127.0.0.1:0", 0, (), told, patience)
    made.start()
    try:
        yield made
    finally:
        await made.stop()


async def _large(scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive()).get("more_body"):
        pass
    size = 20 * 2**20
    headers = [(b"content-length", str(size).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": bytes(size)})


async def test_a_peer_that_makes_no_progress_is_cut_off() -> None:
    async with server(_large) as made:
        assert made.port
        for begun in (
            b"",
            b"\r\n",
            b"GET / HTTP/1.1\r\nhost:",
            # Its body never comes.
            b"POST / HTTP/1.1\r\nhost: board\r\ncontent-length: 9000\r\n\r\nabc",
        ):
            assert (await raw(made.port, begun)).statuses == []

        # One that asks, and never reads the answer: the server ends it, and forgets it.
        silent = socket.create_connection(("127.0.0.1", made.port))
        silent.sendall(b"GET / HTTP/1.1\r\nhost: board\r\n\r\n")
        await eventually(lambda: made.connections == 1, PATIENCE_SECONDS)
        await eventually(lambda: made.connections == 0, PATIENCE_SECONDS)
        silent.close()

        # A head that comes byte by byte, which keeps the connection busy all the time.
        reader, writer = await asyncio.open_connection("127.0.0.1", made.port)
        head = b"GET / HTTP/1.1\r\nx: "
        ended = asyncio.create_task(reader.read())
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not ended.done():
                writer.write(head[:1])
                head = head[1:] or b"a"
                await asyncio.sleep(0.01)
        writer.close()
        with suppress(ConnectionError):
            assert await ended == b""


async def test_an_address_has_so_many_connections() -> None:
    async with server(_large) as made:
        assert made.port
        held = [
            socket.create_connection(("127.0.0.1", made.port)) for _ in range(CONNECTIONS_AT_ONCE)
        ]
        await eventually(lambda: made.connections == CONNECTIONS_AT_ONCE, PATIENCE_SECONDS)
        assert (await raw(made.port, get("/"))).statuses == []
        for one in held:
            one.close()
        await eventually(lambda: made.connections == 0, PATIENCE_SECONDS)
        assert (await raw(made.port, get("/"))).statuses == [200]


async def test_what_nobody_foresaw_is_said_without_what_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = Gateway(settings_for(tmp_path, web_address="127.0.0.1:0"))
    port = (await gateway.start()).web
    assert port
    try:
        # A sheet that no template can show, as a fault of ours would make it.
        gateway._newest._sheets["A-full"] = object()  # type: ignore[assignment]
        for accept in ("text/html", "application/json"):
            answer = await raw(port, get("/boards/A-full", f"accept: {accept}"))
            assert answer.statuses == [500]
            assert not INTERNAL.search(answer.data)
            head = answer.data.split(b"\r\n\r\n")[0].decode().lower()
            for name, value in HEADERS.items():
                assert f"\r\n{name}: {value.lower()}" in head
    finally:
        await gateway.stop()


async def _impatient(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers without reading what comes."""
    await send({"type": "http.response.start", "status": 429, "headers": []})
    await send({"type": "http.response.body", "body": b"no"})


async def test_a_body_that_is_not_wanted_does_not_cost_the_reader_its_answer() -> None:
    async with server(_impatient, Patience()) as made:
        assert made.port
        size = 8 * 2**20
        head = f"PATCH / HTTP/1.1\r\nhost: board\r\ncontent-length: {size}\r\n\r\n".encode()
        # The whole body, and another request after it on the same connection.
        answer = await raw(made.port, head, *[bytes(2**16)] * (size // 2**16), get("/"))
        assert answer.statuses == [429, 429]
