"""The published standings: stored as the ranker signed for them by digest, read as messages.

A snapshot is canonical JSON (format ``general-level/standings/v2``, or ``v1`` from a ranker of an
earlier version); its bytes are kept as they came, so that its SHA-256 stays checkable, and are
turned into the wire's message when read. A
publication and the PUBLISHED state of the submissions in it are one transaction.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Connection, delete, func, insert, select

from general_level.errors import DigestMismatch, IllegalTransition, InvalidRequest, UnknownBoard
from general_level.v1 import leaderboard_pb2, ranking_pb2
from general_level.wire import from_rfc3339, from_timestamp, to_timestamp
from services.gateway import ledger
from services.gateway.states import State
from services.gateway.storage.database import serialise
from services.gateway.storage.tables import publications, standings, submissions
from services.gateway.submissions import move

#: The forms that are read. The first does not count the tasks of each modality.
SNAPSHOT_FORMATS: Final = ("general-level/standings/v1", "general-level/standings/v2")
#: Signals that something was published, on whichever board; ``standings/<board>`` says where.
TOPIC: Final = "standings"
#: Parsed snapshots kept in memory: every board of the benchmark once.
PARSED_MAX: Final = 256

_LEVELS: Final = ("s2", "s3", "s4", "s5")


@dataclass(frozen=True, slots=True)
class Published:
    """What a publication changed."""

    published_ids: tuple[str, ...]
    failed_ids: tuple[str, ...]
    board_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StoredSnapshot:
    """The newest snapshot of a board. ``publication_id`` grows with every publication."""

    board_id: str
    publication_id: int
    publish_time: datetime
    sha256: str
    snapshot: bytes = field(repr=False)


def publish(
    connection: Connection,
    now: datetime,
    request: ranking_pb2.PublishStandingsRequest,
    known_boards: Collection[str],
) -> Published:
    """Stores the snapshots that changed and publishes what is complete at the ledger position.

    Submissions that the ranker left out, because a statement did not verify, become FAILED.
    Raises IllegalTransition, with ``published_position``, for a position older than the newest
    publication's; InvalidRequest, UnknownBoard, DigestMismatch for a request that cannot be right.
    """
    serialise(connection, "publications")
    newest = int(connection.scalar(select(func.max(publications.c.ledger_position))) or 0)
    if request.ledger_position < newest:
        raise IllegalTransition(
            "Standings of a later ledger position are published.",
            published_position=newest,
            ledger_position=request.ledger_position,
        )
    if request.ledger_position > ledger.read_head(connection):
        raise InvalidRequest("The ledger has no such position.", field="ledger_position")
    for board in request.boards:
        _check_snapshot(board, known_boards)
    inserted = connection.execute(
        insert(publications).values(
            ledger_position=request.ledger_position,
            compute_time=from_timestamp(request.compute_time),
            publish_time=now,
        )
    )
    assert inserted.inserted_primary_key is not None
    publication_id = int(inserted.inserted_primary_key[0])
    stored = _digests(connection)
    changed = [board for board in request.boards if stored.get(board.board_id) != board.sha256]
    if changed:
        connection.execute(
            insert(standings),
            [
                {
                    "board_id": board.board_id,
                    "publication_id": publication_id,
                    "snapshot": board.snapshot,
                    "sha256": board.sha256,
                }
                for board in changed
            ],
        )
    published, failed = _settle(connection, now, request)
    return Published(published, failed, tuple(board.board_id for board in changed))


def current(connection: Connection, board_id: str) -> StoredSnapshot | None:
    """The newest snapshot of a board; None before its first publication."""
    row = connection.execute(
        select(
            standings.c.publication_id,
            publications.c.publish_time,
            standings.c.sha256,
            standings.c.snapshot,
        )
        .join(publications, publications.c.publication_id == standings.c.publication_id)
        .where(standings.c.board_id == board_id)
        .order_by(standings.c.publication_id.desc())
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    return StoredSnapshot(board_id, row.publication_id, row.publish_time, row.sha256, row.snapshot)


def current_publication(connection: Connection, board_id: str) -> int:
    """The publication of a board's newest snapshot; 0 before the first. Cheap: for watchers."""
    newest = select(func.max(standings.c.publication_id)).where(standings.c.board_id == board_id)
    return int(connection.scalar(newest) or 0)


def newer_than(connection: Connection, known: Mapping[str, int]) -> list[StoredSnapshot]:
    """The newest snapshot of each board whose publication is not the ``known`` one."""
    newest = connection.execute(
        select(standings.c.board_id, func.max(standings.c.publication_id).label("publication_id"))
        .group_by(standings.c.board_id)
        .order_by(standings.c.board_id)
    )
    moved = [row.board_id for row in newest if known.get(row.board_id) != row.publication_id]
    found = (current(connection, board_id) for board_id in moved)
    return [stored for stored in found if stored is not None]


def kept(connection: Connection, board_id: str, limit: int) -> list[tuple[int, datetime]]:
    """The ``limit`` newest kept publications of a board with their times, oldest first."""
    rows = connection.execute(
        select(standings.c.publication_id, publications.c.publish_time)
        .join(publications, publications.c.publication_id == standings.c.publication_id)
        .where(standings.c.board_id == board_id)
        .order_by(standings.c.publication_id.desc())
        .limit(limit)
    ).all()
    return [(row.publication_id, row.publish_time) for row in reversed(rows)]


def snapshot_of(connection: Connection, board_id: str, publication_id: int) -> bytes | None:
    """A board's snapshot of one publication; None where it is not kept."""
    found: bytes | None = connection.scalar(
        select(standings.c.snapshot).where(
            standings.c.board_id == board_id, standings.c.publication_id == publication_id
        )
    )
    return found


