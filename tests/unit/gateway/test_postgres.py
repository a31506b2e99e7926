"""What only PostgreSQL does: it undoes one of two that wait for each other, and it restarts."""

from __future__ import annotations

import asyncio
import threading
import traceback

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import IntegrityError

from services.gateway import identity
from services.gateway.signals import Signals
from services.gateway.storage.database import (
    Database,
    OutcomeUnknown,
    StorageFailed,
    ValueRefused,
)
from services.gateway.storage.postgres import Limits, PostgresStore
from services.gateway.storage.replicas import Together
from services.gateway.storage.tables import labs
from tests.support.gateway import START, eventually
from tests.support.stores import Stores, using


@pytest.fixture
def rows(postgres_server):
    with using(Stores(postgres_server)) as chosen:
        yield chosen


@pytest.fixture
def url(rows, tmp_path):
    return rows.rows_url(tmp_path)


@pytest.fixture
def database(url):
    database = Database(url)
    yield database
    database.close()


def labs_named(connection) -> list[str]:
    return list(connection.scalars(select(labs.c.name).order_by(labs.c.name)))


async def test_of_two_that_wait_for_each_other_both_are_done(database):
    with database.write() as connection:
        for name in ("a", "b"):
            identity.create_lab(connection, START, name)
    both = threading.Barrier(2)
    runs = []

    def rename(connection, first, second):
        runs.append(first)
        connection.execute(update(labs).where(labs.c.name.like(f"{first}%")).values(
            name=labs.c.name + first))  # fmt: skip
        if len(runs) <= 2:
            both.wait(10)
        connection.execute(update(labs).where(labs.c.name.like(f"{second}%")).values(
            name=labs.c.name + first))  # fmt: skip

    await asyncio.gather(database.run_write(rename, "a", "b"), database.run_write(rename, "b", "a"))

    assert len(runs) == 3
    with database.read() as connection:
        assert [sorted(name[1:]) for name in labs_named(connection)] == [["a", "b"]] * 2


async def test_a_call_after_a_restart_of_the_server_is_done(rows, database):
    held = [database.run_read(labs_named) for _ in range(8)]
    await asyncio.gather(*held)
    await asyncio.to_thread(rows.postgres.restart)
    assert await asyncio.gather(*(database.run_read(labs_named) for _ in range(8))) == [[]] * 8
    await database.run_write(identity.create_lab, START, "after")
    assert await database.run_read(labs_named) == ["after"]


async def test_a_connection_that_breaks_before_the_commit_costs_one_run(rows, url, database):
    runs = []

    def create(connection):
        runs.append(identity.create_lab(connection, START, "once"))
        if len(runs) == 1:
            rows.postgres.cut_connections(url)
            connection.execute(text("SELECT 1"))

    await database.run_write(create)

    assert len(runs) == 2
    assert await database.run_read(labs_named) == ["once"]


async def test_a_commit_of_unknown_outcome_is_never_done_twice(rows, url, database):
    runs = []

    def create(connection):
        runs.append(identity.create_lab(connection, START, "at most once"))
        rows.postgres.cut_connections(url)

    with pytest.raises(OutcomeUnknown):
        await database.run_write(create)
    assert len(runs) == 1


async def test_a_server_that_is_away_is_told_as_such(tmp_path, rows):
    database = Database(f"postgresql://postgres@/none?host={tmp_path}")
    with pytest.raises(StorageFailed) as caught:
        await database.run_read(labs_named)
    database.close()
    assert caught.value.metadata == {"kind": "OperationalError"}


async def test_a_lock_and_a_statement_are_waited_for_so_long_and_no_longer(url):
    database = Database(url, Limits(connections=3, lock_seconds=1, statement_seconds=2))

    def sleep(connection):
        connection.execute(text("SELECT pg_sleep(60)"))

    def lock(connection):
        connection.execute(text("LOCK TABLE labs IN ACCESS EXCLUSIVE MODE"))

    with pytest.raises(StorageFailed) as slow:
        await database.run_read(sleep)
    with database.write() as holding:
        lock(holding)
        with pytest.raises(StorageFailed) as locked:
            await database.run_write(lock)
    database.close()
    assert slow.value.metadata == {"kind": "QueryCanceled"}
    assert locked.value.metadata == {"kind": "LockNotAvailable"}


