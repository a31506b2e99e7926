"""uvicorn in the gateway's own event loop: it starts, drains and stops with the gateway."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Network, IPv6Network
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from services.gateway.web.connections import Patience, Peers, ReaderProtocol
from services.gateway.web.telemetry import CONNECTIONS, WebTelemetry
from services.kit.settings import SettingInvalid

#: Connections at once; the next ones are answered 503.
CONNECTIONS_MAX: Final = 2_000
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

    def __init__(
        self,
        app: ASGIApp,
        address: str | None,
        grace_seconds: float,
        trusted: Sequence[IPv4Network | IPv6Network],
        told: WebTelemetry,
        patience: Patience | None = None,
    ) -> None:
        self.port: int | None = None
        self._server: _Server | None = None
        if address is None:
            return
        self._socket = _listen(address)
        self.port = self._socket.getsockname()[1]

        class _Protocol(ReaderProtocol):
            peers = Peers(trusted, lambda: told.refused(CONNECTIONS))

        _Protocol.patience = patience or Patience()

        self._server = _Server(
            uvicorn.Config(
                app,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                limit_concurrency=CONNECTIONS_MAX,
                timeout_keep_alive=IDLE_SECONDS,
                # What does not end within the grace is cancelled.
                timeout_graceful_shutdown=max(1, round(grace_seconds)),
                http=_Protocol,
                ws="none",
                # `Edge` does it, for the networks of the setting and no others.
                proxy_headers=False,
                # What a peer sends is no warning of ours; telemetry counts what is refused.
                log_level="error",
            )
        )

    @property
    def connections(self) -> int:
        """Connections that are open now."""
        return len(self._server.server_state.connections) if self._server is not None else 0

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
        name = host.strip("[]")
        family = socket.AF_INET6 if ":" in name else socket.AF_INET
        made = socket.create_server((name, int(port)), family=family, backlog=_BACKLOG)
        # asyncio sets it on sockets that say that they are TCP, which an accepted one does not: the
        # last packet of an answer would wait 40 ms for the reader's acknowledgement of the others.
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made
    except (OSError, ValueError, OverflowError) as error:
        raise SettingInvalid(
            f"Pages cannot be served at {address}; is the port in use?",
            variable="GATEWAY_WEB_ADDRESS",
            problem="cannot listen",
        ) from error
