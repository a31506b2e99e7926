"""PostgreSQL: many writers at once, for a platform of several gateways.

Writers run at READ COMMITTED and lock the rows that they decide on (`docs/decisions/0013`);
readers at REPEATABLE READ, so that they see one state of the database to their end. Every wait has
an end: for a connection, for a lock, for a statement, for a server that is gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from sqlalchemy import URL, Connection, create_engine, event, make_url
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError

from services.gateway.storage.revisions import code_revision
from services.gateway.storage.transactions import (
    OutcomeUnknown,
    StorageFailed,
    lost_against_another,
)

#: What ``pg_stat_activity`` shows, with ``/`` and the newest revision of this code, unless the URL
#: names another.
APPLICATION_NAME: Final = "general-level-gateway"
#: A connection is made anew after this long: credentials and addresses change.
RECYCLE_SECONDS: Final = 1_800
#: A peer that is silent: asked after this long, this often, and given up after so many; what was
#: sent and is not acknowledged breaks the connection after the last (ms).
KEEPALIVES: Final = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one gateway asks of its PostgreSQL."""

    connections: int = 8
    """Kept in the pool; two more listen and hold claims. As many calls are worked at once."""
    connect_seconds: int = 5
    """A server that does not answer is given up."""
    statement_seconds: int = 30
    """A statement that runs longer is ended, and its transaction undone."""
    lock_seconds: int = 10
    """A lock is waited for at most so long; less than a statement's time."""
    idle_seconds: int = 60
    """A transaction that does nothing for so long is ended by the server: its locks go back."""


class PostgresStore:
    """An engine with a pool; ``url`` as SQLAlchemy spells it, with or without ``+psycopg``."""

    def __init__(self, url: str, limits: Limits | None = None) -> None:
        limits = limits or Limits()
        self.url = driver_url(url)
        self.engine = create_engine(
            self.url,
            # Errors of the driver are logged: what was to be written stays out of their text.
            hide_parameters=True,
            pool_size=limits.connections,
            max_overflow=0,
            pool_timeout=limits.statement_seconds,
            pool_recycle=RECYCLE_SECONDS,
            isolation_level="READ COMMITTED",
            connect_args=connect_arguments(self.url, limits),
        )
        event.listen(self.engine, "handle_error", _hide_values)
        self._reading = self.engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self.threads = limits.connections

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads, and sees one state of the database to its end."""
        with self._reading.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that commits at the end, or leaves nothing behind if an error is raised.

        OutcomeUnknown if the connection broke during the commit.
        """
        with self.engine.connect() as connection:
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            _commit(connection)


def _commit(connection: Connection) -> None:
    try:
        connection.commit()
    except DBAPIError as error:
        if lost_against_another(error):
            raise
        kind = type(error.orig).__name__
        if error.connection_invalidated:
            raise OutcomeUnknown(kind=kind) from error
        raise StorageFailed(kind=kind) from error


def _hide_values(context: ExceptionContext) -> None:
    """Takes values of rows out of an error's text: it is logged.

    PostgreSQL adds them as detail ("Key (name)=(…) already exists"), and to the first line of what
    it says of data (class 22).
    """
    error = context.original_exception
    if not isinstance(error, psycopg.Error) or error.diag.sqlstate is None:
        return
    diag = error.diag
    words = [f"SQLSTATE {diag.sqlstate}"]
    if not error.diag.sqlstate.startswith("22"):
        words.append(diag.message_primary or "")
    if diag.constraint_name:
        words.append(diag.constraint_name)
    said = ", ".join(words)
    error.args = (said,)
    if context.sqlalchemy_exception is not None:
        context.sqlalchemy_exception.args = (f"({type(error).__name__}) {said}",)


def driver_url(url: str) -> URL:
    """The URL with our driver, whichever way PostgreSQL is named in it."""
    given = make_url(url)
    return given.set(drivername="postgresql+psycopg")


def connect_arguments(url: URL, limits: Limits) -> dict[str, Any]:
    """Arguments of libpq; what the URL itself says wins."""
    options = {
        "statement_timeout": limits.statement_seconds,
        "lock_timeout": limits.lock_seconds,
        "idle_in_transaction_session_timeout": limits.idle_seconds,
    }
    wanted: dict[str, Any] = {
        "application_name": f"{APPLICATION_NAME}/{code_revision()}",
        "connect_timeout": limits.connect_seconds,
        "options": " ".join(f"-c {name}={seconds}s" for name, seconds in options.items()),
        **KEEPALIVES,
    }
    return {name: value for name, value in wanted.items() if name not in url.query}
