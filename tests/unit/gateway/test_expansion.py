"""Each migration says what it does to older code, and does that; older code knows when to stop."""

from __future__ import annotations

import ast
import threading
import uuid
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from alembic import command
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Column, Integer, String, insert, select, text

from services.gateway import identity
from services.gateway.storage import migrate
from services.gateway.storage.database import Database
from services.gateway.storage.migrate import ATTEMPTS_MAX, SchemaLocked, config_for, upgrade
from services.gateway.storage.revisions import (
    Migration,
    MigrationInvalid,
    Phase,
    chain,
    checked,
    code_revision,
)
from services.gateway.storage.schema import (
    SchemaInUse,
    SchemaTooNew,
    SchemaUnknown,
    require_no_older,
    schema_revisions,
)
from services.gateway.storage.tables import labs
from tests.support.expansion import broken_by, shape_of
from tests.support.gateway import START, open_database

VERSIONS = Path(migrate.__file__).parent / "versions"


@pytest.fixture
def database(tmp_path, rows):
    with open_database(tmp_path) as found:
        yield found


@pytest.fixture
def empty(tmp_path, rows):
    """A database without tables."""
    url = f"sqlite:///{tmp_path / 'new.db'}"
    if rows.postgres is not None:
        url = rows.postgres.create(f"empty_{uuid.uuid4().hex}")
    found = Database(url)
    yield found
    found.close()


@pytest.fixture
def later(database):
    """Leaves a database as a later release does, after these migrations; undone at the end."""
    made = []

    def leave(*migrations: Migration) -> None:
        with database.write() as connection:
            for place, one in enumerate(migrations, len(chain())):
                connection.execute(
                    insert(schema_revisions).values(
                        position=place,
                        revision=one.revision,
                        phase=str(one.phase),
                        oldest_code=one.oldest_code,
                        apply_time=START,
                    )
                )
                made.append(one.revision)
            _set_current(connection, migrations[-1].revision)

    yield leave
    with database.write() as connection:
        connection.execute(schema_revisions.delete().where(schema_revisions.c.revision.in_(made)))
        _set_current(connection, code_revision())


@contextmanager
def undone(database):
    """A transaction that leaves nothing behind: the database is used again."""
    with database.write() as connection:
        within = connection.begin_nested()
        yield connection
        within.rollback()


def _set_current(connection, revision):
    connection.execute(text("UPDATE alembic_version SET version_num = :now"), {"now": revision})


class TestDeclarations:
    def test_every_migration_declares_its_phase_in_its_own_file(self):
        files = sorted(VERSIONS.glob("[0-9]*.py"))
        assert len(files) == len(chain())
        for file, migration in zip(files, chain(), strict=True):
            assert file.name.startswith(f"{migration.revision}_")
            assigned = {
                target.id
                for node in ast.parse(file.read_text()).body
                if isinstance(node, ast.Assign)
                for target in node.targets
                if isinstance(target, ast.Name)
            }
            assert {"revision", "down_revision", "phase"} <= assigned, file.name
            assert ("oldest_code" in assigned) == (migration.phase is Phase.CONTRACT)

    def test_what_is_declared_is_read(self):
        first = SimpleNamespace(revision="1", phase="expand")
        second = SimpleNamespace(revision="2", phase="contract", oldest_code="1")
        assert checked([first, second])[1] == Migration("2", Phase.CONTRACT, "1")

    @pytest.mark.parametrize(
        "declared",
        [
            {},
            {"phase": "both"},
            {"phase": "expand", "oldest_code": "1"},
            {"phase": "contract"},
            {"phase": "contract", "oldest_code": "2"},
            {"phase": "contract", "oldest_code": "7"},
        ],
    )
    def test_what_a_rolling_upgrade_cannot_survive_is_refused(self, declared):
        first = SimpleNamespace(revision="1", phase="expand")
        with pytest.raises(MigrationInvalid):
            checked([first, SimpleNamespace(revision="2", **declared)])


