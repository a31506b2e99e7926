"""Traces of submissions for the operator's collector: one trace from submit to publication.

The ids of a submission's trace and of its first span follow from its id, so every service that
knows the submission adds its spans to the same trace, also after a restart: nothing is carried
through the database, the queue or the ledger (`docs/decisions/0014`).

Without ``OTEL_EXPORTER_OTLP_ENDPOINT`` every call here returns at once and OpenTelemetry is not
even imported. A span tells names, ids, numbers and codes of ours; other texts are left out.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from general_level.errors import GeneralLevelError
from services.kit.tracing_settings import TracingSettings

#: The name of a submission's whole span, from its create to its final state.
ROOT: Final = "submission"
#: How a caller names its own span, and we ours: https://www.w3.org/TR/trace-context/.
HEADER: Final = "traceparent"
#: Submissions of one publication that get spans of it.
PUBLISHED_MAX: Final = 200

#: Everything that a span can tell, by the name that callers use. Names of OpenTelemetry's semantic
#: conventions where there is one.
ATTRIBUTES: Final[Mapping[str, str]] = {
    "attempt": "general_level.attempt",
    "board_id": "general_level.board.id",
    "error_type": "error.type",
    "job_id": "general_level.job.id",
    "modality": "general_level.modality",
    "outcome": "general_level.outcome",
    "rpc_method": "rpc.method",
    "rpc_system": "rpc.system.name",
    "size_bytes": "general_level.size",
    "state": "general_level.state",
    "submission_id": "general_level.submission.id",
    "task_id": "general_level.task.id",
}

_TRACE_DOMAIN: Final = b"general-level/trace/v1\0"
_ROOT_DOMAIN: Final = b"general-level/root-span/v1\0"
_TRACEPARENT: Final = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}")
_VALUE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Value = str | int


class Span(Protocol):
    """A span that has begun."""

    @property
    def traceparent(self) -> str:
        """How others name it as their parent."""

    def set(self, attributes: Mapping[str, Value]) -> None:
        """Adds attributes by their whole names."""

    def fail(self, code: str) -> None:
        """Ends well no more: ``code`` is stable and no text."""

    def end(self, end_ns: int | None = None) -> None:
        """Over; now, if not said otherwise (ns since 1970)."""


class Exporter(Protocol):
    """What takes spans; `services.kit.tracing_export` is the one there is."""

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
    ) -> Span:
        """Begins a span; without a parent it is the trace's first and has the given id."""

    def close(self) -> None:
        """Sends what waits, for a few seconds at most, and ends."""


@dataclass(frozen=True, slots=True)
class _Current:
    """The current span, and the one that was made with ``current`` around it, or it itself."""

    span: Span
    whole: Span
    submission_id: str


_exporter: Exporter | None = None
_current: ContextVar[_Current | None] = ContextVar("current span", default=None)
_NOTHING: Final[AbstractContextManager[None]] = nullcontext()


@contextmanager
def exporting(service: str, environ: Mapping[str, str]) -> Iterator[None]:
    """Spans of this process go to the collector that the environment names, if it names one.

    ``service`` is gateway, grader or ranker. At the end what waits is sent. SettingInvalid.
    """
    global _exporter  # noqa: PLW0603  as for logs, there is one in a process
    settings = TracingSettings.from_env(environ)
    if settings is None:
        yield
        return
    module: Any = importlib.import_module("services.kit.tracing_export")
    _exporter = module.OtlpExporter(service, settings)
    try:
        yield
    finally:
        done, _exporter = _exporter, None
        assert done is not None
        done.close()


def trace_id(submission_id: str) -> int:
    """The id of a submission's trace: 128 bits that everybody computes alike."""
    return int.from_bytes(_digest(_TRACE_DOMAIN, submission_id)[:16], "big")


def root_span_id(submission_id: str) -> int:
    """The id of the span `ROOT` of a submission's trace, 64 bits."""
    return int.from_bytes(_digest(_ROOT_DOMAIN, submission_id)[:8], "big")


def _digest(domain: bytes, submission_id: str) -> bytes:
    return hashlib.sha256(domain + submission_id.encode()).digest()


def is_on() -> bool:
    """Whether spans go anywhere."""
    return _exporter is not None


def now_ns() -> int:
    """The machine's time, ns since 1970; 0 where nobody asks for it."""
    return time.time_ns() if _exporter is not None else 0


def to_ns(instant: datetime) -> int:
    """An aware instant in ns since 1970, exactly."""
    return (instant - _EPOCH) // timedelta(microseconds=1) * 1000


