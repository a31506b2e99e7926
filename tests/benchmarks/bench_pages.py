"""Speed of the pages: a gateway in one process, readers in a second one.

    python -m tests.benchmarks.bench_pages [--models 1000] [--seconds 2] [--streams 500]

Prints what the standings of all boards take in memory, the first render of boards and what a health
probe waits meanwhile, the board page at 1, 8 and 64 connections in each form against a static file
of its size by the same server, and how long a publication takes to be in 500 open pages: until each
is told, and until each has the new table. Bars: board page p99 below 50 ms, open pages below 1 s.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import multiprocessing
import statistics
import tempfile
import time
from datetime import UTC, datetime
from ipaddress import ip_network
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import grpc
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from general_level.v1 import ranking_pb2_grpc
from services.gateway import identity
from services.gateway.app import Gateway
from tests.support.gateway import open_database, settings_for
from tests.support.http_load import Reader, hear, load
from tests.support.standings_made import boards_of, publish_all, requests_of

BOARD = "/boards/A-full"
PAGE_BAR_MS = 50.0
OPEN_PAGES_BAR_S = 1.0
CONNECTIONS = (1, 8, 64)
GZIP = "accept-encoding: gzip\r\n"
#: Boards that nobody looked at before, rendered one after the other.
FIRST_BOARDS = ("A-quick", "B-image", "B-video", "B-audio", "B-3d", "C-text-comprehension")


class _Measured(Gateway):
    """A gateway that serves a folder of static files beside its pages, by the same server."""

    files: Path

    def _site(self) -> ASGIApp:
        pages, files = super()._site(), StaticFiles(directory=self.files)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http" and scope["path"].startswith("/measured/"):
                inner = {**scope, "path": scope["path"].removeprefix("/measured")}
                await files(inner, receive, send)
            else:
                await pages(scope, receive, send)

        return app


async def _serve(folder: Path, pipe: Connection) -> None:
    networks = (ip_network("127.0.0.0/8"),)
    settings = settings_for(folder, web_address="127.0.0.1:0", web_trusted_proxies=networks)
    gateway = _Measured(settings)
    gateway.files = folder / "files"
    ports = await gateway.start()
    pipe.send((ports.web, ports.internal))
    await asyncio.to_thread(pipe.recv)
    await gateway.stop()


def _serving(folder: Path, pipe: Connection) -> None:
    asyncio.run(_serve(folder, pipe))


def _reading(pipe: Connection) -> None:
    while (work := pipe.recv()) is not None:
        pipe.send(asyncio.run(work[0](*work[1:])))


async def _streams(
    port: int, streams: int, events: str, table: str, after: int, ready: Any
) -> list[tuple[float, float]]:
    listen = asyncio.Semaphore(0)
    heard = [
        asyncio.create_task(hear(port, events, table, after, listen.release))
        for _ in range(streams)
    ]
    for _ in range(streams):
        await listen.acquire()
    ready.set()
    return await asyncio.gather(*heard)


async def _probe(port: int, end: Any) -> list[float]:
    reader = await Reader.open(port)
    taken = []
    while not end.is_set():
        begun = time.perf_counter()
        assert await reader.get("/healthz") == 200
        taken.append(time.perf_counter() - begun)
        await asyncio.sleep(0.005)
    return taken


def _quantiles(seconds: list[float]) -> tuple[float, float]:
    ordered = sorted(seconds)
    return statistics.median(ordered) * 1e3, ordered[int(len(ordered) * 0.99)] * 1e3


def _resident_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def _get(port: int, address: str, **headers: str) -> tuple[bytes, dict[str, str], float]:
    begun = time.perf_counter()
    with urlopen(Request(f"http://127.0.0.1:{port}{address}", headers=headers)) as answer:
        return (
            answer.read(),
            {k.lower(): v for k, v in answer.headers.items()},
            time.perf_counter() - begun,
        )


class _Bench:
    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self.folder = folder
        self.options = options
        self.context = multiprocessing.get_context("spawn")
        self.met = True
        (folder / "files").mkdir()
        self.reader, theirs = self.context.Pipe()
        self._reading = self.context.Process(target=_reading, args=(theirs,), daemon=True)
        self._reading.start()

    def run(self) -> None:
        with open_database(self.folder) as database:
            with database.write() as connection:
                now = datetime.now(UTC)
                self.token = identity.create_token(connection, now, "ranker").reveal()
            self._start()
            empty = _resident_mib(self.pid)
            self._stop()
            begun = time.perf_counter()
            publish_all(database, boards_of(self.options.models, 1))
        print(f"standings made in {time.perf_counter() - begun:.1f} s")
        begun = time.perf_counter()
        self._start()
        print(f"{'gateway starts with them in':44} {time.perf_counter() - begun:8.1f} s")
        full = _resident_mib(self.pid)
        print(f"{'memory without standings':44} {empty:8.0f} MiB")
        print(f"{f'with {self.options.models} models on all boards':44} {full:8.0f} MiB")
        self._first_renders()
        self._pages()
        self._publication()
        print(f"{'memory at the end, pages kept':44} {_resident_mib(self.pid):8.0f} MiB")
        self._stop()
        self.reader.send(None)
        print(
            f"bars of {PAGE_BAR_MS:.0f} ms and {OPEN_PAGES_BAR_S:.0f} s: "
            f"{'met' if self.met else 'MISSED'}"
        )

    def _start(self) -> None:
        self.gateway, theirs = self.context.Pipe()
        process = self.context.Process(target=_serving, args=(self.folder, theirs), daemon=True)
        process.start()
        self.port, self.internal = self.gateway.recv()
        self.process = process
        assert process.pid
        self.pid = process.pid

    def _stop(self) -> None:
        self.gateway.send(None)
        self.process.join(60)

    def _first_renders(self) -> None:
        seconds = [_get(self.port, f"/boards/{board}?q=e")[2] for board in FIRST_BOARDS]
        print(f"{'first render of a board, worst':44} {max(seconds) * 1e3:8.0f} ms")
        end = self.context.Manager().Event()
        self.reader.send((_probe, self.port, end))
        for board in FIRST_BOARDS:
            _get(self.port, f"/boards/{board}?q=l")
        end.set()
        p50, p99 = _quantiles(self.reader.recv())
        print(
            f"{'health probe while boards are rendered':44} p50 {p50:6.2f} ms   p99 {p99:6.2f} ms"
        )

    def _pages(self) -> None:
        plain, _, _ = _get(self.port, BOARD)
        packed, headers, _ = _get(self.port, BOARD, **{"accept-encoding": "gzip"})
        assert gzip.decompress(packed) == plain
        (self.folder / "files" / "plain.html").write_bytes(plain)
        (self.folder / "files" / "packed.gz").write_bytes(packed)
        unchanged = f"if-none-match: {headers['etag']}\r\n"
        print(
            f"board page of {self.options.models} models, {len(plain) / 1024:.0f} KiB, "
            f"gzip {len(packed) / 1024:.0f} KiB"
        )
        for name, address, sent, status, bar in (
            ("page, gzip", BOARD, GZIP, 200, True),
            ("static file of that size", "/measured/packed.gz", "", 200, False),
            ("page, plain", BOARD, "", 200, True),
            ("static file of that size", "/measured/plain.html", "", 200, False),
            ("page, not modified", BOARD, GZIP + unchanged, 304, True),
        ):
            for connections in CONNECTIONS:
                self.reader.send(
                    (load, self.port, address, sent, connections, self.options.seconds, status)
                )
                taken = self.reader.recv()
                p50, p99 = _quantiles(taken)
                rate = len(taken) / self.options.seconds
                print(
                    f"  {name:26} {connections:3} connections {rate:8.0f} /s"
                    f"   p50 {p50:7.2f} ms   p99 {p99:7.2f} ms",
                    flush=True,
                )
                self.met &= not bar or p99 < PAGE_BAR_MS

    def _publication(self) -> None:
        known = int(_latest(self.port))
        ready = self.context.Manager().Event()
        self.reader.send(
            (
                _streams,
                self.port,
                self.options.streams,
                f"{BOARD}/events",
                f"{BOARD}?part=table",
                known,
                ready,
            )
        )
        requests = list(requests_of(boards_of(self.options.models, 2, board_ids=["A-full"])))
        assert ready.wait(60)
        with grpc.insecure_channel(f"127.0.0.1:{self.internal}") as channel:
            stub = ranking_pb2_grpc.RankingServiceStub(channel)
            begun = time.monotonic()
            for request in requests:
                stub.PublishStandings(
                    request, metadata=(("authorization", f"Bearer {self.token}"),), timeout=60
                )
            published = time.monotonic()
        heard = self.reader.recv()
        print(
            f"{f'publication to {len(heard)} open pages: the call':44} {published - begun:8.2f} s"
        )
        for name, instants in (
            ("told, first and last", [one for one, _ in heard]),
            ("new table there, first and last", shown := [one for _, one in heard]),
        ):
            first, last = min(instants) - published, max(instants) - published
            print(f"{f'  after it {name}':44} {first:8.2f} s {last:8.2f} s")
        self.met &= max(shown) - published < OPEN_PAGES_BAR_S


def _latest(port: int) -> str:
    """The newest publication, as a stream of events tells it to one that knows of none."""
    request = Request(f"http://127.0.0.1:{port}{BOARD}/events", headers={"last-event-id": "0"})
    with urlopen(request) as answer:
        for line in answer:
            if line.startswith(b"data: "):
                return line[6:].decode()
    raise AssertionError("the stream ended")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--streams", type=int, default=500)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        _Bench(Path(name), options).run()


if __name__ == "__main__":
    main()
