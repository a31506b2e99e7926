"""What every request meets before a page: whose it is, whether it may ask, how long it took.

Outside of everything stand the headers of security, so that no answer is without them, and a last
answer for what nobody foresaw, which tells nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from general_level.catalogue.limits import MAX_ARCHIVE_BYTES
from general_level.errors import GeneralLevelError, InvalidRequest, ResourceExhausted
from services.gateway.places import Places
from services.gateway.web import rate_limits, telemetry
from services.gateway.web.rate_limits import Rate, RateLimit, TooManyRequests, reader_of
from services.gateway.web.security import SecurityHeaders
from services.gateway.web.telemetry import EVENTS, HEALTH, STREAMS, UPLOADS, WebTelemetry, kind_of
from services.kit.logging import get_logger

#: Bytes of a request's body, but for an archive's.
BODY_BYTES_MAX: Final = 1024 * 1024
#: Characters of a query; no page offers a longer one.
QUERY_CHARACTERS_MAX: Final = 1_000
#: When a page that holds too many streams may ask for another.
RETRY_SECONDS: Final = 30
#: Turns an error into an answer in the reader's form.
Refuse = Callable[[Request, Exception], Response]


class RequestTooLarge(InvalidRequest):
    """The request is larger than any that the pages take."""

    reason = "REQUEST_TOO_LARGE"


class WebLimits:
    """The limits of one gateway's readers, and who counts their refusals."""

    def __init__(
        self, told: WebTelemetry | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._told = told

        def limit(what: str, at_once: int, per_second: float) -> RateLimit:
            return RateLimit(Rate(at_once, per_second), lambda: self.refused(what), clock)

        self.requests = limit(
            telemetry.REQUESTS, rate_limits.REQUESTS_AT_ONCE, rate_limits.REQUESTS_PER_SECOND
        )
        self.searches = limit(
            telemetry.SEARCHES, rate_limits.SEARCHES_AT_ONCE, rate_limits.SEARCHES_PER_SECOND
        )
        self.renders = limit(
            telemetry.RENDERS, rate_limits.RENDERS_AT_ONCE, rate_limits.RENDERS_PER_SECOND
        )
        self.sign_ins = limit(
            telemetry.SIGN_INS, rate_limits.SIGN_INS_AT_ONCE, rate_limits.SIGN_INS_PER_SECOND
        )
        #: Event streams of one reader at once.
        self.streams = Places(rate_limits.STREAMS_AT_ONCE)

    def admit(self, request: Request, alone: bool) -> None:
        """Whether a page may be made for this reader; raises TooManyRequests if not.

        ``alone`` is whether nobody else would ask for it.
        """
        (self.searches if alone else self.renders).check(client_of(request))

    def refused(self, what: str) -> None:
        """This limit refused a request."""
        if self._told is not None:
            self._told.refused(what)


def client_of(request: Request) -> str:
    """The reader's address, as far as it is known."""
    return request.client.host if request.client else ""


class Edge:
    """The site behind its limits; ``trusted`` are the networks of the proxies in front of it."""

    def __init__(
        self,
        site: ASGIApp,
        *,
        refuse: Refuse,
        limits: WebLimits,
        told: WebTelemetry,
        trusted: Iterable[IPv4Network | IPv6Network] = (),
    ) -> None:
        self._site = site
        self._refuse = refuse
        self._limits = limits
        self._told = told
        # uvicorn and Starlette name the same ASGI application by types of their own.
        counted: Any = self._counted
        proxied: Any = ProxyHeadersMiddleware(counted, [str(network) for network in trusted])
        self._app = SecurityHeaders(proxied)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    async def _counted(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = time.perf_counter()
        kind = kind_of(scope["path"])
        status, complete = 0, False

        async def watched(message: Message) -> None:
            nonlocal status, complete
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                complete = not message.get("more_body", False)
            await send(message)

        try:
            await self._limited(kind, scope, receive, watched)
        except Exception as error:
            # Nothing is lost: what was answered with 500 was logged, and is only raised again.
            if not status:
                await self._unforeseen(scope, error)(scope, receive, watched)
            elif not (complete and status == 500):
                get_logger().error("page broke off", error=type(error).__name__, exc_info=error)
        finally:
            # A reader who left before the first line got no status.
            self._told.answered(kind, status or 400, time.perf_counter() - begun)

    async def _limited(self, kind: str, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        reader = reader_of(client_of(request))
        with ExitStack() as held:
            try:
                most = MAX_ARCHIVE_BYTES if kind == UPLOADS else BODY_BYTES_MAX
                _check_size(request, most)
                if kind != HEALTH:
                    self._limits.requests.check(reader)
                if kind == EVENTS:
                    held.enter_context(self._stream(reader))
            except GeneralLevelError as error:
                await self._refuse(request, error)(scope, receive, send)
                return
            await self._site(scope, _bounded(receive, most), send)

    @contextmanager
    def _stream(self, reader: str) -> Iterator[None]:
        with ExitStack() as held:
            try:
                held.enter_context(self._limits.streams.take(reader))
            except ResourceExhausted as error:
                self._limits.refused(STREAMS)
                raise TooManyRequests(
                    "It holds all the streams that it may.", retry_after_seconds=RETRY_SECONDS
                ) from error
            self._told.streams(1)
            try:
                yield
            finally:
                self._told.streams(-1)

    def _unforeseen(self, scope: Scope, error: Exception) -> Response:
        try:
            return self._refuse(Request(scope), error)
        except Exception as second:
            get_logger().error("error page failed", error=type(second).__name__, exc_info=second)
            return PlainTextResponse("Something went wrong here.\n", 500)


def _check_size(request: Request, most: int) -> None:
    length = request.headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit() and int(length[:20]) <= most):
        raise RequestTooLarge(limit_bytes=most)
    if len(request.scope["query_string"]) > QUERY_CHARACTERS_MAX:
        raise RequestTooLarge("Ask with a shorter query.", limit_characters=QUERY_CHARACTERS_MAX)


def _bounded(receive: Receive, most: int) -> Receive:
    """Of a body that does not announce its size, no more than the limit."""
    size = 0

    async def bounded() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > most:
            raise RequestTooLarge(limit_bytes=most)
        return message

    return bounded
