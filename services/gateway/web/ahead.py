"""Makes pages ahead after a publication, so that no reader waits for those that many read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final

from starlette.types import ASGIApp, Message

from services.gateway.web.answers import AHEAD
from services.gateway.web.newest import Newest

#: Pages that are made ahead: the first ones, and of the others those that were read last.
AHEAD_MAX: Final = 24
#: What everyone reads first.
FIRST: Final = ("/", "/boards", "/boards/A-full", "/boards/A-full?part=table")
#: Readers whose open pages were just told go first, with what they ask for.
PAUSE_SECONDS: Final = 1.0
#: How long a quiet gateway waits before it looks again whether it ends.
_WAIT_SECONDS: Final = 3_600.0


class MadeAhead:
    """Asks the site itself for its pages; ``read_last`` tells which were read last."""

    def __init__(
        self, site: ASGIApp, newest: Newest, read_last: Callable[[int], Iterable[str]]
    ) -> None:
        self._site = site
        self._newest = newest
        self._read_last = read_last

    async def run(self) -> None:
        """Makes them now and after each publication, until it is cancelled."""
        async for _ in self._newest.publications(_WAIT_SECONDS):
            await asyncio.sleep(PAUSE_SECONDS)
            await self.make()

    async def make(self) -> None:
        """Makes what is not made yet, one page after the other."""
        wanted = dict.fromkeys([*FIRST, *self._read_last(AHEAD_MAX)])
        for address in list(wanted)[:AHEAD_MAX]:
            await self._ask(address)

    async def _ask(self, address: str) -> None:
        path, _, query = address.partition("?")

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(_message: Message) -> None:
            pass

        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode("latin-1"),
            "root_path": "",
            "headers": [(b"host", b"localhost"), (b"accept-encoding", b"gzip")],
            "client": None,
            "server": None,
            "state": {AHEAD: True},
        }
        await self._site(scope, receive, send)
