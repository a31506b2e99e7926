"""The one place where an error of ours becomes a gRPC status, for every service's handlers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from grpc_status import rpc_status

from general_level.errors import GeneralLevelError
from general_level.wire import to_status
from services.kit.logging import get_logger

Handler = Callable[[Any, Any], Any]


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
    await context.abort_with_status(rpc_status.to_status(to_status(known)))


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
    async def guarded(request: Any, context: Any) -> AsyncIterator[Any]:
        try:
            async for message in inner(request, context):
                yield message
        except grpc.aio.AbortError:
            raise
        except Exception as error:
            await _abort(context, error, method)

    return guarded
