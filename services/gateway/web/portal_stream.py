"""Server-sent events of one submission: an open page learns that there is something to read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from general_level.client import convert
from general_level.errors import GeneralLevelError
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
        self._following: set[asyncio.Task[None]] = set()

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
        for task in self._following:
            task.cancel()

    async def _events(self, caller: Caller, submission_id: str) -> AsyncIterator[str]:
        news: asyncio.Queue[str] = asyncio.Queue()
        # A task of its own: a reader that goes away cancels it and waits for nothing.
        task = asyncio.create_task(self._follow(caller, submission_id, news))
        self._following.add(task)
        task.add_done_callback(self._following.discard)
        try:
            yield f"retry: {RETRY_MS}\n\n"
            while True:
                try:
                    async with asyncio.timeout(PING_SECONDS):
                        event = await news.get()
                except TimeoutError:
                    yield ": still here\n\n"
                    continue
                if not event:
                    return
                yield event
                news.task_done()
        finally:
            task.cancel()

    async def _follow(self, caller: Caller, submission_id: str, news: asyncio.Queue[str]) -> None:
        """Puts an event for each change, and an empty one when nothing more comes."""
        try:
            async with aclosing(self._desk.watch(caller, submission_id)) as changes:
                async for view in changes:
                    news.put_nowait(f"event: change\ndata: {convert.state(view.state)}\n\n")
                    # Not faster than the reader takes them.
                    await news.join()
                    await asyncio.sleep(PACE_SECONDS)
            news.put_nowait("event: end\ndata: final\n\n")
        except GeneralLevelError as error:
            news.put_nowait(f"event: end\ndata: {error.reason}\n\n")
        finally:
            news.put_nowait("")
