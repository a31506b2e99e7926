"""Bringing the schema up to date with Alembic; every start does it, and doing it twice is safe.

The platform runs meanwhile, with gateways of this version and of the one before
(`docs/decisions/0015`): a migration is short, and gives up its place rather than hold others up.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Final

from alembic import command
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from general_level.errors import Unavailable
from services.gateway.storage.database import Database, StorageFailed, serialise
from services.gateway.storage.revisions import Migration, chain, config_for
from services.gateway.storage.schema import record, require_no_older, require_usable
from services.gateway.storage.transactions import LOST_AGAINST_ANOTHER
from services.kit.clock import SystemClock
from services.kit.logging import get_logger

__all__ = ["SchemaLocked", "config_for", "upgrade"]

#: A change of a table waits so long for the transactions that use it. Others wait behind it, so it
#: gives up and tries again after a pause, in which they get on.
LOCK_SECONDS: Final = 2
ATTEMPTS_MAX: Final = 20
PAUSE_SECONDS: Final = (0.5, 2.0)
#: SQLSTATE lock_not_available, and those of a transaction that was given up for another.
_BLOCKED: Final = frozenset({"55P03", *LOST_AGAINST_ANOTHER})


class SchemaLocked(Unavailable):
    """A change of the schema found no moment between other transactions; try again."""

    reason = "SCHEMA_LOCKED"


def upgrade(database: Database, pause: Callable[[float], None] = time.sleep) -> None:
    """Applies the migrations that are missing, each in a transaction; replicas take turns.

    On a schema that is newer than this code it changes nothing, if this code works on it:
    SchemaTooNew, SchemaUnknown. SchemaInUse, SchemaLocked where a migration cannot be done now.
    """
    attempts = 0
    while True:
        try:
            applied = _apply_next(database)
        except StorageFailed as error:
            attempts += 1
            if not _was_blocked(error):
                raise
            if attempts >= ATTEMPTS_MAX:
                raise SchemaLocked(attempts=attempts) from error
            # Not for a secret: two that met must not meet again.
            pause(random.uniform(*PAUSE_SECONDS))  # noqa: S311
            continue
        if applied is None:
            return
        get_logger().info("schema migrated", revision=applied.revision, phase=str(applied.phase))


def _apply_next(database: Database) -> Migration | None:
    """The oldest migration that is missing, applied now; None if there is none to apply."""
    known = chain()
    names = [one.revision for one in known]
    now = SystemClock().now()
    with database.write() as connection:
        _take_turn(connection)
        current = MigrationContext.configure(connection).get_current_revision()
        if current is not None and current not in names:
            require_usable(connection, current, names[-1])
            return None
        done = names.index(current) + 1 if current is not None else 0
        record(connection, now, known[:done])
        if done == len(known):
            return None
        wanted = known[done]
        require_no_older(connection, wanted, names)
        command.upgrade(config_for(connection), wanted.revision)
        record(connection, now, known[: done + 1])
    return wanted


def _take_turn(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        # Another replica may be at it for as long as a table of rows takes to be changed.
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SET LOCAL lock_timeout = 0"))
        serialise(connection, "schema")
        connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"))


def _was_blocked(error: StorageFailed) -> bool:
    cause = getattr(error.__cause__, "orig", None)
    return getattr(cause, "sqlstate", None) in _BLOCKED
