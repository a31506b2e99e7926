"""uvicorn in the gateway's own event loop: it starts, drains and stops with the gateway."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from services.kit.settings import SettingInvalid

#: Connections at once; the next ones are answered 503.
CONNECTIONS_MAX: Final = 2_000
#: Bytes of a request's line and headers.
HEAD_BYTES_MAX: Final = 32 * 1024
#: How long an idle connection is kept.
IDLE_SECONDS: Final = 15
#: Connections that wait to be accepted.
_BACKLOG: Final = 512


class _Server(uvicorn.Server):
    """Without signal handlers of its own: the gateway has some."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves the process's handlers alone."""
        yield


class WebServer:
    """Pages at ``host:port``, or none where no address is set. ``port`` is known at once."""

    def __init__(self, app: ASGIApp, address: str | None, grace_seconds: float) -> None:
        self.port: int | None = None
        self._server: _Server | None = None
        if address is None:
            return
        self._socket = _listen(address)
        self.port = self._socket.getsockname()[1]
        self._server = _Server(
            uvicorn.Config(
                app,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                limit_concurrency=CONNECTIONS_MAX,
                h11_max_incomplete_event_size=HEAD_BYTES_MAX,
                timeout_keep_alive=IDLE_SECONDS,
                # What does not end within the grace is cancelled.
                timeout_graceful_shutdown=max(1, round(grace_seconds)),
                http="h11",
                ws="none",
            )
        )

    def start(self) -> None:
        """Begins to serve; connections that came since ``__init__`` are accepted now."""
        if self._server is not None:
            self._serving = asyncio.create_task(self._server.serve(sockets=[self._socket]))

    async def stop(self) -> None:
        """Takes no new requests, lets running ones end, and returns when all have."""
        if self._server is not None:
            self._server.should_exit = True
            await self._serving


def _listen(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    try:
        return socket.create_server((host.strip("[]"), int(port)), backlog=_BACKLOG)
    except (OSError, ValueError, OverflowError) as error:
        raise SettingInvalid(
            f"Pages cannot be served at {address}; is the port in use?",
            variable="GATEWAY_WEB_ADDRESS",
            problem="cannot listen",
        ) from error
