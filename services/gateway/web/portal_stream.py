"""Server-sent events of one submission: an open page learns that there is something to read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from general_level.client import convert
from general_level.errors import GeneralLevelError
from general_level.v1 import submission_pb2 as pb
from services.gateway.identity import Caller
from services.gateway.lab_desk import LabDesk
from services.gateway.web.portal_session import Sessions

#: A comment is sent this often where nothing changes, so that a broken connection is noticed.
PING_SECONDS: Final = 15.0
#: Between two events: a page of many tasks is not read again for each of them.
PACE_SECONDS: Final = 0.5
#: How long a browser waits before it comes back after a broken stream.
RETRY_MS: Final = 2_000


class PortalStream:
    """Streams over the desk's watches, with the desk's limit of them; ``end`` ends them all."""

    def __init__(self, *, sessions: Sessions, desk: LabDesk) -> None:
        self._sessions = sessions
        self._desk = desk
        self._ended = asyncio.Event()

    async def events(self, request: Request) -> Response:
        """An event ``change`` for each change, its state as data, and ``end`` after the last one.

        A session that ends meanwhile ends the stream with ``end`` as well; the page asks again and
        is sent to sign in.
        """
        session = await self._sessions.require(request)
        submission_id = request.path_params["submission_id"]
        # Who may not see it is told so before the stream begins.
        await self._desk.view(session.identity, submission_id)
        caller = await self._sessions.follow(session)
        return StreamingResponse(
            self._events(caller, submission_id),
            media_type="text/event-stream",
            headers={"x-accel-buffering": "no"},
        )

    def end(self) -> None:
        """Ends the streams, because the gateway stops."""
        self._ended.set()

    async def _events(self, caller: Caller, submission_id: str) -> AsyncIterator[str]:
        yield f"retry: {RETRY_MS}\n\n"
        ended = asyncio.ensure_future(self._ended.wait())
        coming: asyncio.Future[pb.Submission | None] | None = None
        try:
            async with aclosing(self._desk.watch(caller, submission_id)) as changes:
                while True:
                    coming = coming or asyncio.ensure_future(anext(changes, None))
                    either: set[asyncio.Future[Any]] = {coming, ended}
                    await asyncio.wait(
                        either, timeout=PING_SECONDS, return_when=asyncio.FIRST_COMPLETED
                    )
                    if ended.done():
                        break
                    if not coming.done():
                        yield ": still here\n\n"
                        continue
                    try:
                        view = coming.result()
                    except GeneralLevelError as error:
                        yield f"event: end\ndata: {error.reason}\n\n"
                        return
                    coming = None
                    if view is None:
                        yield "event: end\ndata: final\n\n"
                        return
                    yield f"event: change\ndata: {convert.state(view.state)}\n\n"
                    await asyncio.wait({ended}, timeout=PACE_SECONDS)
        finally:
            ended.cancel()
            if coming is not None:
                coming.cancel()
                with suppress(asyncio.CancelledError, GeneralLevelError):
                    await coming