def prune(connection: Connection, kept: int, limit: int) -> int:
    """Removes snapshots beyond the ``kept`` newest of their board, ``limit`` of them at most.

    So do the publications that no snapshot refers to any more, except the newest: it holds the
    position that is published. Returns how many snapshots went.
    """
    # Else one that is being published is neither the newest yet nor referred to.
    serialise(connection, "publications")
    age = func.row_number().over(
        partition_by=standings.c.board_id, order_by=standings.c.publication_id.desc()
    )
    ranked = select(standings.c.board_id, standings.c.publication_id, age.label("age")).subquery()
    old = connection.execute(
        select(ranked.c.board_id, ranked.c.publication_id)
        .where(ranked.c.age > kept)
        .order_by(ranked.c.publication_id)
        .limit(limit)
    ).all()
    for board_id, publication_id in old:
        connection.execute(
            delete(standings).where(
                standings.c.board_id == board_id, standings.c.publication_id == publication_id
            )
        )
    newest = connection.scalar(select(func.max(publications.c.publication_id)))
    empty = connection.scalars(
        select(publications.c.publication_id)
        .where(
            publications.c.publication_id != newest,
            publications.c.publication_id.not_in(select(standings.c.publication_id)),
        )
        .order_by(publications.c.publication_id)
        .limit(limit)
    ).all()
    connection.execute(delete(publications).where(publications.c.publication_id.in_(empty)))
    return len(old)


def to_standings(stored: StoredSnapshot) -> leaderboard_pb2.Standings:
    """The snapshot as the wire's message; parsed once per digest. Do not change it."""
    return _parse(stored.snapshot, stored.sha256)


@lru_cache(maxsize=PARSED_MAX)
def _parse(snapshot: bytes, sha256: str) -> leaderboard_pb2.Standings:
    document = json.loads(snapshot)
    return leaderboard_pb2.Standings(
        board_id=document["board_id"],
        catalogue_id=document["catalogue_id"],
        reference_list_id=document["reference_list_id"],
        convention=document["convention"],
        task_count=document["tasks"],
        ledger_position=document["ledger_position"],
        compute_time=to_timestamp(from_rfc3339(document["computed_at"])),
        snapshot_sha256=sha256,
        standings=[_standing(row) for row in document["rows"]],
    )


def _standing(row: Mapping[str, Any]) -> leaderboard_pb2.Standing:
    standing = leaderboard_pb2.Standing(
        rank=row["rank"],
        model_name=row["model_name"],
        organisation=row["organisation"],
        submission_id=row["submission_id"],
        level=row["level"],
        scores=_scores(row),
        modalities=[
            leaderboard_pb2.ModalityScores(
                modality=modality,
                scores=_scores(of),
                supported_tasks=of.get("supported"),
                task_count=of.get("tasks"),
                winning_tasks=of.get("wins"),
            )
            for modality, of in row["by_modality"].items()
        ],
        supported_tasks=row["supported"],
        winning_tasks=row["wins"],
        indistinguishable_from_previous=row["indistinguishable_from_previous"],
        complete_time=to_timestamp(from_rfc3339(row["published_at"])),
    )
    interval = row["intervals"].get(f"s{row['level']}")
    if interval is not None:
        standing.interval.low = interval["low"]
        standing.interval.high = interval["high"]
    return standing


def _scores(values: Mapping[str, Any]) -> leaderboard_pb2.LevelScores:
    return leaderboard_pb2.LevelScores(**{level: values.get(level) for level in _LEVELS})


def _check_snapshot(board: ranking_pb2.BoardSnapshot, known_boards: Collection[str]) -> None:
    if board.board_id not in known_boards:
        raise UnknownBoard(board_id=board.board_id)
    if hashlib.sha256(board.snapshot).hexdigest() != board.sha256:
        raise DigestMismatch(board_id=board.board_id)
    try:
        document = json.loads(board.snapshot)
        fits = document["format"] in SNAPSHOT_FORMATS and document["board_id"] == board.board_id
        if fits:
            _parse(board.snapshot, board.sha256)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvalidRequest("A snapshot cannot be read.", board_id=board.board_id) from error
    if not fits:
        raise InvalidRequest("A snapshot is of another board or form.", board_id=board.board_id)


def _digests(connection: Connection) -> dict[str, str]:
    """The digest of every board's newest snapshot."""
    newest = (
        select(standings.c.board_id, func.max(standings.c.publication_id).label("publication_id"))
        .group_by(standings.c.board_id)
        .subquery()
    )
    rows = connection.execute(
        select(standings.c.board_id, standings.c.sha256).join(
            newest,
            (standings.c.board_id == newest.c.board_id)
            & (standings.c.publication_id == newest.c.publication_id),
        )
    )
    return {row.board_id: row.sha256 for row in rows}


def _settle(
    connection: Connection, now: datetime, request: ranking_pb2.PublishStandingsRequest
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Moves the submissions that wait for a publication of this position."""
    waiting = connection.scalars(
        select(submissions.c.submission_id)
        .where(
            submissions.c.state == State.RANKING,
            submissions.c.ledger_position <= request.ledger_position,
        )
        .order_by(submissions.c.submission_id)
        .with_for_update()
    ).all()
    refused = set(request.refused_submission_ids)
    published, failed = [], []
    for submission_id in waiting:
        if submission_id in refused:
            reason = "statement-refused"
            move(connection, now, submission_id, State.FAILED, note=reason, failure_reason=reason)
            failed.append(submission_id)
        else:
            move(connection, now, submission_id, State.PUBLISHED)
            published.append(submission_id)
    return tuple(published), tuple(failed)