def span(
    name: str,
    submission_id: str,
    *,
    parent: str | None = None,
    link: str | None = None,
    current: bool = False,
    **attributes: Value,
) -> AbstractContextManager[Span | None]:
    """A span of the submission's trace while the context lasts, and None without a collector.

    ``parent`` is a traceparent; one of another trace is passed over, and the parent is the trace's
    first span. ``link`` is one, too, of any trace. With ``current`` it is the parent of each
    `stage` within, and `note` adds to it. An exception ends it by its stable code.
    """
    if _exporter is None:
        return _NOTHING
    found = _start(_exporter, name, submission_id, None, parent, link, attributes)
    return _lasting(found, _Current(found, found, submission_id) if current else None)


def stage(name: str) -> AbstractContextManager[Span | None]:
    """A child of the current span, and the current one while the context lasts; else nothing."""
    around = _current.get()
    if _exporter is None or around is None:
        return _NOTHING
    parent = around.span.traceparent
    found = _start(_exporter, name, around.submission_id, None, parent, None, {})
    return _lasting(found, _Current(found, around.whole, around.submission_id))


def record(
    name: str,
    submission_id: str,
    start_ns: int,
    end_ns: int | None = None,
    *,
    parent: str | None = None,
    link: str | None = None,
    **attributes: Value,
) -> str | None:
    """A span that is over (now, if not said otherwise); its traceparent. Arguments as of `span`."""
    if _exporter is None:
        return None
    found = _start(_exporter, name, submission_id, start_ns, parent, link, attributes)
    found.end(end_ns)
    return found.traceparent


def record_submission(
    submission_id: str, start_ns: int, error_type: str = "", **attributes: Value
) -> None:
    """The whole span of a submission that has ended just now, by our fault with ``error_type``."""
    if _exporter is None:
        return
    found = _exporter.start(
        ROOT,
        trace_id=trace_id(submission_id),
        parent_id=None,
        span_id=root_span_id(submission_id),
        link=None,
        rpc=False,
        start_ns=start_ns,
        attributes=_named({"submission_id": submission_id, **attributes}),
    )
    if error_type:
        found.fail(_code(error_type))
    found.end()


def note(**attributes: Value) -> None:
    """Adds to the span that was made ``current`` around this, not to its stages."""
    around = _current.get()
    if around is not None:
        around.whole.set(_named(attributes))


def carrier() -> tuple[tuple[str, str], ...]:
    """Metadata of a call that names the current span as the parent; none without one."""
    around = _current.get()
    return () if around is None else ((HEADER, around.span.traceparent),)


def traceparent_of(context: Any) -> str | None:
    """What the caller of an RPC named as its span, if it has the form; never looked at without a
    collector."""
    if _exporter is None:
        return None
    for key, value in context.invocation_metadata() or ():
        if key == HEADER and isinstance(value, str) and _TRACEPARENT.fullmatch(value):
            return value
    return None


def _start(
    exporter: Exporter,
    name: str,
    submission_id: str,
    start_ns: int | None,
    parent: str | None,
    link: str | None,
    attributes: Mapping[str, Value],
) -> Span:
    of_trace = trace_id(submission_id)
    named = _ids(parent)
    if "rpc_method" in attributes:
        attributes = {"rpc_system": "grpc", **attributes}
    return exporter.start(
        name,
        trace_id=of_trace,
        parent_id=(
            named[1] if named is not None and named[0] == of_trace else root_span_id(submission_id)
        ),
        span_id=None,
        link=_ids(link),
        rpc="rpc_method" in attributes,
        start_ns=start_ns,
        attributes=_named({"submission_id": submission_id, **attributes}),
    )


@contextmanager
def _lasting(found: Span, current: _Current | None) -> Iterator[Span]:
    token = _current.set(current) if current is not None else None
    try:
        yield found
    except BaseException as error:
        found.fail(code_of(error))
        raise
    finally:
        if token is not None:
            _current.reset(token)
        found.end()


def code_of(error: BaseException) -> str:
    """The stable code of an error, its ``trace_code``, or the name of its type; never its text."""
    if isinstance(error, asyncio.CancelledError | GeneratorExit):
        return "CANCELLED"
    if isinstance(error, GeneralLevelError):
        return error.reason
    code = getattr(error, "trace_code", None)
    return code if isinstance(code, str) else type(error).__name__


def _ids(traceparent: str | None) -> tuple[int, int] | None:
    found = _TRACEPARENT.fullmatch(traceparent) if traceparent is not None else None
    return (int(found[1], 16), int(found[2], 16)) if found is not None else None


def _named(attributes: Mapping[str, Value]) -> dict[str, Value]:
    """By their whole names; a text that is no id, name or code of ours is left out."""
    return {
        ATTRIBUTES[key]: value
        for key, value in attributes.items()
        if isinstance(value, int) or _VALUE.fullmatch(value)
    }


def _code(text: str) -> str:
    return text if _VALUE.fullmatch(text) else "other"
