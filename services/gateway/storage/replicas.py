"""What gateways on one database tell each other: wake-ups, and who is at which work.

Neither is ever the truth. A wake-up that is lost costs the time until the waiter's next look; a
claim that is lost costs work done twice, which the rows refuse the second time.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Protocol

import psycopg
from psycopg import sql

from services.gateway.signals import Signals
from services.gateway.storage.database import Database, StorageFailed
from services.gateway.storage.postgres import Limits, connect_arguments, driver_url
from services.kit.logging import get_logger

CHANNEL: Final = "general_level_signals"
#: A notification has less than 8,000 bytes; a topic has about 50.
TOPICS_PER_NOTIFICATION: Final = 100
#: Topics that wait while the database is away; what is more is left to the waiters' own looks.
TOPICS_MAX: Final = 10_000
#: Between two attempts to connect again: at first, and at most.
RECONNECT_SECONDS: Final = 0.2
RECONNECT_SECONDS_MAX: Final = 5.0
#: The first of the two numbers of an advisory lock that is a claim.
_CLAIMS: Final = 1


class Replicas(Protocol):
    """The other gateways, as one of them sees them."""

    async def start(self) -> None:
        """Begins to hear of the others and to be heard."""

    async def stop(self) -> None:
        """Ends that, and leaves all claims."""

    async def claim(self, work: str) -> bool:
        """Whether this gateway may begin the work: no other one is at it. StorageFailed."""

    async def leave(self, work: str) -> None:
        """Gives a claim back; the end of the process does so, too."""


class Alone:
    """The only gateway on its database: SQLite."""

    async def start(self) -> None:
        """Nobody is there to listen to."""

    async def stop(self) -> None:
        """Nobody is there to leave."""

    async def claim(self, work: str) -> bool:  # noqa: ARG002
        return True

    async def leave(self, work: str) -> None:
        """Nobody waits for it."""


class Together:
    """Several gateways on one PostgreSQL, by LISTEN and NOTIFY and by advisory locks.

    It has two connections of its own, beside the pool. Signals of this process are sent after they
    woke its own waiters, and never in the transaction of the change: a transaction that notifies
    makes every other one that does wait for its commit.
    """

    def __init__(self, url: str, signals: Signals, limits: Limits | None = None) -> None:
        given = driver_url(url)
        _, named = given.get_dialect()().create_connect_args(given)
        self._arguments: dict[str, Any] = {
            **named,
            **connect_arguments(given, limits or Limits()),
        }
        self._signals = signals
        #: Sent along, so that a gateway passes over what it said itself.
        self._name = secrets.token_hex(4)
        self._topics: dict[str, None] = {}
        self._told = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._claims: psycopg.AsyncConnection[Any] | None = None
        self._claiming = asyncio.Lock()
        self.listening = asyncio.Event()

    async def start(self) -> None:
        """Begins to listen and to speak; a database that is away is waited for."""
        self._signals.forward_to(self._tell)
        for work in (self._listen, self._speak):
            self._tasks.append(asyncio.create_task(self._for_ever(work)))

    async def stop(self) -> None:
        """Says what is still to be said, and leaves all claims."""
        self._signals.forward_to(None)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._topics:
            with suppress(psycopg.Error):
                async with await self._connect() as connection:
                    await self._send(connection)
        async with self._claiming:
            await self._drop_claims()

    async def claim(self, work: str) -> bool:
        async with self._claiming:
            try:
                if self._claims is None:
                    self._claims = await self._connect()
                return await _ask(self._claims, "pg_try_advisory_lock", work)
            except psycopg.Error as error:
                # With the connection all its claims are gone.
                await self._drop_claims()
                raise StorageFailed(kind=type(error).__name__) from error

    async def leave(self, work: str) -> None:
        async with self._claiming:
            if self._claims is not None:
                try:
                    await _ask(self._claims, "pg_advisory_unlock", work)
                except psycopg.Error:
                    await self._drop_claims()

    async def _drop_claims(self) -> None:
        if self._claims is not None:
            with suppress(psycopg.Error):
                await self._claims.close()
            self._claims = None

    def _tell(self, topic: str) -> None:
        if len(self._topics) < TOPICS_MAX:
            self._topics[topic] = None
            self._told.set()

    async def _listen(self, connected: Callable[[], None]) -> None:
        async with await self._connect() as connection:
            await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))
            # What was said before this moment was missed.
            self._signals.wake_all()
            connected()
            self.listening.set()
            try:
                async for notification in connection.notifies():
                    name, _, topics = notification.payload.partition("\n")
                    if name != self._name:
                        for topic in topics.split("\n"):
                            self._signals.wake(topic)
            finally:
                self.listening.clear()

    async def _speak(self, connected: Callable[[], None]) -> None:
        async with await self._connect() as connection:
            connected()
            while True:
                await self._told.wait()
                self._told.clear()
                await self._send(connection)

    async def _send(self, connection: psycopg.AsyncConnection[Any]) -> None:
        while self._topics:
            topics = list(self._topics)[:TOPICS_PER_NOTIFICATION]
            for topic in topics:
                del self._topics[topic]
            payload = "\n".join((self._name, *topics))
            await connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, payload))

    async def _for_ever(self, work: Callable[[Callable[[], None]], Any]) -> None:
        wait = RECONNECT_SECONDS

        def connected() -> None:
            nonlocal wait
            wait = RECONNECT_SECONDS

        while True:
            try:
                await work(connected)
            except psycopg.Error as error:
                get_logger().warning("no word to other gateways", kind=type(error).__name__)
            await asyncio.sleep(wait)
            wait = min(2 * wait, RECONNECT_SECONDS_MAX)

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        return await psycopg.AsyncConnection.connect(autocommit=True, **self._arguments)


async def _ask(connection: psycopg.AsyncConnection[Any], function: str, work: str) -> bool:
    query = sql.SQL("SELECT {}(%s, hashtext(%s))").format(sql.Identifier(function))
    cursor = await connection.execute(query, (_CLAIMS, work))
    row = await cursor.fetchone()
    return bool(row and row[0])


def replicas_of(database: Database, signals: Signals, limits: Limits | None = None) -> Replicas:
    """How the gateways on this database find each other."""
    if database.is_sqlite:
        return Alone()
    return Together(database.url, signals, limits)
