"""Historical results as rows, and as the pages show them."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from general_level.errors import AlreadyExists, NotFound, ResourceExhausted
from services.gateway import audit, history
from services.gateway.storage.database import Database
from services.gateway.web.printed import Choice, Printed, printed_of, to_csv
from services.kit.history import HistoryInvalid
from services.operations.shipped import shipped_history
from tests.support import histories
from tests.support.gateway import START, open_database

#: Of the levels' tables as they were read from the paper: level, model, paradigm, four modalities,
#: overall, rank; 207 rows.
TABLES_SHA256 = "12716bb0d8fd47a6f3b29bd87be68e0366ba7c210b456ce1ce8cdd9ad80f645b"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with open_database(tmp_path) as database:
        yield database


def test_the_same_document_changes_nothing_and_another_one_replaces_it_when_told(
    database: Database,
) -> None:
    first, other = histories.history(), histories.history(title="Another")
    later = START + timedelta(days=1)
    with database.write() as connection:
        assert history.import_document(connection, START, first, replace=False).changed
        again = history.import_document(connection, later, first, replace=True)
        assert not again.changed
        assert (again.results.models, again.results.rows) == (2, 4)
        with pytest.raises(AlreadyExists):
            history.import_document(connection, later, other, replace=False)
        assert [one.document for one in history.list_all(connection)] == [first]
        assert history.import_document(connection, later, other, replace=True).changed
        (stored,) = history.list_all(connection)
        assert (stored.document, stored.imported) == (other, later)
        assert stored.sha256 == hashlib.sha256(other).hexdigest()


def test_only_documents_are_stored_and_not_too_many(database: Database) -> None:
    with database.write() as connection:
        with pytest.raises(HistoryInvalid):
            history.import_document(connection, START, b"{}", replace=False)
        for number in range(history.DOCUMENTS_MAX):
            data = histories.history(id=f"table-{number}")
            history.import_document(connection, START, data, replace=False)
        with pytest.raises(ResourceExhausted):
            history.import_document(connection, START, histories.history(), replace=False)


def test_what_was_removed_does_not_come_back_by_itself(database: Database) -> None:
    data = shipped_history()
    with database.write() as connection:
        assert history.import_first(connection, START, data)
        assert not history.import_first(connection, START, data)
        (entry,) = audit.list_page(connection, 10, None, "ImportHistory")
        assert (entry.operator, entry.outcome) == ("gateway", "DONE")
        # The log holds what was imported by its digest, not by its words.
        assert hashlib.sha256(data).hexdigest() in entry.parameters.decode()
        assert len(entry.parameters) < 1_000
        removed = history.remove(connection, "general-level-paper")
        assert removed.results.models == 102
        with pytest.raises(NotFound):
            history.remove(connection, "general-level-paper")
        assert not history.import_first(connection, START, data)
        assert history.list_all(connection) == []


def test_documents_are_read_again_only_when_one_of_them_changed(database: Database) -> None:
    with database.write() as connection:
        assert history.newer_than(connection, {}) is None
        history.import_document(connection, START, histories.history(), replace=False)
        (stored,) = history.newer_than(connection, {}) or []
        assert history.newer_than(connection, {stored.history_id: stored.sha256}) is None
        history.remove(connection, stored.history_id)
        assert history.newer_than(connection, {stored.history_id: stored.sha256}) == []


def printed(data: bytes) -> Printed:
    digest = hashlib.sha256(data).hexdigest()
    return printed_of(history.StoredHistory("x", digest, START, data))


def test_every_row_of_the_paper_s_tables_comes_out_as_it_was_printed() -> None:
    rows = list(csv.reader(io.StringIO(to_csv(printed(shipped_history())).decode())))
    assert len(rows) == 1 + 207
    assert rows[0][-1] == "remarks"
    out = io.StringIO(newline="")
    csv.writer(out).writerows(row[:-1] for row in rows)
    assert hashlib.sha256(out.getvalue().encode()).hexdigest() == TABLES_SHA256


def test_a_zero_is_unsupported_only_where_the_lowest_level_says_so() -> None:
    table = printed(histories.history())
    assert table.modalities == ("image", "video")
    first, second = table.by_slug["first"], table.by_slug["second"]
    # It supports images, and reaches no specialist there.
    assert (first[1].scores, first[1].reached) == ({"image": "0.00", "video": "5.00"}, 3)
    assert (second[0].scores, second[0].reached) == ({"image": "13.95", "video": None}, 2)
    assert (second[1].name, second[1].model.name) == ("The Second", "Second")
    assert table.dated == "2024-02-29"
    paper = printed(shipped_history())
    assert paper.dated == "May 2025"
    language_only = paper.by_slug["gpt-j"][0]
    assert (language_only.overall, set(language_only.scores.values())) == (None, {None})
    assert [line.name for line in paper.leaders(4)] == [
        "Mini-Gemini", "Vitron-V1", "Emu2-37B", "Sa2VA-26B",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, ["First", "Second"]),
        ({"sort": "image"}, ["Second", "First"]),
        ({"sort": "image", "order": "asc"}, ["First", "Second"]),
        # What has no figure stands last in either direction.
        ({"sort": "video"}, ["First", "Second"]),
        ({"sort": "video", "order": "asc"}, ["First", "Second"]),
        ({"sort": "reached", "order": "asc"}, ["Second", "First"]),
        ({"sort": "model", "order": "desc"}, ["Second", "First"]),
        ({"level": "3", "q": "SECOND"}, ["The Second"]),
        ({"level": "9", "sort": "smell", "order": "x"}, ["First", "Second"]),
    ],
)
def test_a_table_is_sorted_and_searched_by_its_address(
    query: dict[str, str], names: list[str]
) -> None:
    table = printed(histories.history())
    chosen = Choice.from_query(query, table)
    assert [line.name for line in chosen.apply(table.tables[chosen.level])] == names
    again = dict(csv_pair.split("=") for csv_pair in chosen.query().split("&") if csv_pair)
    assert Choice.from_query(again, table) == chosen