class TestExpansions:
    def test_every_migration_that_expands_leaves_older_code_at_work(self, empty):
        before = None
        for migration in chain():
            with empty.write() as connection:
                command.upgrade(config_for(connection), migration.revision)
            with empty.read() as connection:
                after = shape_of(connection)
            if before is not None and migration.phase is Phase.EXPAND:
                assert broken_by(before, after) == [], migration.revision
            before = after
        assert before is not None

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            (lambda op: op.add_column("labs", Column("note", String(9))), []),
            (
                lambda op: op.add_column(
                    "labs", Column("note", String(9), nullable=False, server_default="")
                ),
                [],
            ),
            (lambda op: op.create_table("later", Column("a", Integer, primary_key=True)), []),
            (lambda op: op.create_index("ix_later", "labs", ["create_time"]), []),
            (
                lambda op: op.create_index("ux_later", "labs", ["create_time"], unique=True),
                ["labs has a new rule: unique ['create_time']"],
            ),
            (lambda op: op.drop_column("tokens", "label"), ["tokens.label is gone"]),
            (lambda op: op.rename_table("standings", "boards"), None),
        ],
    )
    def test_a_migration_that_does_more_is_seen(self, database, change, told):
        with undone(database) as connection:
            before = shape_of(connection)
            change(Operations(MigrationContext.configure(connection)))
            found = broken_by(before, shape_of(connection))
        assert found == told if told is not None else len(found) == 4

    def test_a_table_that_is_written_anew_is_seen(self, database, rows):
        if rows.postgres is None:
            pytest.skip("SQLite has one writer, and one gateway")
        with undone(database) as connection:
            before = shape_of(connection)
            operations = Operations(MigrationContext.configure(connection))
            operations.alter_column("labs", "create_time", type_=String(40))
            found = broken_by(before, shape_of(connection))
        assert found == ["labs was written anew", "labs.create_time has another type"]


class TestOlderCode:
    def test_a_database_keeps_the_list_of_its_migrations(self, database):
        with database.read() as connection:
            kept = connection.execute(select(schema_revisions).order_by("position")).all()
        assert [(row.position, row.revision) for row in kept] == [
            (place, one.revision) for place, one in enumerate(chain())
        ]

    def test_one_that_was_made_before_there_was_a_list_gets_it(self, database):
        with database.write() as connection:
            schema_revisions.drop(connection)
        upgrade(database)
        self.test_a_database_keeps_the_list_of_its_migrations(database)

    def test_it_serves_on_a_schema_that_was_expanded(self, database, later):
        later(Migration("8001", Phase.EXPAND), Migration("8002", Phase.EXPAND))
        upgrade(database)
        with database.write() as connection:
            identity.create_lab(connection, START, "Example Lab")
        with database.read() as connection:
            assert connection.scalar(select(labs.c.name)) == "Example Lab"
            assert MigrationContext.configure(connection).get_current_revision() == "8002"

    def test_it_serves_after_a_contraction_that_it_does_not_notice(self, database, later):
        later(Migration("8001", Phase.CONTRACT, code_revision()), Migration("8002", Phase.EXPAND))
        upgrade(database)

    def test_it_does_not_start_after_one_that_it_would(self, database, later):
        later(
            Migration("8001", Phase.EXPAND),
            Migration("8002", Phase.CONTRACT, "8001"),
            Migration("8003", Phase.EXPAND),
        )
        with pytest.raises(SchemaTooNew) as caught:
            upgrade(database)
        assert caught.value.metadata == {
            "schema": "8003",
            "code": code_revision(),
            "oldest_code": "8001",
        }

    def test_it_does_not_start_on_a_schema_of_another_history(self, database, later):
        later(Migration("8001", Phase.EXPAND))
        with database.write() as connection:
            ours = schema_revisions.c.revision == code_revision()
            connection.execute(schema_revisions.update().where(ours).values(revision="theirs"))
        try:
            with pytest.raises(SchemaUnknown):
                upgrade(database)
        finally:
            with database.write() as connection:
                theirs = schema_revisions.c.revision == "theirs"
                changed = schema_revisions.update().where(theirs)
                connection.execute(changed.values(revision=code_revision()))

    def test_nor_on_one_without_a_list(self, empty):
        with empty.write() as connection:
            connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
            connection.execute(text("INSERT INTO alembic_version VALUES ('8001')"))
        with pytest.raises(SchemaUnknown):
            upgrade(empty)


