"""Spans to an OTLP collector over gRPC: imported only where one is configured.

A collector that is away, slow or broken costs a bounded queue and one thread; no call of the
platform ever waits for it. What cannot be sent is dropped, and said once a minute.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from typing import Final

import grpc
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    format_span_id,
    format_trace_id,
    set_span_in_context,
)
from opentelemetry.trace import Span as OtelSpan

from services.kit.logging import get_logger
from services.kit.tracing import Value
from services.kit.tracing_settings import TracingSettings

#: What waits at the end gets so long to be sent.
CLOSE_SECONDS: Final = 5.0
#: Between two lines in the log of the same trouble.
SAY_AGAIN_SECONDS: Final = 60.0
_LIMITS: Final = SpanLimits(
    max_span_attributes=32,
    max_events=0,
    max_links=1,
    max_span_attribute_length=100,
)
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)


class OtlpSpan:
    """A span that has begun (`services.kit.tracing.Span`)."""

    def __init__(self, span: OtelSpan) -> None:
        self._span = span

    @property
    def traceparent(self) -> str:
        found = self._span.get_span_context()
        trace_id, span_id = format_trace_id(found.trace_id), format_span_id(found.span_id)
        return f"00-{trace_id}-{span_id}-{found.trace_flags:02x}"

    def set(self, attributes: Mapping[str, Value]) -> None:
        self._span.set_attributes(attributes)

    def fail(self, code: str) -> None:
        self._span.set_attribute("error.type", code)
        self._span.set_status(Status(StatusCode.ERROR))

    def end(self, end_ns: int | None = None) -> None:
        self._span.end(end_ns)


class OtlpExporter:
    """One for a process (`services.kit.tracing.Exporter`)."""

    def __init__(self, service: str, settings: TracingSettings) -> None:
        self._ids = _Ids()
        self._sink = OTLPSpanExporter(
            endpoint=settings.endpoint,
            insecure=settings.endpoint.startswith("http://"),
            timeout=settings.export_seconds,
        )
        version = metadata.version("general-level")
        self._provider = TracerProvider(
            # By the trace's id alone and in every service alike: a trace is kept whole or not.
            sampler=TraceIdRatioBased(settings.ratio),
            # What the operator says by OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME wins.
            resource=Resource(
                {
                    "service.name": f"general-level-{service}",
                    "service.namespace": "general-level",
                    "service.version": version,
                    "service.instance.id": str(uuid.uuid4()),
                }
            ).merge(_given()),
            id_generator=self._ids,
            span_limits=_LIMITS,
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(
                self._sink,
                max_queue_size=settings.queue_spans,
                max_export_batch_size=settings.batch_spans,
                schedule_delay_millis=settings.delay_seconds * 1000,
            )
        )
        self._tracer = self._provider.get_tracer("general_level", version)
        self._log = _take_log()
        get_logger().info("traces", endpoint=settings.endpoint, ratio=settings.ratio)

    def start(
        self,
        name: str,
        *,
        trace_id: int,
        parent_id: int | None,
        span_id: int | None,
        link: tuple[int, int] | None,
        rpc: bool,
        start_ns: int | None,
        attributes: Mapping[str, Value],
    ) -> OtlpSpan:
        context = Context()
        if parent_id is not None:
            parent = SpanContext(trace_id, parent_id, is_remote=True, trace_flags=_SAMPLED)
            context = set_span_in_context(NonRecordingSpan(parent), context)
        with self._ids.given(trace_id, span_id):
            span = self._tracer.start_span(
                name,
                context,
                kind=SpanKind.SERVER if rpc else SpanKind.INTERNAL,
                attributes=attributes,
                links=[Link(SpanContext(*link, is_remote=True))] if link is not None else (),
                start_time=start_ns,
                record_exception=False,
                set_status_on_exception=False,
            )
        return OtlpSpan(span)

    def close(self) -> None:
        """The provider's own end may take as long as its collector: it is waited for in bounds."""
        ending = threading.Thread(target=self._provider.shutdown, name="traces end", daemon=True)
        ending.start()
        ending.join(CLOSE_SECONDS)
        if ending.is_alive():
            # Breaks the call that it waits for.
            self._sink.shutdown()
            ending.join(1.0)
        logging.getLogger("opentelemetry").removeHandler(self._log)


def _given() -> Resource:
    """The operator's words, without the name that OpenTelemetry gives where there is none."""
    found = dict(Resource.create().attributes)
    if str(found.get("service.name", "")).startswith("unknown_service"):
        del found["service.name"]
    return Resource(found)


class _Ids(RandomIdGenerator):
    """Random ids, except those that are given for the span that this thread is making."""

    def __init__(self) -> None:
        self._local = threading.local()

    @contextmanager
    def given(self, trace_id: int, span_id: int | None) -> Iterator[None]:
        """The next trace has this id; the next span this one, or a random one if None."""
        self._local.ids = (trace_id, span_id)
        try:
            yield
        finally:
            self._local.ids = (None, None)

    def generate_trace_id(self) -> int:
        trace_id, _ = getattr(self._local, "ids", (None, None))
        return super().generate_trace_id() if trace_id is None else int(trace_id)

    def generate_span_id(self) -> int:
        _, span_id = getattr(self._local, "ids", (None, None))
        return super().generate_span_id() if span_id is None else int(span_id)


class _Troubles(logging.Handler):
    """The library's warnings as lines of ours: its own words and no others, and not too often."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._said: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        words = str(record.msg)[:80]
        now = time.monotonic()
        if now - self._said.get(words, float("-inf")) < SAY_AGAIN_SECONDS:
            return
        self._said[words] = now
        codes = [one.name for one in record.args or () if isinstance(one, grpc.StatusCode)]
        get_logger().warning("traces not exported", problem=words, code=codes[0] if codes else None)


def _take_log() -> _Troubles:
    log = logging.getLogger("opentelemetry")
    handler = _Troubles()
    log.addHandler(handler)
    log.propagate = False
    return handler
