"""The engine: transactions that behave alike on SQLite and PostgreSQL.

Calls are synchronous and run in a small thread pool, so the event loop never waits for a disk.
``write`` transactions are serialised where the database needs it: SQLite takes its write lock at
the start (BEGIN IMMEDIATE), so a transaction never fails half-way on an upgrade of its lock.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import OperationalError

from general_level.errors import Unavailable

P = ParamSpec("P")
T = TypeVar("T")

#: Threads that wait for the database; more would only queue on SQLite's one writer.
THREADS_MAX = 8
#: How long a SQLite writer of another process is waited for.
BUSY_SECONDS = 30


class StorageFailed(Unavailable):
    """The database did not do what was asked."""

    reason = "STORAGE_FAILED"


class Database:
    """One engine and its threads. ``url`` as SQLAlchemy spells it, e.g. ``sqlite:///file.db``."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        self.engine = _sqlite_engine(url) if self.is_sqlite else _engine(url)
        self._writer = threading.Lock()
        self._threads = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="database")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads."""
        with _storage_errors(), self.engine.connect() as connection:
            if self.is_sqlite:
                # Else each statement would see another state of the database.
                connection.execute(text("BEGIN"))
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that commits at the end, or leaves nothing behind if an error is raised."""
        if not self.is_sqlite:
            with _storage_errors(), self.engine.begin() as connection:
                yield connection
            return
        with self._writer, _storage_errors(), self.engine.connect() as connection:
            connection.execute(text("BEGIN IMMEDIATE"))
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    async def run_read(
        self, call: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Runs ``call(connection, …)`` in a read transaction on a thread."""

        def work() -> T:
            with self.read() as connection:
                return call(connection, *args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def run_write(
        self, call: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Runs ``call(connection, …)`` in a write transaction on a thread.

        A cancelled caller (a client that went away) does not undo it: what was decided is kept.
        """

        def work() -> T:
            with self.write() as connection:
                return call(connection, *args, **kwargs)

        loop = asyncio.get_running_loop()
        return await asyncio.shield(loop.run_in_executor(self._threads, work))

    def close(self) -> None:
        self._threads.shutdown(wait=True)
        self.engine.dispose()


@contextmanager
def _storage_errors() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        # The driver's text names the statement and its values: it stays out of the answer.
        raise StorageFailed(kind=type(error.orig).__name__) from error


def _engine(url: str, **options: Any) -> Engine:
    # Errors of the driver are logged: what was to be written stays out of their text.
    return create_engine(url, hide_parameters=True, **options)


def _sqlite_engine(url: str) -> Engine:
    engine = _engine(url, connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: object) -> None:
        # The driver must not begin transactions by itself: `write` says BEGIN IMMEDIATE.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        # What was acknowledged (a part, a score, a state) survives a power cut, as the objects do.
        # NORMAL would lose the last commits; FULL costs one sync of the log for each commit.
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    return engine


def serialise(connection: Connection, name: str) -> None:
    """Serialises the writers of one named thing until the transaction ends.

    SQLite has one writer anyway; PostgreSQL takes a transaction-level advisory lock.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": name})
