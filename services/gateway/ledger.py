"""The score ledger: append-only, signed, in one order without gaps.

A score is verified before it is written, with the same code that labs and the ranker use: it must
be legal for its metric, and a trusted grader must have signed exactly this value for exactly this
submission, task and archive. Nothing here updates or deletes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, func, insert, literal, select

from general_level.catalogue.mapping import is_legal
from general_level.catalogue.model import Metric
from general_level.dsse import key_id
from general_level.errors import ReceiptInvalid, ScoreRefused
from general_level.public_name import shown_model
from general_level.receipts import verify_envelope
from general_level.v1 import ranking_pb2 as pb
from general_level.v1 import submission_pb2
from general_level.wire import to_timestamp
from services.gateway.fencing import SubmissionRow
from services.gateway.storage.database import serialise
from services.gateway.storage.tables import score_ledger

SCORE: Final = "score"
COMPLETION: Final = "completion"
WITHDRAWAL: Final = "withdrawal"
NAMING: Final = "naming"

#: ``what`` of a score whose key is not the one that was committed to.
KEY_COMMITMENT: Final = "key-commitment"
#: Entries that one read gives at most.
ENTRIES_MAX: Final = 1_000
#: Ids in one query: databases bound the number of its parameters.
_IDS_IN_QUERY: Final = 500


@dataclass(frozen=True, slots=True)
class Expected:
    """What a statement must say besides the score itself."""

    archive_sha256: str
    catalogue_id: str
    metric: Metric
    #: The published commitment of each (task id, key version); None where none are published.
    commitments: Mapping[tuple[str, str], str] | None = None


def verify_score(score: pb.ScoreEntry, expected: Expected, trusted_keys: Sequence[bytes]) -> None:
    """ScoreRefused, with ``what``, unless the score may enter the ledger.

    ``value`` is raw, in the metric's unit; ``trusted_keys`` are the graders' raw Ed25519 keys.
    """
    if not is_legal(expected.metric, score.value):
        _refuse(score, "value")
    error = score.standard_error if score.HasField("standard_error") else None
    if error is not None and not (math.isfinite(error) and error >= 0):
        _refuse(score, "standard-error")
    if not 0 <= score.missing_count <= score.item_count or score.item_count == 0:
        _refuse(score, "counts")
    try:
        statement = verify_envelope(score.envelope, trusted_keys)
    except ReceiptInvalid as invalid:
        raise ScoreRefused(
            task_id=score.task_id, what=invalid.metadata.get("what", "envelope")
        ) from invalid
    pairs = {
        "submission": (statement.submission_id, score.submission_id),
        "task": (statement.task_id, score.task_id),
        "archive": (statement.archive_sha256, expected.archive_sha256),
        "catalogue": (statement.catalogue_id, expected.catalogue_id),
        "metric": (statement.metric_id, expected.metric.id),
        "metric-version": (statement.metric_version, expected.metric.version),
        "signed-value": (statement.value, score.value),
        "signed-error": (statement.standard_error, error),
        "signed-counts": (
            (statement.item_count, statement.missing_count),
            (score.item_count, score.missing_count),
        ),
    }
    for what, (signed, claimed) in pairs.items():
        if signed != claimed:
            _refuse(score, what)
    if expected.commitments is not None:
        published = expected.commitments.get((score.task_id, statement.key_version))
        if statement.key_commitment != published:
            _refuse(score, KEY_COMMITMENT)


def append_score(
    connection: Connection,
    now: datetime,
    score: pb.ScoreEntry,
    expected: Expected,
    trusted_keys: Sequence[bytes],
) -> int:
    """Verifies and appends a score; returns its position. Raises ScoreRefused."""
    verify_score(score, expected, trusted_keys)
    return _append(connection, now, SCORE, pb.LedgerEntry(score=score))


def append_completion(connection: Connection, now: datetime, submission: SubmissionRow) -> int:
    """Says that all jobs of a submission have ended; returns the position."""
    completion = pb.CompletionEntry(
        submission_id=submission.submission_id,
        board_id=submission.board_id,
        model=shown_model(
            submission.lab_id, submission_pb2.ModelMetadata.FromString(submission.model)
        ),
        archive_sha256=submission.archive_sha256,
        complete_time=to_timestamp(now),
        catalogue_id=submission.catalogue_id,
        lab_id=submission.lab_id,
    )
    return _append(connection, now, COMPLETION, pb.LedgerEntry(completion=completion))


def append_naming(
    connection: Connection,
    now: datetime,
    lab_id: str,
    submission_id: str,
    model: submission_pb2.ModelMetadata,
) -> int:
    """Says what the lab reveals about the model of a complete submission; returns the position."""
    entry = pb.NamingEntry(submission_id=submission_id, model=shown_model(lab_id, model))
    return _append(connection, now, NAMING, pb.LedgerEntry(naming=entry))


def append_withdrawal(
    connection: Connection, now: datetime, submission_id: str, reason: str
) -> int:
    """Takes a submission off the boards; returns the position."""
    entry = pb.WithdrawalEntry(submission_id=submission_id, reason=reason)
    return _append(connection, now, WITHDRAWAL, pb.LedgerEntry(withdrawal=entry))


def read_after(
    connection: Connection, position: int, limit: int = ENTRIES_MAX
) -> list[pb.LedgerEntry]:
    """The entries after ``position`` in order, at most ``limit``."""
    rows = connection.scalars(
        select(score_ledger.c.entry)
        .where(score_ledger.c.position > position)
        .order_by(score_ledger.c.position)
        .limit(min(limit, ENTRIES_MAX))
    )
    return [pb.LedgerEntry.FromString(row) for row in rows]


def read_head(connection: Connection) -> int:
    """The newest position; 0 for an empty ledger."""
    return int(connection.scalar(select(func.max(score_ledger.c.position))) or 0)


def scores_of(connection: Connection, submission_id: str) -> list[pb.ScoreEntry]:
    """The scores of one submission, the newest edition of each task, in the order of tasks."""
    rows = connection.execute(
        select(score_ledger.c.task_id, score_ledger.c.entry)
        .where(score_ledger.c.submission_id == submission_id, score_ledger.c.kind == SCORE)
        .order_by(score_ledger.c.edition)
    )
    newest = {task_id: pb.LedgerEntry.FromString(entry).score for task_id, entry in rows}
    # Not by the database: how it orders text is its own setting.
    return [newest[task_id] for task_id in sorted(newest)]


def all_scores_of(connection: Connection, submission_id: str) -> list[pb.ScoreEntry]:
    """The scores of one submission in every edition, the oldest first."""
    rows = connection.scalars(
        select(score_ledger.c.entry)
        .where(score_ledger.c.submission_id == submission_id, score_ledger.c.kind == SCORE)
        .order_by(score_ledger.c.position)
    )
    return [pb.LedgerEntry.FromString(entry).score for entry in rows]


def editions_of(
    connection: Connection, task_id: str, submission_ids: Sequence[str]
) -> dict[str, int]:
    """The newest edition of a task's score of each submission; absent where it has none."""
    found: dict[str, int] = {}
    for start in range(0, len(submission_ids), _IDS_IN_QUERY):
        rows = connection.execute(
            select(score_ledger.c.submission_id, func.max(score_ledger.c.edition))
            .where(
                score_ledger.c.submission_id.in_(submission_ids[start : start + _IDS_IN_QUERY]),
                score_ledger.c.kind == SCORE,
                score_ledger.c.task_id == task_id,
            )
            .group_by(score_ledger.c.submission_id)
        )
        found.update({row[0]: row[1] for row in rows})
    return found


