"""The connection: TLS by default, plain text only where it is asked for, the token on each call."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final

import grpc

from general_level.errors import InvalidRequest
from general_level.v1.catalogue_pb2_grpc import CatalogueServiceStub
from general_level.v1.leaderboard_pb2_grpc import LeaderboardServiceStub
from general_level.v1.quota_pb2_grpc import QuotaServiceStub
from general_level.v1.submission_pb2_grpc import SubmissionServiceStub

#: An answer larger than this is refused; a board of 1,000 models has about 1 MiB.
MAX_RECEIVE_BYTES: Final = 64 * 1024 * 1024

_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MAX_RECEIVE_BYTES),
    # This client repeats calls itself, with the same request_id and a bound that it can state.
    ("grpc.enable_retries", 0),
    # After a broken connection gRPC would wait up to two minutes before it dials again.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5_000),
)


@dataclass(frozen=True, slots=True)
class Stubs:
    """The four services that a lab talks to."""

    submission: SubmissionServiceStub
    quota: QuotaServiceStub
    catalogue: CatalogueServiceStub
    leaderboard: LeaderboardServiceStub


def open_channel(
    target: str, *, root_certificates: bytes | None = None, insecure: bool = False
) -> grpc.Channel:
    """A channel to ``host:port``.

    ``root_certificates`` are PEM bytes to trust instead of the system's. ``insecure`` sends plain
    text, the token included. InvalidRequest for an empty target and for both at once.
    """
    if not target:
        raise InvalidRequest("No target was given; it is the gateway's host:port.")
    if insecure and root_certificates is not None:
        raise InvalidRequest("Root certificates have no meaning on an insecure connection.")
    if insecure:
        return grpc.insecure_channel(target, options=_OPTIONS)
    credentials = grpc.ssl_channel_credentials(root_certificates=root_certificates)
    return grpc.secure_channel(target, credentials, options=_OPTIONS)


def stubs(channel: grpc.Channel) -> Stubs:
    """The stubs over one channel."""
    return Stubs(
        submission=SubmissionServiceStub(channel),
        quota=QuotaServiceStub(channel),
        catalogue=CatalogueServiceStub(channel),
        leaderboard=LeaderboardServiceStub(channel),
    )


def token_metadata(token: str | None) -> tuple[tuple[str, str], ...]:
    """The metadata that carries the token; InvalidRequest for one that no gateway can have made."""
    if token is None:
        return ()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        # The token itself must not be in the message.
        raise InvalidRequest("The token is not one word of printable ASCII.")
    return (("authorization", f"Bearer {token}"),)


def is_loopback(target: str) -> bool:
    """Whether a target names this machine itself, so that plain text leaves no machine."""
    if target.startswith(("unix:", "unix-abstract:")):
        return True
    host = target.rpartition("/")[2].rsplit(":", 1)[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