class TestRunningPlatform:
    """PostgreSQL alone: a SQLite file has one gateway."""

    @pytest.fixture(autouse=True)
    def _postgres(self, rows):
        if rows.postgres is None:
            pytest.skip("SQLite has one gateway")

    def test_a_contraction_waits_until_older_gateways_are_gone(self, database):
        contraction = Migration("8002", Phase.CONTRACT, "8001")
        known = [*(one.revision for one in chain()), "8001", "8002"]
        with (
            closing(Database(database.url)) as older,
            older.read() as held,
            database.write() as connection,
        ):
            held.execute(text("SELECT 1"))
            with pytest.raises(SchemaInUse) as caught:
                require_no_older(connection, contraction, known)
            assert caught.value.metadata["running"] == code_revision()
            # They have the revision that this one needs.
            enough = Migration("8002", Phase.CONTRACT, code_revision())
            require_no_older(connection, enough, known)
            require_no_older(connection, Migration("8002", Phase.EXPAND), known)

    def test_one_that_says_no_revision_counts_as_older(self, database):
        named = f"{database.url}&application_name="
        known = [*(one.revision for one in chain()), "8001"]
        contraction = Migration("8001", Phase.CONTRACT, code_revision())
        for name, is_older in (("psql", False), ("general-level-gateway", True)):
            with (
                closing(Database(named + name)) as other,
                other.read() as held,
                database.write() as connection,
            ):
                held.execute(text("SELECT 1"))
                if not is_older:
                    require_no_older(connection, contraction, known)
                    continue
                with pytest.raises(SchemaInUse) as caught:
                    require_no_older(connection, contraction, known)
                assert caught.value.metadata["running"] == "unknown"

    def test_a_migration_gives_up_its_place_and_tries_again(self, empty, monkeypatch):
        monkeypatch.setattr(migrate, "LOCK_SECONDS", 0.05)
        with empty.write() as connection:
            connection.execute(text("CREATE TABLE labs (lab_id VARCHAR(40))"))
        pauses = []
        held, release = threading.Event(), threading.Event()

        def hold() -> None:
            with empty.write() as connection:
                connection.execute(text("LOCK TABLE labs IN ACCESS EXCLUSIVE MODE"))
                held.set()
                release.wait(60)

        holder = threading.Thread(target=hold)
        holder.start()
        held.wait(60)

        def apply(database: Database) -> None:
            with database.write() as connection:
                migrate._take_turn(connection)
                connection.execute(text("ALTER TABLE labs ADD COLUMN note VARCHAR(9)"))

        def pause(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 3:
                release.set()
                holder.join()

        monkeypatch.setattr(migrate, "_apply_next", apply)
        upgrade(empty, pause)
        assert len(pauses) == 3

    def test_it_says_so_when_it_found_no_moment(self, empty, monkeypatch):
        monkeypatch.setattr(migrate, "LOCK_SECONDS", 0.01)
        with empty.write() as connection:
            connection.execute(text("CREATE TABLE labs (lab_id VARCHAR(40))"))
        pauses = []

        def apply(database: Database) -> None:
            with database.write() as connection:
                migrate._take_turn(connection)
                connection.execute(text("LOCK TABLE labs"))

        monkeypatch.setattr(migrate, "_apply_next", apply)
        with closing(Database(empty.url)) as other, other.write() as connection:
            connection.execute(text("LOCK TABLE labs"))
            with pytest.raises(SchemaLocked):
                upgrade(empty, pauses.append)
        assert len(pauses) == ATTEMPTS_MAX - 1
