"""Answers that a browser keeps as long as they are true: ETag and 304, by what they are made of.

A page is rendered once for each version of what it shows, however many ask at the same time, and
its newest version is kept. What stands at a plain address, which everyone reads, is kept apart from
what a query asks for: nobody drives the boards out of memory by searching them for nonsense.
"""

from __future__ import annotations

import asyncio
import gzip
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from general_level.catalogue import Modality
from services.gateway.web.renders import Renders, Urgency

#: Rendered bytes that are kept in memory, plain and packed, of all plain addresses together.
KEPT_BYTES_MAX: Final = 64 * 1024 * 1024
#: The same of addresses with a query that one reader made up.
SEARCHED_BYTES_MAX: Final = 16 * 1024 * 1024
#: Queries that belong to a page as everyone sees it.
_PLAIN: Final = frozenset({"", "part=table", *(f"modality={name}" for name in Modality)})
#: Where a request tells in its state that nobody waits for the answer.
AHEAD: Final = "made_ahead"


@dataclass(frozen=True, slots=True)
class _Page:
    """One page in one version."""

    version: str
    plain: bytes
    packed: bytes

    @property
    def size_bytes(self) -> int:
        return len(self.plain) + len(self.packed)


class _Shelf:
    """The pages that were asked for last, up to a size in bytes."""

    def __init__(self, bytes_max: int) -> None:
        self._most = bytes_max
        self._bytes = 0
        self._pages: OrderedDict[str, _Page] = OrderedDict()

    def find(self, address: str, version: str) -> _Page | None:
        page = self._pages.get(address)
        if page is None or page.version != version:
            return None
        self._pages.move_to_end(address)
        return page

    def keep(self, address: str, page: _Page) -> None:
        before = self._pages.pop(address, None)
        self._bytes += page.size_bytes - (before.size_bytes if before else 0)
        self._pages[address] = page
        while self._bytes > self._most:
            _, oldest = self._pages.popitem(last=False)
            self._bytes -= oldest.size_bytes

    def newest(self, count: int) -> list[str]:
        """The addresses that were asked for last, the last one first."""
        return list(reversed(self._pages))[:count]

    @property
    def size_bytes(self) -> int:
        return self._bytes


class Answers:
    """Renders each page once for each version of what it shows.

    ``admit`` is asked about a reader before a page is made, and told whether for it alone; it
    raises where there were too many. ``turned_away`` is told of each for whom the line of pages is
    too long.
    """

    def __init__(
        self,
        *,
        admit: Callable[[Request, bool], None] = lambda _request, _alone: None,
        turned_away: Callable[[], None] = lambda: None,
        kept_bytes_max: int = KEPT_BYTES_MAX,
        searched_bytes_max: int = SEARCHED_BYTES_MAX,
    ) -> None:
        self._admit = admit
        self._pages = _Shelf(kept_bytes_max)
        self._searched = _Shelf(searched_bytes_max)
        self._renders: Renders[_Page] = Renders(refused=turned_away)
        self._under_way: dict[str, asyncio.Task[_Page]] = {}

    async def answer(
        self,
        request: Request,
        version: str,
        render: Callable[[], str | bytes],
        media_type: str = "text/html; charset=utf-8",
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """304 where the reader has this version, else the page, rendered now or before.

        ``version`` names what the page is made of; the address and the version tell its bytes.
        """
        query = request.scope["query_string"].decode("latin-1")
        address = f"{request.scope['path']}?{query}"
        name = f"{address}\n{version}"
        etag = f'W/"{sha256(name.encode()).hexdigest()[:32]}"'
        sent = {**(headers or {}), "etag": etag, "cache-control": "no-cache"}
        sent["vary"] = "accept-encoding"
        if _knows(request, etag):
            return Response(status_code=304, headers=sent)
        page = await self._page(request, address, version, render)
        body = page.plain
        if "gzip" in request.headers.get("accept-encoding", ""):
            sent["content-encoding"] = "gzip"
            body = page.packed
        return Response(body, media_type=media_type, headers=sent)

    def read_last(self, count: int) -> list[str]:
        """Plain addresses that were asked for last, and whose pages may be made ahead."""
        return [address.removesuffix("?") for address in self._pages.newest(count)]

    @property
    def kept_bytes(self) -> int:
        """Bytes of pages in memory."""
        return self._pages.size_bytes + self._searched.size_bytes

    async def _page(
        self, request: Request, address: str, version: str, render: Callable[[], str | bytes]
    ) -> _Page:
        plain = address.partition("?")[2] in _PLAIN
        shelf = self._pages if plain else self._searched
        page = shelf.find(address, version)
        if page is not None:
            return page
        key = f"{address}\n{version}"
        task = self._under_way.get(key)
        if task is None:
            urgency = Urgency.PAGE if plain else Urgency.SEARCH
            if request.scope.get("state", {}).get(AHEAD):
                urgency = Urgency.AHEAD
            else:
                self._admit(request, not plain)
            task = asyncio.create_task(self._make(shelf, address, version, render, urgency))
            self._under_way[key] = task
            task.add_done_callback(lambda task: self._ended(key, task))
        # Who leaves does not take the page from those who wait for the same.
        return await asyncio.shield(task)

    def _ended(self, key: str, task: asyncio.Task[_Page]) -> None:
        del self._under_way[key]
        if not task.cancelled():
            task.exception()  # looked at, for where everyone who asked has gone

    async def _make(
        self,
        shelf: _Shelf,
        address: str,
        version: str,
        render: Callable[[], str | bytes],
        urgency: Urgency,
    ) -> _Page:
        page = await self._renders.run(lambda: _made(version, render), urgency)
        shelf.keep(address, page)
        return page


def _knows(request: Request, etag: str) -> bool:
    known = request.headers.get("if-none-match", "")
    return etag in [part.strip() for part in known.split(",")]


def _made(version: str, render: Callable[[], str | bytes]) -> _Page:
    rendered = render()
    plain = rendered.encode() if isinstance(rendered, str) else rendered
    return _Page(version, plain, gzip.compress(plain, compresslevel=5, mtime=0))
