"""A board's movement: which publications are read, once each, and whose history is whose."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from general_level.catalogue import load
from general_level.v1 import ranking_pb2
from general_level.wire import to_timestamp
from services.gateway import publishing
from services.gateway.signals import Signals
from services.gateway.storage.database import Database
from services.gateway.web.model_pages import history
from services.gateway.web.movements import PUBLICATIONS_MAX, Movements, chosen, evenly
from services.gateway.web.newest import Newest, Sheet
from tests.support.gateway import START, open_database
from tests.support.site import entry
from tests.support.snapshots import snapshot

BOARDS = load().boards


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with open_database(tmp_path) as database:
        yield database


def publish(database: Database, number: int, *rows: dict[str, Any]) -> None:
    request = ranking_pb2.PublishStandingsRequest(
        ledger_position=0,
        compute_time=to_timestamp(START),
        boards=[snapshot("A-full", 0, rows, computed_at=f"2026-03-01T12:00:{number % 60:02}Z")],
    )
    with database.write() as connection:
        publishing.publish(connection, START + timedelta(hours=number), request, BOARDS)


async def newest(database: Database) -> Sheet:
    reader = Newest(database, Signals())
    await reader.refresh()
    sheet = reader.sheet("A-full")
    assert sheet is not None
    return sheet


def test_what_is_chosen_is_even_bounded_and_keeps_what_is_known() -> None:
    kept = [(number, START) for number in range(1, 1001)]
    first = chosen(kept, ())
    assert len(first) == PUBLICATIONS_MAX
    assert (first[0], first[-1]) == (kept[0], kept[-1])
    gaps = {later[0] - earlier[0] for earlier, later in pairwise(first)}
    assert gaps <= {25, 26}
    known = {number for number, _ in first}
    for number in range(1001, 1101):
        kept.append((number, START))
        found = {one for one, _ in chosen(kept, known)}
        # Nothing but the new one has to be read, and there are never too many.
        assert found - known == {number}
        assert len(found) <= PUBLICATIONS_MAX
        known = found
    # Retention removed the oldest half.
    assert {one for one, _ in chosen(kept[550:], known)} <= known
    assert evenly([1, 2], 40) == [1, 2]


async def test_a_model_s_history_is_its_own_and_that_of_its_name_in_its_organisation(
    database: Database,
) -> None:
    other = entry("Other", 1, organisation="Else")
    publish(database, 1, other, entry("Mine", 2, submission_id="old"))
    publish(database, 2, entry("Mine", 1, submission_id="new"), other | {"rank": 2})
    publish(database, 3, entry("Mine", 1, submission_id="new"), other | {"rank": 2, "s3": 4.0})
    sheet = await newest(database)
    publications = await Movements(database).of(sheet)
    mine = history(sheet.by_submission["new"], publications)
    # Newest first; that nothing changed at the third is not told.
    assert [(one.published, point.submission_id, point.rank) for one, point in mine] == [
        (START + timedelta(hours=2), "new", 1),
        (START + timedelta(hours=1), "old", 2),
    ]
    assert [point.score for _, point in mine] == [5.0, 5.0]


async def test_without_an_organisation_a_name_is_nobody_s(database: Database) -> None:
    publish(database, 1, entry("Anonymous", 1, organisation="", submission_id="one"))
    publish(database, 2, entry("Anonymous", 1, organisation="", submission_id="two"))
    sheet = await newest(database)
    found = history(sheet.by_submission["two"], await Movements(database).of(sheet))
    assert [point.submission_id for _, point in found] == ["two"]


async def test_each_snapshot_is_read_once(database: Database) -> None:
    read: list[str] = []

    def note(_c: Any, _u: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        if statement.startswith("SELECT standings.snapshot"):
            read.append(str(parameters))

    for number in range(PUBLICATIONS_MAX + 5):
        publish(database, number, entry("Mine", 1, s3=1.0 + number))
    event.listen(Engine, "before_cursor_execute", note)
    try:
        movements = Movements(database)
        sheet = await newest(database)
        read.clear()
        assert len(await movements.of(sheet)) == PUBLICATIONS_MAX
        assert len(read) == PUBLICATIONS_MAX
        assert await movements.of(sheet) == await movements.of(sheet)
        assert len(read) == PUBLICATIONS_MAX
        publish(database, 90, entry("Mine", 1, s3=99.0))
        sheet = await newest(database)
        read.clear()
        points = [one.point(sheet.rows[0]) for one in await movements.of(sheet)]
        assert points[-1] is not None
        assert points[-1].score == 99.0
        assert len(read) == 1
    finally:
        event.remove(Engine, "before_cursor_execute", note)


async def test_while_the_database_is_away_what_is_known_is_shown(database: Database) -> None:
    publish(database, 1, entry("Mine"))
    movements = Movements(database)
    first = await newest(database)
    known = await movements.of(first)
    publish(database, 2, entry("Mine", s3=6.0))
    second = await newest(database)
    with database.write() as connection:
        connection.execute(text("ALTER TABLE publications RENAME TO away"))
    assert await movements.of(second) == known
    with database.write() as connection:
        connection.execute(text("ALTER TABLE away RENAME TO publications"))
    assert len(await movements.of(second)) == 2
