"""Transactions: all or nothing, one writer at a time, no statement in an answer."""

from __future__ import annotations

import threading
import traceback
from datetime import datetime, timedelta, timezone

import pytest
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from services.gateway import identity
from services.gateway.storage.database import Database, StorageFailed, after_commit, serialise
from services.gateway.storage.tables import labs, score_ledger
from tests.support.gateway import START, open_database

pytestmark = pytest.mark.usefixtures("rows")

THREADS, ROUNDS = 8, 15


@pytest.fixture
def database(tmp_path):
    with open_database(tmp_path) as database:
        yield database


def count_labs(connection) -> int:
    return connection.scalar(select(func.count()).select_from(labs))


def test_an_error_leaves_nothing_behind(database):
    def fail_after_a_write() -> None:
        with database.write() as connection:
            identity.create_lab(connection, START, "Example Lab")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_after_a_write()
    with database.read() as connection:
        assert count_labs(connection) == 0


def test_a_reader_sees_only_what_was_committed(database):
    with database.write() as writing, database.read() as reading:
        identity.create_lab(writing, START, "Example Lab")
        assert count_labs(writing) == 1
        assert count_labs(reading) == 0


def test_eight_threads_of_two_processes_lose_no_write(tmp_path, database):
    """Each reads the newest position and appends the next: a gap or a clash would show."""
    other = Database(database.url)
    failures: list[Exception] = []

    def append(one: Database, name: str) -> None:
        try:
            for number in range(ROUNDS):
                with one.write() as connection:
                    serialise(connection, "ledger")
                    head = connection.scalar(select(func.max(score_ledger.c.position))) or 0
                    connection.execute(
                        insert(score_ledger).values(
                            position=head + 1, append_time=START, kind="score",
                            submission_id=name, task_id="t", edition=number, entry=b"",
                        )
                    )  # fmt: skip
        except Exception as error:
            failures.append(error)

    threads = [
        threading.Thread(target=append, args=(database if number % 2 else other, f"sub_{number}"))
        for number in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as connection:
        positions = connection.scalars(select(score_ledger.c.position)).all()
    other.close()
    assert failures == []
    assert sorted(positions) == list(range(1, THREADS * ROUNDS + 1))


def test_a_failure_of_the_database_does_not_repeat_the_statement(database):
    secret = "canary-77aa"
    with pytest.raises(StorageFailed) as caught, database.write() as connection:
        connection.execute(text("UPDATE nothing SET name = :secret"), {"secret": secret})
    assert secret not in f"{caught.value}{caught.value.metadata}"
    assert caught.value.metadata["kind"] in ("OperationalError", "UndefinedTable")
    assert list(caught.value.metadata) == ["kind"]


async def test_a_call_runs_in_its_transaction_on_a_thread(database):
    def work(connection, name, *, time):
        assert threading.current_thread() is not threading.main_thread()
        return identity.create_lab(connection, time, name)

    lab_id = await database.run_write(work, "Example Lab", time=START)
    found = await database.run_read(identity.find_lab, "Example Lab")
    assert found == lab_id


def test_a_reference_to_nothing_is_refused(database):
    from sqlalchemy.exc import IntegrityError  # noqa: PLC0415

    with pytest.raises(IntegrityError), database.write() as connection:
        identity.create_token(connection, START, "lab", lab_id="lab_none")


@pytest.mark.parametrize(
    "moment",
    [
        START,
        START + timedelta(microseconds=1),
        datetime(2026, 1, 5, 4, 0, tzinfo=timezone(timedelta(hours=-5))),
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=START.tzinfo),
    ],
)
def test_a_time_comes_back_to_the_microsecond_in_utc(database, moment):
    with database.write() as connection:
        lab_id = identity.create_lab(connection, START, "Example Lab")
        connection.execute(update(labs).values(create_time=moment))
        found = connection.scalar(select(labs.c.create_time).where(labs.c.lab_id == lab_id))
    assert found == moment
    assert found.utcoffset() == timedelta(0)


def test_a_reader_sees_one_state_of_the_database_to_its_end(database):
    with database.read() as reading:
        assert count_labs(reading) == 0
        with database.write() as writing:
            identity.create_lab(writing, START, "Example Lab")
        assert count_labs(reading) == 0
    with database.read() as reading:
        assert count_labs(reading) == 1


def test_no_error_of_the_driver_repeats_a_value(database):
    twice = insert(labs).values(lab_id="canary-77aa", name="Example Lab", create_time=START)
    with database.write() as connection:
        connection.execute(twice)
    with pytest.raises(IntegrityError) as caught, database.write() as connection:
        connection.execute(twice)
    assert "canary-77aa" not in "".join(traceback.format_exception(caught.value))


def test_a_commit_is_on_the_disk_when_it_returns(database):
    """SQLite says so by its setting; in the mode NORMAL a power cut may lose the last commits.

    PostgreSQL waits for its log unless a session says otherwise.
    """
    if not database.is_sqlite:
        with database.write() as connection:
            assert connection.scalar(text("SHOW synchronous_commit")) == "on"
        return
    full = 2
    for transaction in (database.write, database.read):
        with transaction() as connection:
            assert connection.scalar(text("PRAGMA synchronous")) == full
            assert connection.scalar(text("PRAGMA journal_mode")) == "wal"


def test_what_waits_for_the_commit_is_called_once_after_it_and_never_without(database):
    called: list[tuple[str, int]] = []

    def work(connection, name: str, *, fails: bool = False) -> None:
        identity.create_lab(connection, START, name)

        def call() -> None:
            with database.read() as reading:
                called.append((name, count_labs(reading)))

        after_commit(connection, call)
        assert not [one for one, _ in called if one == name]
        if fails:
            raise RuntimeError

    with pytest.raises(RuntimeError), database.write() as connection:
        work(connection, "undone", fails=True)
    for name in ("first", "second"):
        with database.write() as connection:
            work(connection, name)
    assert called == [("first", 1), ("second", 2)]
