"""Prometheus over HTTP, one registry per service object so that tests can run several.

A `Registry` is told every value that a label may have when a series is made, and makes all series
at once: the label sets are bounded by construction, and a rate is 0 before the first event instead
of absent.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar
from wsgiref.simple_server import WSGIServer

from cryptography import x509
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    start_http_server,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.registry import Collector

from services.kit.logging import get_logger

# When each series was made is a series of its own to nobody's use.
disable_created_metrics()  # type: ignore[no-untyped-call]

_Made = TypeVar("_Made", bound=MetricWrapperBase)

#: Of series that are made at each scrape: the places and uses that they may name.
DISK_PLACES: Final = ("database", "objects", "spool")
CERTIFICATE_USES: Final = ("public", "internal", "client")


class Registry(CollectorRegistry):
    """The series of one service, whose labels have the values that they were made with.

    ``names`` are those of the series in the order in which they were made. The process's own series
    (``process_…``: memory, processor time, open files) are in it, too.
    """

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        ProcessCollector(registry=self)

    def counter(self, name: str, text: str, **labels: Iterable[str]) -> Counter:
        """A counter with every series that its labels allow, at 0."""
        return self._complete(Counter(name, text, tuple(labels), registry=self), name, labels)

    def gauge(self, name: str, text: str, **labels: Iterable[str]) -> Gauge:
        """A gauge with every series that its labels allow, at 0."""
        return self._complete(Gauge(name, text, tuple(labels), registry=self), name, labels)

    def histogram(
        self, name: str, text: str, buckets: Sequence[float], **labels: Iterable[str]
    ) -> Histogram:
        """A histogram with every series that its labels allow; upper bounds in the base unit."""
        made = Histogram(name, text, tuple(labels), registry=self, buckets=buckets)
        return self._complete(made, name, labels)

    def _complete(self, made: _Made, name: str, labels: Mapping[str, Iterable[str]]) -> _Made:
        self.names.append(name)
        if labels:
            for combination in itertools.product(*labels.values()):
                made.labels(*combination)
        return made


class Disks(Collector):
    """Free and whole size of the file systems under folders, read at each scrape."""

    def __init__(self, service: str, folders: Mapping[str, Path]) -> None:
        assert set(folders) <= set(DISK_PLACES)
        self._service = service
        self._folders = folders

    def collect(self) -> Iterator[GaugeMetricFamily]:
        free = GaugeMetricFamily(
            f"{self._service}_disk_free_bytes",
            "Bytes that the service may still write where it keeps this; none where it is remote.",
            labels=("place",),
        )
        size = GaugeMetricFamily(
            f"{self._service}_disk_size_bytes",
            "Size of the file system where the service keeps this; none where it is remote.",
            labels=("place",),
        )
        for place, folder in self._folders.items():
            try:
                usage = shutil.disk_usage(folder)
            except OSError:
                continue  # it is not made yet, or its mount is away
            free.add_metric([place], usage.free)
            size.add_metric([place], usage.total)
        yield free
        yield size


class Certificates(Collector):
    """When the certificates of a service end, read from their files at each scrape."""

    def __init__(self, service: str, files: Mapping[str, Path | None]) -> None:
        assert set(files) <= set(CERTIFICATE_USES)
        self._service = service
        self._files = {use: path for use, path in files.items() if path is not None}

    def collect(self) -> Iterator[GaugeMetricFamily]:
        ends = GaugeMetricFamily(
            f"{self._service}_certificate_expiry_timestamp_seconds",
            "When the certificate in the file ends, in seconds since 1970; none for plain text.",
            labels=("use",),
        )
        for use, path in self._files.items():
            try:
                leaf = x509.load_pem_x509_certificates(path.read_bytes())[0]
            except (OSError, ValueError):
                continue  # being replaced, or refused: the service's log says so
            ends.add_metric([use], leaf.not_valid_after_utc.timestamp())
        yield ends


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
