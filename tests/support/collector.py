"""A collector of OTLP over gRPC: OpenTelemetry's own service, which keeps what it is sent."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc


@dataclass(frozen=True)
class SeenSpan:
    """One span as the collector got it. Ids in hex, times in ns."""

    service: str
    trace_id: str
    span_id: str
    parent_id: str
    name: str
    start: int
    end: int
    kind: int
    attributes: dict[str, Any]
    links: tuple[tuple[str, str], ...]
    failed: bool
    status_text: str
    events: int


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps spans and requests; ``stop`` and ``start`` again on the same port."""

    def __init__(self) -> None:
        self.port = 0
        self._lock = threading.Lock()
        self._spans: list[SeenSpan] = []
        self.raw = b""
        self.start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._server = grpc.server(ThreadPoolExecutor(4), options=(("grpc.so_reuseport", 0),))
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        self._server.start()

    def stop(self) -> None:
        self._server.stop(0).wait()

    def spans(self, trace_id: str | None = None) -> list[SeenSpan]:
        """What came, of one trace or all, by their start."""
        with self._lock:
            found = [one for one in self._spans if trace_id in (None, one.trace_id)]
        return sorted(found, key=lambda one: (one.start, -one.end))

    def Export(
        self, request: pb.ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> pb.ExportTraceServiceResponse:
        found = []
        for resource in request.resource_spans:
            told = {one.key: one.value.string_value for one in resource.resource.attributes}
            for scope in resource.scope_spans:
                found += [_seen(told["service.name"], span) for span in scope.spans]
        with self._lock:
            self._spans += found
            self.raw += request.SerializeToString()
        return pb.ExportTraceServiceResponse()


def _seen(service: str, span: Any) -> SeenSpan:
    return SeenSpan(
        service=service,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        name=span.name,
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        kind=span.kind,
        attributes={
            one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes
        },
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        failed=span.status.code == 2,
        status_text=span.status.message,
        events=len(span.events),
    )


@contextmanager
def running_collector() -> Iterator[Collector]:
    """A collector on a free port."""
    collector = Collector()
    try:
        yield collector
    finally:
        collector.stop()
