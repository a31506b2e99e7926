"""The audit log: who changed what, when, why it was refused; and each request only once.

An entry is written in the transaction of the change, so there is none without the other. A
refusal changes nothing and is recorded apart. Parameters and results are the messages of the
contract as JSON; no message of `operations.proto` holds a secret.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from sqlalchemy import Connection, Row, insert, select

from general_level.errors import AlreadyExists
from services.gateway.storage.database import serialise
from services.gateway.storage.tables import audit_log

M = TypeVar("M", bound=Message)

DONE: Final = "DONE"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: the label and the id of an operator's token, and the certificate's SPIFFE id."""

    name: str
    token_id: str = ""
    certificate: str = ""


#: The platform itself, by its operators' settings.
PLATFORM: Final = Actor("gateway")


def carry_out(
    connection: Connection,
    now: datetime,
    actor: Actor,
    action: str,
    request: Message,
    response_type: type[M],
    work: Callable[[Connection], M],
) -> tuple[M, bool]:
    """Does the work of a request and records it; the response, and whether it was done now.

    A request_id that was used before gives the response of then and does nothing; AlreadyExists if
    the request was another one.
    """
    request_id = _request_id(request)
    digest = _digest(action, request)
    serialise(connection, f"operation/{request_id}")
    earlier = connection.execute(
        select(audit_log.c.request_sha256, audit_log.c.response).where(
            audit_log.c.request_id == request_id, audit_log.c.outcome == DONE
        )
    ).one_or_none()
    if earlier is not None:
        if earlier.request_sha256 != digest:
            raise AlreadyExists(
                "The request_id was used before; choose a new one.", request_id=request_id
            )
        return response_type.FromString(earlier.response), False
    response = work(connection)
    _insert(connection, now, actor, action, request, DONE, response)
    return response, True


def record_refusal(
    connection: Connection, now: datetime, actor: Actor, action: str, request: Message, reason: str
) -> None:
    """Records that a request was refused with the reason of an error; its id stays free."""
    _insert(connection, now, actor, action, request, reason, None)


def record(
    connection: Connection, now: datetime, action: str, about: Message, result: Message
) -> None:
    """Records what the platform itself did, in the transaction that does it."""
    _insert(connection, now, PLATFORM, action, about, DONE, result)


def list_page(
    connection: Connection, page_size: int, before: int | None, action: str
) -> list[Row[Any]]:
    """A page of the log, the newest first, from before the entry of this id."""
    query = select(audit_log)
    if before is not None:
        query = query.where(audit_log.c.entry_id < before)
    if action:
        query = query.where(audit_log.c.action == action)
    return list(connection.execute(query.order_by(audit_log.c.entry_id.desc()).limit(page_size)))


def _insert(
    connection: Connection,
    now: datetime,
    actor: Actor,
    action: str,
    request: Message,
    outcome: str,
    response: Message | None,
) -> None:
    connection.execute(
        insert(audit_log).values(
            record_time=now,
            operator=actor.name,
            token_id=actor.token_id,
            certificate=actor.certificate,
            action=action,
            request_id=_request_id(request),
            request_sha256=_digest(action, request),
            parameters=_json(request),
            outcome=outcome,
            response=None if response is None else response.SerializeToString(),
            result=None if response is None else _json(response),
        )
    )


def _request_id(request: Message) -> str:
    return str(getattr(request, "request_id", ""))


def _digest(action: str, request: Message) -> str:
    content = action.encode() + b"\0" + request.SerializeToString(deterministic=True)
    return hashlib.sha256(content).hexdigest()


def _json(message: Message) -> bytes:
    return MessageToJson(message, preserving_proto_field_name=True, indent=None).encode()
