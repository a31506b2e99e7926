"""Health on a port of its own, in plain text and nothing else: for probes that speak no TLS.

``""`` and ``live`` are SERVING as long as the event loop answers at all; ``ready`` and whatever
else a service names are SERVING while it does its work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from services.kit.logging import get_logger

LIVE: Final = ("", "live")
READY: Final = "ready"


class HealthServer:
    """Health of a service, or nothing where its operator set no address (``host:port``) for it.

    ``port`` is known after ``start``; None without an address. Not ready until told so.
    """

    def __init__(self, address: str | None, names: Sequence[str] = ()) -> None:
        self.port: int | None = None
        self._address = address
        self._names = (READY, *names)
        self._is_ready = False
        self._changed = asyncio.Event()
        self._servicer = health.aio.HealthServicer()
        self._grpc: grpc.aio.Server | None = None
        self._telling: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listens, if there is an address; port 0 picks a free one."""
        if self._address is None:
            return
        for name in LIVE:
            await self._servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
        await self._tell()
        self._grpc = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, self._grpc)
        self.port = self._grpc.add_insecure_port(self._address)
        await self._grpc.start()
        self._telling = asyncio.create_task(self._tell_for_ever())
        get_logger().info("health", port=self.port)

    def set_ready(self, is_ready: bool) -> None:
        """What is told from the event loop's next turn on; to be called in that loop."""
        self._is_ready = is_ready
        self._changed.set()

    async def stop(self) -> None:
        """Stops serving; does nothing if it did not start."""
        telling, self._telling = self._telling, None
        if telling is not None:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
        server, self._grpc = self._grpc, None
        if server is not None:
            await server.stop(0)

    async def _tell_for_ever(self) -> None:
        while True:
            await self._changed.wait()
            await self._tell()

    async def _tell(self) -> None:
        self._changed.clear()
        states = health_pb2.HealthCheckResponse
        state = states.SERVING if self._is_ready else states.NOT_SERVING
        for name in self._names:
            await self._servicer.set(name, state)
