"""The database: transactions that behave alike on SQLite and PostgreSQL, chosen by URL.

Calls are synchronous and run in a small thread pool, so the event loop never waits for a disk.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Concatenate, Final, ParamSpec, TypeVar

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from services.gateway.storage.postgres import Limits, PostgresStore
from services.gateway.storage.sqlite import SqliteStore
from services.gateway.storage.transactions import (
    OutcomeUnknown,
    StorageFailed,
    ValueRefused,
    connection_broke,
    lost_against_another,
    storage_errors,
)

__all__ = [
    "Database",
    "OutcomeUnknown",
    "StorageFailed",
    "ValueRefused",
    "after_commit",
    "serialise",
]

P = ParamSpec("P")
T = TypeVar("T")

#: Runs of one transaction, the first included, where another one was preferred (a deadlock).
RUNS_MAX: Final = 5
#: The wait before the second run, at most; it doubles with each further one.
RERUN_SECONDS: Final = 0.02
#: Where a connection keeps what is to be called after its transaction.
_AFTER: Final = "after commit"


class Database:
    """One engine and its threads.

    ``url`` as SQLAlchemy spells it: ``sqlite:////file.db`` or ``postgresql://user@host/name``.
    ``limits`` are of PostgreSQL.
    """

    def __init__(self, url: str, limits: Limits | None = None) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        store = SqliteStore(url) if self.is_sqlite else PostgresStore(url, limits)
        self._store: SqliteStore | PostgresStore = store
        self.engine = store.engine
        self._threads = ThreadPoolExecutor(store.threads, thread_name_prefix="database")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads."""
        with storage_errors(), self._store.read() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that commits at the end, or leaves nothing behind if an error is raised."""
        with storage_errors(), self._writing() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._store.write() as connection:
            # The pool gives a connection out again with what it keeps.
            connection.info.pop(_AFTER, None)
            yield connection
            calls = connection.info.pop(_AFTER, ())
        for call in calls:
            call()

    async def run_read(
        self, call: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Runs ``call(connection, …)`` in a read transaction on a thread."""

        def work() -> T:
            with self._store.read() as connection:
                return call(connection, *args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._threads, _run, work)

    async def run_write(
        self, call: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Runs ``call(connection, …)`` in a write transaction on a thread.

        A cancelled caller (a client that went away) does not undo it: what was decided is kept.
        On PostgreSQL it may run several times, and all runs but the last leave nothing behind: the
        call does nothing but through the connection.
        """

        def work() -> T:
            with self._writing() as connection:
                return call(connection, *args, **kwargs)

        loop = asyncio.get_running_loop()
        return await asyncio.shield(loop.run_in_executor(self._threads, _run, work))

    def close(self) -> None:
        self._threads.shutdown(wait=True)
        self.engine.dispose()


def _run(work: Callable[[], T]) -> T:
    """Runs a transaction, again where that is safe and helps.

    A pooled connection that broke while it was idle (the server was restarted) costs one run; the
    second gets a new one. If that fails, too, the database is away: the caller is told at once.
    """
    runs, reconnected = 1, False
    with storage_errors():
        while True:
            try:
                return work()
            except DBAPIError as error:
                if lost_against_another(error) and runs < RUNS_MAX:
                    # Not for a secret: two that met must not meet again.
                    time.sleep(random.uniform(0, RERUN_SECONDS * 2**runs))  # noqa: S311
                    runs += 1
                elif connection_broke(error) and not reconnected:
                    reconnected = True
                else:
                    raise


def after_commit(connection: Connection, call: Callable[[], None]) -> None:
    """Calls in the thread of a write transaction once it is committed; never if it is undone.

    For what is only told to others: where the commit's outcome is unknown it is not called.
    """
    connection.info.setdefault(_AFTER, []).append(call)


def serialise(connection: Connection, name: str) -> None:
    """Serialises the writers of one named thing until the transaction ends.

    SQLite has one writer anyway; PostgreSQL takes a transaction-level advisory lock.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name}
        )
