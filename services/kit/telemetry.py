"""Prometheus over HTTP, one registry per service object so that tests can run several."""

from __future__ import annotations

from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server


def start_metrics_server(
    registry: CollectorRegistry, port: int, host: str = "127.0.0.1"
) -> tuple[WSGIServer, int]:
    """Serves ``/metrics`` in a daemon thread; port 0 picks a free one. Returns server and port."""
    server, _thread = start_http_server(port, addr=host, registry=registry)
    return server, server.server_port
