"""Errors and times as they travel: the one table between our errors and gRPC's status codes.

An error travels as ``google.rpc.Status`` in the trailing metadata, with one
``google.rpc.ErrorInfo`` (AIP-193): its reason is the error's stable code, its metadata the error's
data. :func:`to_status` and :func:`trailing_metadata` are the server's half,
:func:`from_rpc_error` is the client's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import ErrorInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from general_level import errors
from general_level.errors import GeneralLevelError

#: The trailing metadata key in which gRPC carries a ``google.rpc.Status``.
STATUS_DETAILS_KEY: Final = "grpc-status-details-bin"

#: An error has the code of the first of its classes that is listed here.
STATUS_CODES: Final[Mapping[type[GeneralLevelError], grpc.StatusCode]] = {
    GeneralLevelError: grpc.StatusCode.INTERNAL,
    errors.CatalogueError: grpc.StatusCode.INTERNAL,
    errors.InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    errors.UnknownBoard: grpc.StatusCode.NOT_FOUND,
    errors.UnknownTask: grpc.StatusCode.NOT_FOUND,
    errors.OffsetMismatch: grpc.StatusCode.FAILED_PRECONDITION,
    errors.NotAuthenticated: grpc.StatusCode.UNAUTHENTICATED,
    errors.CertificateRequired: grpc.StatusCode.UNAUTHENTICATED,
    errors.NotPermitted: grpc.StatusCode.PERMISSION_DENIED,
    errors.CertificateNotPermitted: grpc.StatusCode.PERMISSION_DENIED,
    errors.NotFound: grpc.StatusCode.NOT_FOUND,
    errors.AlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
    errors.QuotaExceeded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.SubmissionPending: grpc.StatusCode.FAILED_PRECONDITION,
    errors.AgreementRequired: grpc.StatusCode.FAILED_PRECONDITION,
    errors.IllegalTransition: grpc.StatusCode.FAILED_PRECONDITION,
    errors.RejudgementRefused: grpc.StatusCode.FAILED_PRECONDITION,
    errors.LeaseLost: grpc.StatusCode.ABORTED,
    errors.ReceiptInvalid: grpc.StatusCode.INVALID_ARGUMENT,
    errors.ScoreRefused: grpc.StatusCode.INVALID_ARGUMENT,
    errors.ResourceExhausted: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.Unavailable: grpc.StatusCode.UNAVAILABLE,
}

#: What a status without our ErrorInfo means: it comes from gRPC itself or from a proxy.
_BARE_CODES: Final[Mapping[grpc.StatusCode, type[GeneralLevelError]]] = {
    grpc.StatusCode.INVALID_ARGUMENT: errors.InvalidRequest,
    grpc.StatusCode.UNAUTHENTICATED: errors.NotAuthenticated,
    grpc.StatusCode.PERMISSION_DENIED: errors.NotPermitted,
    grpc.StatusCode.NOT_FOUND: errors.NotFound,
    grpc.StatusCode.ALREADY_EXISTS: errors.AlreadyExists,
    grpc.StatusCode.RESOURCE_EXHAUSTED: errors.ResourceExhausted,
    grpc.StatusCode.UNAVAILABLE: errors.Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: errors.Unavailable,
}


def status_code(error: GeneralLevelError) -> grpc.StatusCode:
    """The gRPC code of an error, by :data:`STATUS_CODES`."""
    return next(STATUS_CODES[kind] for kind in type(error).__mro__ if kind in STATUS_CODES)


def to_status(error: GeneralLevelError) -> Status:
    """The error as ``google.rpc.Status`` with its ErrorInfo."""
    info = ErrorInfo(reason=error.reason, domain=errors.DOMAIN, metadata=error.metadata)
    detail = AnyMessage()
    detail.Pack(info)
    number: int = status_code(error).value[0]
    return Status(code=number, message=str(error), details=[detail])


def trailing_metadata(error: GeneralLevelError) -> tuple[tuple[str, bytes], ...]:
    """The trailing metadata that a server sends with the error's code and message."""
    return ((STATUS_DETAILS_KEY, to_status(error).SerializeToString()),)


def from_status(status: Status) -> GeneralLevelError | None:
    """The error in a ``google.rpc.Status``; None where it holds no ErrorInfo of this platform."""
    for detail in status.details:
        info = ErrorInfo()
        if detail.Is(ErrorInfo.DESCRIPTOR) and detail.Unpack(info) and info.domain == errors.DOMAIN:
            # These two keys would be taken for parameters of the error's constructor.
            data = {k: v for k, v in info.metadata.items() if k not in {"self", "detail"}}
            return errors.from_reason(info.reason, status.message, data)
    return None


def from_rpc_error(error: grpc.RpcError) -> GeneralLevelError:
    """The error that the server raised, with ``error`` as its ``__cause__``.

    A status without our ErrorInfo becomes the nearest error by its code, and carries the code's
    name as ``metadata["status"]``.
    """
    rebuilt = _from_trailers(error)
    if rebuilt is None:
        code: grpc.StatusCode = _ask(error, "code") or grpc.StatusCode.UNKNOWN
        said: str = _ask(error, "details") or ""
        kind = _BARE_CODES.get(code, GeneralLevelError)
        rebuilt = kind(f"({code.name}: {said})" if said else f"({code.name})", status=code.name)
    rebuilt.__cause__ = error
    return rebuilt


def _from_trailers(error: grpc.RpcError) -> GeneralLevelError | None:
    for key, value in _ask(error, "trailing_metadata") or ():
        if key == STATUS_DETAILS_KEY and isinstance(value, bytes):
            try:
                return from_status(Status.FromString(value))
            except DecodeError:
                return None
    return None


def _ask(error: grpc.RpcError, question: str) -> Any:
    """What the error says as a ``grpc.Call``; None where it is not one."""
    answer = getattr(error, question, None)
    return answer() if answer is not None else None


def to_timestamp(moment: datetime) -> Timestamp:
    """An aware time as a protobuf timestamp; ValueError for a naive one."""
    if moment.tzinfo is None:
        raise ValueError("a time on the wire needs its zone")
    stamp = Timestamp()
    stamp.FromDatetime(moment.astimezone(UTC))
    return stamp


def from_timestamp(stamp: Timestamp) -> datetime:
    """A protobuf timestamp as an aware time in UTC, to the microsecond."""
    return stamp.ToDatetime(tzinfo=UTC)


def to_duration(length: timedelta) -> Duration:
    """A length of time as a protobuf duration."""
    duration = Duration()
    duration.FromTimedelta(length)
    return duration


def to_rfc3339(moment: datetime) -> str:
    """An aware time as text, for example ``2026-01-05T09:00:00Z``; used in error metadata."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def from_rfc3339(text: str) -> datetime:
    """The time that :func:`to_rfc3339` wrote; ValueError for other text and for no zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"a time without its zone: {text}")
    return moment.astimezone(UTC)
