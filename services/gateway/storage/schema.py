"""What a database tells of its own schema, for code that is older than it.

Old code lacks the files of newer migrations. So each database keeps the list of those that it went
through, in a table of its own beside Alembic's, which no migration makes: it must be readable
before one knows what else is.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import (
    Column,
    Connection,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    insert,
    inspect,
    select,
    text,
)

from general_level.errors import GeneralLevelError
from services.gateway.storage.postgres import APPLICATION_NAME
from services.gateway.storage.revisions import Migration, Phase
from services.gateway.storage.tables import Instant
from services.kit.logging import get_logger

#: Never changed but by adding columns: every release reads it.
schema_revisions: Final = Table(
    "schema_revisions",
    MetaData(),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("revision", String(32), nullable=False, unique=True),
    # As `revisions.Phase`.
    Column("phase", String(20), nullable=False),
    # The newest revision of the oldest code that works after it; empty if that has not changed.
    Column("oldest_code", String(32), nullable=False),
    Column("apply_time", Instant, nullable=False),
)


class SchemaTooNew(GeneralLevelError):
    """The database's schema has left this version behind: start a newer one."""

    reason = "SCHEMA_TOO_NEW"


class SchemaUnknown(GeneralLevelError):
    """The database's schema is none that this version came from: the wrong database or version."""

    reason = "SCHEMA_UNKNOWN"


class SchemaInUse(GeneralLevelError):
    """Gateways run that the new schema would leave behind: upgrade or stop them first."""

    reason = "SCHEMA_IN_USE"


def record(connection: Connection, now: datetime, applied: Sequence[Migration]) -> None:
    """Keeps the migrations that were applied, the oldest first; those that are kept stay."""
    schema_revisions.create(connection, checkfirst=True)
    kept = set(connection.scalars(select(schema_revisions.c.revision)))
    rows = [
        {
            "position": position,
            "revision": one.revision,
            "phase": str(one.phase),
            "oldest_code": one.oldest_code,
            "apply_time": now,
        }
        for position, one in enumerate(applied)
        if one.revision not in kept
    ]
    if rows:
        connection.execute(insert(schema_revisions), rows)


def require_usable(connection: Connection, current: str, code: str) -> None:
    """Whether code of the revision ``code``, which does not know ``current``, works on the schema.

    SchemaUnknown unless the schema came from that revision, SchemaTooNew if it went on too far.
    """
    rows: Sequence[Row[tuple[int, str, str, str, datetime]]] = ()
    if inspect(connection).has_table(schema_revisions.name):
        rows = connection.execute(select(schema_revisions).order_by("position")).all()
    places = {row.revision: row.position for row in rows}
    if current not in places or code not in places:
        raise SchemaUnknown(schema=current, code=code)
    for row in rows:
        # An oldest code that is not in the list is of another history: too new, surely.
        if row.oldest_code and places[code] < places.get(row.oldest_code, row.position):
            raise SchemaTooNew(
                f"It needs {row.oldest_code} or later, and this is {code}.",
                schema=current,
                code=code,
                oldest_code=row.oldest_code,
            )
    get_logger().warning("schema is newer than this version", schema=current, code=code)


def require_no_older(connection: Connection, migration: Migration, known: Sequence[str]) -> None:
    """SchemaInUse while a gateway is connected that could not go on after a contraction.

    Gateways say their revision in the name of their connections. One that starts meanwhile waits
    for the migration's lock, and then sees the new schema. SQLite has one gateway, and no names.
    """
    if migration.phase is not Phase.CONTRACT or connection.dialect.name != "postgresql":
        return
    names = connection.scalars(
        text(
            "SELECT application_name FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    )
    floor = known.index(migration.oldest_code)
    older = set()
    for name in names:
        service, _, revision = name.partition("/")
        if service == APPLICATION_NAME and revision in ("", *known[:floor]):
            older.add(revision or "unknown")
    if older:
        raise SchemaInUse(
            f"Migration {migration.revision} needs {migration.oldest_code} or later, and there are "
            f"gateways of {', '.join(sorted(older))}.",
            revision=migration.revision,
            oldest_code=migration.oldest_code,
            running=",".join(sorted(older)),
        )
