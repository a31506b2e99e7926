"""How a call of an operator is carried out: by whom, only once, with its audit entry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from google.protobuf.message import Message
from sqlalchemy import Connection

from general_level.errors import GeneralLevelError, InvalidRequest
from general_level.identifiers import is_request_id
from services.gateway import audit, certificates
from services.gateway.audit import Actor
from services.gateway.identity import Authenticator
from services.gateway.storage.database import Database
from services.kit.clock import Clock
from services.kit.logging import get_logger

M = TypeVar("M", bound=Message)


class _OnlyLooked(Exception):
    """Undoes the transaction of a call that only says what it would do."""

    def __init__(self, response: Any) -> None:
        super().__init__()
        self.response = response


class OperatorCalls:
    """What every handler of operators' calls does."""

    def __init__(self, *, database: Database, clock: Clock, authenticator: Authenticator) -> None:
        self._database = database
        self._clock = clock
        self._authenticator = authenticator

    async def _require(self, context: Any) -> Actor:
        identity = await self._authenticator.require(context, "operator")
        return Actor(identity.label, identity.token_id, certificates.shown_id(context))

    async def _carry_out(
        self,
        actor: Actor,
        action: str,
        request: Any,
        response_type: type[M],
        work: Callable[[Connection], M],
    ) -> tuple[M, bool]:
        """Does what is asked for, once, with its audit entry; refusals are recorded, too."""
        if not is_request_id(request.request_id):
            raise InvalidRequest("The request_id must be a UUID.", field="request_id")
        # One UUID has two spellings.
        request.request_id = request.request_id.lower()
        now = self._clock.now()
        about = {
            "action": action,
            "operator": actor.name,
            "token_id": actor.token_id,
            "request_id": request.request_id,
        }
        try:
            response, new = await self._database.run_write(
                audit.carry_out, now, actor, action, request, response_type, work
            )
        except GeneralLevelError as error:
            await self._database.run_write(
                audit.record_refusal, now, actor, action, request, error.reason
            )
            get_logger().warning("operation refused", reason=error.reason, **about)
            raise
        get_logger().info("operation done" if new else "operation repeated", **about)
        return response, new

    async def _look(self, work: Callable[[Connection], M]) -> M:
        """What the work would answer; nothing of it stays."""

        def undone(connection: Connection) -> None:
            raise _OnlyLooked(work(connection))

        try:
            await self._database.run_write(undone)
        except _OnlyLooked as looked:
            response: M = looked.response
            return response
        raise AssertionError("a look never commits")
