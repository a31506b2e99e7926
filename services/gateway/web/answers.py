"""Answers that a browser keeps as long as they are true: ETag and 304, by what they are made of."""

from __future__ import annotations

import asyncio
import gzip
from collections import OrderedDict
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

#: Rendered bytes that are kept in memory, of all pages together.
KEPT_BYTES_MAX: Final = 64 * 1024 * 1024


class Answers:
    """Renders each page once for each version of what it shows."""

    def __init__(self, kept_bytes_max: int = KEPT_BYTES_MAX) -> None:
        self._most = kept_bytes_max
        self._bytes = 0
        self._kept: OrderedDict[str, bytes] = OrderedDict()

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
        name = f"{request.url.path}?{request.url.query}\n{version}"
        etag = f'W/"{sha256(name.encode()).hexdigest()[:32]}"'
        sent = {**(headers or {}), "etag": etag, "cache-control": "no-cache"}
        sent["vary"] = "accept-encoding"
        if etag in [part.strip() for part in request.headers.get("if-none-match", "").split(",")]:
            return Response(status_code=304, headers=sent)
        packed = "gzip" in request.headers.get("accept-encoding", "")
        key = f"{etag}{packed}"
        body = self._kept.get(key)
        if body is None:
            # A long board takes a while, in which the gateway has other things to do.
            body = await asyncio.to_thread(_packed if packed else _plain, render)
            self._keep(key, body)
        else:
            self._kept.move_to_end(key)
        if packed:
            sent["content-encoding"] = "gzip"
        return Response(body, media_type=media_type, headers=sent)

    def _keep(self, key: str, body: bytes) -> None:
        self._bytes += len(body) - len(self._kept.get(key, b""))
        self._kept[key] = body
        while self._bytes > self._most:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= len(oldest)


def _plain(render: Callable[[], str | bytes]) -> bytes:
    rendered = render()
    return rendered.encode() if isinstance(rendered, str) else rendered


def _packed(render: Callable[[], str | bytes]) -> bytes:
    return gzip.compress(_plain(render), compresslevel=5, mtime=0)
