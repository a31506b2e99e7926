"""Standings of many random models on every board, published as the ranker's calls do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from general_level.catalogue import load
from general_level.v1 import ranking_pb2
from general_level.wire import to_timestamp
from services.gateway import publishing
from services.gateway.storage.database import Database
from services.ranker.formulas.conventions import Convention
from services.ranker.snapshot import digest, take_snapshot, to_bytes
from services.ranker.standings import compute_standings
from tests.benchmarks.bench_ranker import random_entries

#: Boards of one publication; those of 1,000 models stay below the size of a gRPC message.
BOARDS_AT_ONCE = 12


def boards_of(
    models: int,
    seed: int,
    names: Mapping[int, str] = {},
    board_ids: Sequence[str] | None = None,
) -> Iterator[ranking_pb2.BoardSnapshot]:
    """Snapshots of all boards, or of some. ``names`` are of single models, by their number."""
    catalogue = load()
    entries = [
        replace(entry, model_name=names.get(number, entry.model_name))
        for number, entry in enumerate(random_entries(catalogue, models, seed))
    ]
    for board in compute_standings(catalogue, None, Convention.GENERAL_LEVEL, entries):
        if board_ids is None or board.board_id in board_ids:
            data = to_bytes(take_snapshot(board, "2026-03-01T12:00:01Z", 0))
            yield ranking_pb2.BoardSnapshot(
                board_id=board.board_id, snapshot=data, sha256=digest(data)
            )


def requests_of(
    snapshots: Iterator[ranking_pb2.BoardSnapshot],
) -> Iterator[ranking_pb2.PublishStandingsRequest]:
    """Publications of some boards each."""
    made = list(snapshots)
    for first in range(0, len(made), BOARDS_AT_ONCE):
        yield ranking_pb2.PublishStandingsRequest(
            ledger_position=0,
            compute_time=to_timestamp(datetime(2026, 3, 1, 12, tzinfo=UTC)),
            boards=made[first : first + BOARDS_AT_ONCE],
        )


def publish_all(
    database: Database,
    snapshots: Iterator[ranking_pb2.BoardSnapshot],
    now: Callable[[], datetime] = lambda: datetime(2026, 3, 1, 12, tzinfo=UTC),
) -> None:
    """Into the database itself; a gateway sees it at its next look."""
    known = load().boards
    for request in requests_of(snapshots):
        with database.write() as connection:
            publishing.publish(connection, now(), request, known)
