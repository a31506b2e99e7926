"""SQLite: one file, one writer, for a platform on one machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Connection, create_engine, event, text

#: How long a writer of another process is waited for.
BUSY_SECONDS: Final = 30
#: Threads that wait for the database; more would only queue on the one writer.
THREADS_MAX: Final = 8


class SqliteStore:
    """An engine whose write transactions take the write lock at their start (BEGIN IMMEDIATE), so
    that none fails half-way on an upgrade of its lock."""

    def __init__(self, url: str) -> None:
        # Errors of the driver are logged: what was to be written stays out of their text.
        self.engine = create_engine(
            url,
            hide_parameters=True,
            connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
        )
        self.threads = THREADS_MAX
        self._writer = threading.Lock()
        event.listen(self.engine, "connect", _configure)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads, and sees one state of the database to its end."""
        with self.engine.connect() as connection:
            # Else each statement would see another state of the database.
            connection.execute(text("BEGIN"))
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that commits at the end, or leaves nothing behind if an error is raised."""
        with self._writer, self.engine.connect() as connection:
            connection.execute(text("BEGIN IMMEDIATE"))
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()


def _configure(connection: Any, _record: object) -> None:
    # The driver must not begin transactions by itself: `write` says BEGIN IMMEDIATE.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    # What was acknowledged (a part, a score, a state) survives a power cut, as the objects do.
    # NORMAL would lose the last commits; FULL costs one sync of the log for each commit.
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()
