"""The gateway as an operator calls it: one call at a time, repeated where it was not answered."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import grpc
from google.protobuf.message import Message

from general_level.errors import Unavailable
from general_level.v1 import operations_pb2_grpc
from general_level.wire import from_rpc_error
from services.kit.connection import Connection
from services.operations.settings import Settings

#: One call, from its sending to its answer.
CALL_SECONDS: Final = 60.0
#: A call that was not answered is sent again so often: its request_id makes that safe.
CALLS_MAX: Final = 3
#: The wait before the second call; it doubles.
RETRY_SECONDS: Final = 0.5

_OPTIONS: Final = (("grpc.max_receive_message_length", 32 * 1024 * 1024),)


class Gateway:
    """Calls OperationsService with the token and the certificate of the settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @property
    def target(self) -> str:
        return self._settings.gateway

    def call(self, method: str, request: Message) -> Any:
        """The answer; raises the error that the server raised, Unavailable if there was none."""
        return asyncio.run(self._call(method, request))

    async def _call(self, method: str, request: Message) -> Any:
        connection = Connection(
            self._settings.gateway,
            self._settings.tls,
            _OPTIONS,
            operations_pb2_grpc.OperationsServiceStub,
        )
        metadata = (("authorization", f"Bearer {self._settings.token.reveal()}"),)
        try:
            for attempt in range(1, CALLS_MAX + 1):
                try:
                    call = getattr(connection.stub(), method)
                    return await call(request, timeout=CALL_SECONDS, metadata=metadata)
                except grpc.RpcError as error:
                    known = from_rpc_error(error)
                    if not isinstance(known, Unavailable) or attempt == CALLS_MAX:
                        raise known from error
                await asyncio.sleep(RETRY_SECONDS * 2 ** (attempt - 1))
            raise AssertionError("the last call returns or raises")
        finally:
            await connection.close()
