"""The one place where an error of ours becomes a gRPC status, for every service's handlers."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from grpc_status import rpc_status

from general_level.errors import GeneralLevelError
from general_level.wire import to_status
from services.kit.logging import get_logger

Handler = Callable[[Any, Any], Any]

#: UTF-8 bytes of an error's message and of all its data as sent. Clients refuse trailers of 8 KiB,
#: in which the message stands twice; an error that repeats a huge request must still arrive.
MESSAGE_BYTES_MAX = 1_000
DATA_BYTES_MAX = 2_000


class Internal(GeneralLevelError):
    """The platform met an error of its own; it was logged and is not your fault."""

    reason = "INTERNAL"


async def _abort(context: Any, error: BaseException, method: str) -> None:
    if isinstance(error, GeneralLevelError):
        get_logger().info("rpc refused", method=method, reason=error.reason)
        known = error
    else:
        # The message of an unforeseen error may hold anything: it stays in our log.
        get_logger().error("rpc failed", method=method, error=type(error).__name__, exc_info=error)
        known = Internal()
    _shorten(known)
    await context.abort_with_status(rpc_status.to_status(to_status(known)))


def _shorten(error: GeneralLevelError) -> None:
    """Cuts what the error says to what fits into the trailers of a response."""
    error.args = (_cut(str(error), MESSAGE_BYTES_MAX),)
    left = DATA_BYTES_MAX
    for key, value in error.metadata.items():
        error.metadata[key] = _cut(value, min(left, DATA_BYTES_MAX // 4))
        left = max(0, left - len(error.metadata[key].encode()))


def _cut(text: str, longest_bytes: int) -> str:
    data = text.encode("utf-8", "replace")
    if len(data) <= longest_bytes:
        return data.decode()
    return data[:longest_bytes].decode("utf-8", "ignore") + "…"


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Turns raised errors into statuses with ``google.rpc.ErrorInfo`` (AIP-193)."""

    async def intercept_service(
        self,
        continuation: Callable[[Any], Awaitable[Any]],
        handler_call_details: Any,
    ) -> Any:
        handler: Any = await continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method
        if handler.response_streaming:
            kind = (
                grpc.stream_stream_rpc_method_handler
                if handler.request_streaming
                else grpc.unary_stream_rpc_method_handler
            )
            inner = handler.stream_stream or handler.unary_stream
            return kind(
                _guard_stream(inner, method),
                request_deserializer=handler.request_deserializer,
                response_serializer=handler.response_serializer,
            )
        kind = (
            grpc.stream_unary_rpc_method_handler
            if handler.request_streaming
            else grpc.unary_unary_rpc_method_handler
        )
        inner = handler.stream_unary or handler.unary_unary
        return kind(
            _guard_unary(inner, method),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )


def _guard_unary(inner: Handler, method: str) -> Handler:
    async def guarded(request: Any, context: Any) -> Any:
        try:
            return await inner(request, context)
        except grpc.aio.AbortError:
            raise
        except Exception as error:
            await _abort(context, error, method)

    return guarded


def _guard_stream(inner: Handler, method: str) -> Handler:
    if not inspect.isasyncgenfunction(inner):
        # It writes its messages by the context, as Watch of gRPC's own health service does.
        return _guard_unary(inner, method)

    async def guarded(request: Any, context: Any) -> AsyncIterator[Any]:
        try:
            async for message in inner(request, context):
                yield message
        except grpc.aio.AbortError:
            raise
        except Exception as error:
            await _abort(context, error, method)

    return guarded
