"""Bringing the schema up to date with Alembic; every start does it, and doing it twice is safe."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from services.gateway.storage.database import Database, serialise


def config_for(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    return config


def upgrade(database: Database) -> None:
    """Applies the migrations that are missing, in one transaction; replicas take turns."""
    with database.write() as connection:
        serialise(connection, "schema")
        command.upgrade(config_for(connection), "head")
