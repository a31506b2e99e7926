"""Prometheus over HTTP, one registry per service object so that tests can run several."""

from __future__ import annotations

from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server

from services.kit.logging import get_logger


def start_metrics_server(
    registry: CollectorRegistry, port: int, host: str = "127.0.0.1"
) -> tuple[WSGIServer, int]:
    """Serves ``/metrics`` in a daemon thread; port 0 picks a free one. Returns server and port."""
    server, _thread = start_http_server(port, addr=host, registry=registry)
    return server, server.server_port


class MetricsServer:
    """The metrics of a service, or nothing where its operator set no port for them.

    ``port`` is where they are, None without them. Every service reads its setting alike: not set
    is none, 0 is any free port, and the port is logged.
    """

    def __init__(self, registry: CollectorRegistry, port: int | None, host: str) -> None:
        self.port: int | None = None
        self._server: WSGIServer | None = None
        if port is not None:
            self._server, self.port = start_metrics_server(registry, port, host)
        get_logger().info("telemetry", port=self.port)

    def close(self) -> None:
        """Stops serving."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
