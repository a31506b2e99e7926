"""Bringing the schema up to date with Alembic; every start does it, and doing it twice is safe."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from services.gateway.storage.database import Database, serialise

#: A change of a table waits so long for the transactions that use it. They wait behind it, so it
#: gives up rather than stop a platform that is running; the next start tries again.
LOCK_SECONDS = 10


def config_for(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    return config


def upgrade(database: Database) -> None:
    """Applies the migrations that are missing, in one transaction; replicas take turns."""
    with database.write() as connection:
        if connection.dialect.name == "postgresql":
            # Another replica may be at it for as long as a table of rows takes to be changed.
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SET LOCAL lock_timeout = 0"))
            serialise(connection, "schema")
            connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"))
        command.upgrade(config_for(connection), "head")
