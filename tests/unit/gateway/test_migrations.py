"""The migrations build exactly the tables that the code uses, once, whoever runs them."""

from __future__ import annotations

import threading
import uuid

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, select, text

from services.gateway import identity
from services.gateway.storage.database import Database
from services.gateway.storage.migrate import config_for, upgrade
from services.gateway.storage.schema import schema_revisions
from services.gateway.storage.tables import Instant, labs, metadata
from tests.support.gateway import START, open_database

pytestmark = pytest.mark.usefixtures("rows")


@pytest.fixture
def empty_url(tmp_path, rows):
    """A database without tables."""
    if rows.postgres is None:
        return f"sqlite:///{tmp_path / 'new.db'}"
    return rows.postgres.create(f"empty_{uuid.uuid4().hex}")


@pytest.fixture
def empty(empty_url):
    database = Database(empty_url)
    yield database
    database.close()


def same_type(_context, _inspected, _column, found, wanted):
    """No difference where a time is kept as the whole number that it is."""
    return False if isinstance(wanted, Instant) and "INT" in str(found) else None


def of_migrations(name, kind, _parents):
    return kind != "table" or name != schema_revisions.name


def test_an_upgrade_from_nothing_gives_the_tables_of_the_code(empty):
    upgrade(empty)
    with empty.read() as connection:
        options = {"compare_type": same_type, "include_name": of_migrations}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []
        names = set(inspect(connection).get_table_names())
    assert names == set(metadata.tables) | {"alembic_version", "schema_revisions"}


def test_constraints_that_keep_counts_exact_are_in_the_database(empty):
    upgrade(empty)
    with empty.read() as connection:
        looked = inspect(connection)
        unique = {
            table: {tuple(one["column_names"]) for one in looked.get_unique_constraints(table)}
            for table in ("submissions", "quota_ledger", "score_ledger", "labs")
        }
    assert ("lab_id", "request_id") in unique["submissions"]
    assert ("submission_id", "action") in unique["quota_ledger"]
    assert ("submission_id", "kind", "task_id", "edition") in unique["score_ledger"]
    assert ("name",) in unique["labs"]


def test_a_second_upgrade_changes_nothing_and_keeps_the_rows(tmp_path):
    with open_database(tmp_path) as database:
        with database.write() as connection:
            lab_id = identity.create_lab(connection, START, "Example Lab")
        upgrade(database)
        with database.read() as connection:
            assert connection.scalar(select(labs.c.lab_id)) == lab_id


def test_replicas_that_start_together_upgrade_once(empty_url):
    databases = [Database(empty_url) for _ in range(4)]
    failures: list[Exception] = []

    def start(database: Database) -> None:
        try:
            upgrade(database)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=start, args=[database]) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with databases[0].read() as connection:
        versions = connection.execute(text("SELECT version_num FROM alembic_version")).all()
    for database in databases:
        database.close()
    assert failures == []
    assert len(versions) == 1


def test_the_chain_of_migrations_has_one_end(empty):
    with empty.read() as connection:
        script = ScriptDirectory.from_config(config_for(connection))
    assert len(script.get_heads()) == 1
    assert len(script.get_bases()) == 1