def append_editions(
    connection: Connection,
    now: datetime,
    scores: Sequence[pb.ScoreEntry],
    editions: Mapping[str, int],
) -> None:
    """Appends verified scores of one task, each of another submission, as its next edition.

    ``editions`` are the newest ones, read under the locks of these submissions.
    """
    serialise(connection, "ledger")
    head = read_head(connection)
    rows = []
    for position, score in enumerate(scores, start=head + 1):
        entry = pb.LedgerEntry(position=position, append_time=to_timestamp(now), score=score)
        rows.append(
            {
                "position": position,
                "append_time": now,
                "kind": SCORE,
                "submission_id": score.submission_id,
                "task_id": score.task_id,
                "edition": editions.get(score.submission_id, 0) + 1,
                "entry": entry.SerializeToString(),
            }
        )
    if rows:
        connection.execute(insert(score_ledger), rows)


def has_score(connection: Connection, submission_id: str, task_id: str) -> bool:
    """Whether the ledger has a score of this task of this submission."""
    query = select(literal(1)).where(
        score_ledger.c.submission_id == submission_id,
        score_ledger.c.kind == SCORE,
        score_ledger.c.task_id == task_id,
    )
    return connection.scalar(query.limit(1)) is not None


def signers_of(scores: Sequence[pb.ScoreEntry], trusted_keys: Sequence[bytes]) -> list[bytes]:
    """The raw public keys among ``trusted_keys`` that signed scores of the ledger."""
    named = {
        signature["keyid"]
        for score in scores
        for signature in json.loads(score.envelope)["signatures"]
    }
    return [key for key in trusted_keys if key_id(key) in named]


def _append(connection: Connection, now: datetime, kind: str, entry: pb.LedgerEntry) -> int:
    serialise(connection, "ledger")
    about = getattr(entry, kind)
    task_id = about.task_id if kind == SCORE else ""
    of_same = (
        (score_ledger.c.submission_id == about.submission_id)
        & (score_ledger.c.kind == kind)
        & (score_ledger.c.task_id == task_id)
    )
    edition, head = connection.execute(
        select(
            select(func.max(score_ledger.c.edition)).where(of_same).scalar_subquery(),
            select(func.max(score_ledger.c.position)).scalar_subquery(),
        )
    ).one()
    entry.position = (head or 0) + 1
    entry.append_time.CopyFrom(to_timestamp(now))
    connection.execute(
        insert(score_ledger).values(
            position=entry.position,
            append_time=now,
            kind=kind,
            submission_id=about.submission_id,
            task_id=task_id,
            edition=(edition or 0) + 1,
            entry=entry.SerializeToString(),
        )
    )
    return entry.position


def _refuse(score: pb.ScoreEntry, what: str) -> None:
    raise ScoreRefused(task_id=score.task_id, what=what)
