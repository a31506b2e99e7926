"""A grpc.aio server with what each of ours has: limits, health, reflection, TLS when given."""

from __future__ import annotations

from collections.abc import Sequence

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from services.kit.grpc_errors import ErrorInterceptor
from services.kit.tls import TlsFiles, server_credentials

#: Largest message in either direction between our own services, and of an answer to a lab.
MESSAGE_BYTES_MAX = 32 * 1024 * 1024
#: Largest message that a stranger may send, before it is known who sends it; an upload chunk has at
#: most 1 MiB.
PUBLIC_REQUEST_BYTES_MAX = 4 * 1024 * 1024
#: Concurrent calls a server takes before it answers RESOURCE_EXHAUSTED.
CONCURRENT_RPCS_MAX = 2_000
#: A client that only listens (Watch) is pinged so that a dead connection is noticed.
KEEPALIVE_MS = 30_000

_OPTIONS = (
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.so_reuseport", 0),
)


class Server:
    """Wraps ``grpc.aio.server``; ``port`` is known after ``bind``."""

    def __init__(
        self, service_names: Sequence[str], request_bytes_max: int = MESSAGE_BYTES_MAX
    ) -> None:
        self.grpc = grpc.aio.server(
            interceptors=[ErrorInterceptor()],
            options=(("grpc.max_receive_message_length", request_bytes_max), *_OPTIONS),
            maximum_concurrent_rpcs=CONCURRENT_RPCS_MAX,
        )
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self.grpc)
        names = (*service_names, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self.grpc)
        self._names = tuple(service_names)
        self.port = 0

    def bind(self, address: str, tls: TlsFiles | None = None) -> int:
        """Listens on ``host:port``; port 0 picks a free one. Returns the port.

        The files of ``tls`` are read again at each handshake; CertificateInvalid at the first.
        """
        if tls is None:
            self.port = self.grpc.add_insecure_port(address)
        else:
            self.port = self.grpc.add_secure_port(address, server_credentials(tls))
        return self.port

    async def start(self) -> None:
        await self.grpc.start()
        await self.set_serving(True)

    async def set_serving(self, serving: bool) -> None:
        """What the health service answers, for the whole server and each of its services."""
        status = (
            health_pb2.HealthCheckResponse.SERVING
            if serving
            else health_pb2.HealthCheckResponse.NOT_SERVING
        )
        for name in ("", *self._names):
            await self._health.set(name, status)

    async def stop(self, grace_seconds: float) -> None:
        """Says NOT_SERVING, takes no new calls and gives running ones ``grace_seconds``."""
        await self.set_serving(False)
        await self.grpc.stop(grace_seconds)
