"""Errors survive the wire with reason, message and data; times with their zone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import grpc
import pytest
from google.rpc.status_pb2 import Status

from general_level import errors, wire
from general_level.client import Client, RetryPolicy
from general_level.errors import GeneralLevelError

CODES = {
    "InvalidRequest": "INVALID_ARGUMENT",
    "ArchiveRejected": "INVALID_ARGUMENT",
    "DigestMismatch": "INVALID_ARGUMENT",
    "UnknownBoard": "NOT_FOUND",
    "UnknownTask": "NOT_FOUND",
    "NotFound": "NOT_FOUND",
    "OffsetMismatch": "FAILED_PRECONDITION",
    "IllegalTransition": "FAILED_PRECONDITION",
    "RejudgementRefused": "FAILED_PRECONDITION",
    "AgreementRequired": "FAILED_PRECONDITION",
    "SubmissionPending": "FAILED_PRECONDITION",
    "NotAuthenticated": "UNAUTHENTICATED",
    "CertificateRequired": "UNAUTHENTICATED",
    "NotPermitted": "PERMISSION_DENIED",
    "CertificateNotPermitted": "PERMISSION_DENIED",
    "QuotaExceeded": "RESOURCE_EXHAUSTED",
    "ResourceExhausted": "RESOURCE_EXHAUSTED",
    "AlreadyExists": "ALREADY_EXISTS",
    "LeaseLost": "ABORTED",
    "Unavailable": "UNAVAILABLE",
    "ReceiptInvalid": "INVALID_ARGUMENT",
    "ScoreRefused": "INVALID_ARGUMENT",
    "CatalogueError": "INTERNAL",
    "GeneralLevelError": "INTERNAL",
}


def error_classes() -> Iterator[type[GeneralLevelError]]:
    """Every error that general_level.errors defines."""
    for value in vars(errors).values():
        if isinstance(value, type) and issubclass(value, GeneralLevelError):
            yield value


def test_every_error_has_its_code() -> None:
    found = {kind.__name__: wire.status_code(kind()).name for kind in error_classes()}
    assert found == CODES


@pytest.mark.parametrize("kind", list(error_classes()), ids=lambda kind: kind.__name__)
def test_an_error_survives_the_wire(kind: type[GeneralLevelError]) -> None:
    error = kind("More.", task_id="image-c-001", limit=2)
    sent = wire.to_status(error)
    rebuilt = wire.from_status(Status.FromString(sent.SerializeToString()))
    assert type(rebuilt) is kind
    assert str(rebuilt) == str(error)
    assert rebuilt.metadata == {"task_id": "image-c-001", "limit": "2"}


def test_an_unknown_reason_is_the_general_error() -> None:
    status = Status(code=13, message="A later version says this.")
    info = wire.ErrorInfo(reason="NEWER_REASON", domain=errors.DOMAIN, metadata={"a": "b"})
    status.details.add().Pack(info)
    rebuilt = wire.from_status(status)
    assert type(rebuilt) is GeneralLevelError
    assert str(rebuilt) == "A later version says this."
    assert rebuilt.metadata == {"a": "b"}


def test_data_named_like_a_parameter_breaks_nothing() -> None:
    error = errors.NotFound()
    error.metadata.update({"self": "x", "detail": "y", "kept": "z"})
    rebuilt = wire.from_status(wire.to_status(error))
    assert rebuilt is not None
    assert rebuilt.metadata == {"kept": "z"}


def test_anothers_error_info_is_not_taken_for_ours() -> None:
    status = wire.to_status(errors.NotFound())
    info = wire.ErrorInfo(reason="NOT_FOUND", domain="example.org")
    status.details[0].Pack(info)
    assert wire.from_status(status) is None
    assert wire.from_status(Status(code=5, message="plain")) is None


class _Answer(grpc.RpcError):
    """What gRPC raises for a status that a proxy or gRPC itself made."""

    def __init__(self, code: grpc.StatusCode, trailers: tuple[tuple[str, bytes], ...] = ()) -> None:
        self._code = code
        self._trailers = trailers

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return "said so"

    def trailing_metadata(self) -> tuple[tuple[str, bytes], ...]:
        return self._trailers


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.UNAVAILABLE, errors.Unavailable),
        (grpc.StatusCode.DEADLINE_EXCEEDED, errors.Unavailable),
        (grpc.StatusCode.UNAUTHENTICATED, errors.NotAuthenticated),
        (grpc.StatusCode.PERMISSION_DENIED, errors.NotPermitted),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, errors.ResourceExhausted),
        (grpc.StatusCode.NOT_FOUND, errors.NotFound),
        (grpc.StatusCode.INVALID_ARGUMENT, errors.InvalidRequest),
        (grpc.StatusCode.ALREADY_EXISTS, errors.AlreadyExists),
        (grpc.StatusCode.INTERNAL, GeneralLevelError),
        (grpc.StatusCode.UNKNOWN, GeneralLevelError),
        (grpc.StatusCode.FAILED_PRECONDITION, GeneralLevelError),
    ],
)
@pytest.mark.parametrize("trailers", [(), ((wire.STATUS_DETAILS_KEY, b"\xff not a Status"),)])
def test_a_bare_status_becomes_the_nearest_error(
    code: grpc.StatusCode,
    kind: type[GeneralLevelError],
    trailers: tuple[tuple[str, bytes], ...],
) -> None:
    answer = _Answer(code, trailers)
    error = wire.from_rpc_error(answer)
    assert type(error) is kind
    assert error.__cause__ is answer
    assert error.metadata["status"] == code.name
    assert "said so" in str(error)


def test_a_gateway_that_is_not_there_is_unavailable() -> None:
    waits: list[float] = []
    policy = RetryPolicy(attempts=3)
    with (
        Client("127.0.0.1:1", insecure=True, retry=policy, sleep=waits.append) as client,
        pytest.raises(errors.Unavailable) as caught,
    ):
        client.boards()
    assert isinstance(caught.value.__cause__, grpc.RpcError)
    assert len(waits) == 2


def test_times_keep_their_instant() -> None:
    here = datetime(2026, 1, 5, 10, 0, 0, 123456, tzinfo=timezone(timedelta(hours=1)))
    assert wire.from_timestamp(wire.to_timestamp(here)) == here
    assert wire.from_timestamp(wire.to_timestamp(here)).tzinfo is UTC
    assert wire.to_rfc3339(here) == "2026-01-05T09:00:00.123456Z"
    assert wire.from_rfc3339(wire.to_rfc3339(here)) == here
    assert wire.to_duration(timedelta(seconds=90)).ToTimedelta() == timedelta(seconds=90)


def test_a_time_without_a_zone_is_refused() -> None:
    naive = datetime(2026, 1, 5)  # noqa: DTZ001 - the fault under test
    with pytest.raises(ValueError, match="zone"):
        wire.to_timestamp(naive)
    with pytest.raises(ValueError, match="zone"):
        wire.from_rfc3339("2026-01-05T09:00:00")