def test_a_text_that_it_cannot_hold_is_the_callers_fault(database):
    with pytest.raises(ValueRefused), database.read() as connection:
        connection.scalar(select(labs.c.lab_id).where(labs.c.name == "canary\0"))


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO labs VALUES (CAST(:value AS text), 'another', 1)",
        "SELECT CAST(CAST(:value AS text) AS integer)",
    ],
)
def test_no_error_repeats_a_value_also_where_the_server_does(database, statement):
    secret = "-".join(("canary", "77aa"))
    taken = insert(labs).values(lab_id=secret, name="Example Lab", create_time=START)
    with database.write() as connection:
        connection.execute(taken)
    refused = (IntegrityError, ValueRefused)
    with pytest.raises(refused) as caught, database.write() as connection:
        connection.execute(text(statement), {"value": secret})
    told = "".join(traceback.format_exception(caught.value))
    assert "SQLSTATE" in told
    assert secret not in told


def test_what_the_url_says_itself_wins():
    store = PostgresStore("postgres://u@h/d?connect_timeout=7&application_name=mine")
    assert store.url.drivername == "postgresql+psycopg"
    assert dict(store.url.query) == {"connect_timeout": "7", "application_name": "mine"}


class TestReplicas:
    @pytest.fixture
    async def two(self, url):
        """Two gateways' ends, each with its signals."""
        ends = []
        for _ in range(2):
            signals = Signals()
            end = Together(url, signals)
            await end.start()
            ends.append((end, signals))
        for end, _signals in ends:
            await asyncio.wait_for(end.listening.wait(), 10)
        yield ends
        for end, _signals in ends:
            await end.stop()

    async def test_a_signal_wakes_in_both_and_once(self, two):
        (_, here), (_, there) = two
        waiters = [signals.subscribe("jobs/image") for signals in (here, there)]
        here.notify("jobs/image")
        for signals, waiter in zip((here, there), waiters, strict=True):
            assert await signals.wait(waiter, 10)
        again = here.subscribe("jobs/image")
        there.notify("ledger")
        other = here.subscribe("ledger")
        there.notify("ledger")
        assert await here.wait(other, 10)
        assert not again.done()
        again.cancel()

    async def test_many_topics_arrive_all(self, two):
        (_, here), (_, there) = two
        topics = [f"submission/{number:040d}" for number in range(500)]
        waiters = [there.subscribe(topic) for topic in topics]
        for topic in topics:
            here.notify(topic)
        for waiter in waiters:
            assert await there.wait(waiter, 10)

    async def test_who_lost_its_connection_listens_again_and_looks_again(self, two, rows, url):
        (_, here), (end, there) = two
        waiter = there.subscribe("ledger")
        rows.postgres.cut_connections(url)
        # Whatever was said meanwhile is lost, so all that wait look for themselves.
        assert await there.wait(waiter, 10)
        await asyncio.wait_for(end.listening.wait(), 10)
        waiter = there.subscribe("jobs/image")

        def told() -> bool:
            here.notify("jobs/image")
            return waiter.done()

        await eventually(told)

    async def test_one_of_two_claims_a_work_until_it_leaves_it(self, two):
        (first, _), (second, _) = two
        assert await first.claim("check/sub_1")
        assert not await second.claim("check/sub_1")
        assert await second.claim("check/sub_2")
        await first.leave("check/sub_1")
        assert await second.claim("check/sub_1")

    async def test_a_gateway_that_died_leaves_its_claims(self, two):
        (first, _), (second, _) = two
        assert await first.claim("check/sub_1")
        await first._claims.close()
        await eventually(lambda: second.claim("check/sub_1"))

    async def test_a_claim_that_cannot_be_asked_for_is_told_and_comes_back(self, two, rows, url):
        (first, _), _ = two
        assert await first.claim("check/sub_1")
        rows.postgres.cut_connections(url)
        with pytest.raises(StorageFailed):
            await first.claim("check/sub_2")
        assert await first.claim("check/sub_1")
