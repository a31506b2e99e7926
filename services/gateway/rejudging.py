"""Rejudging a task after its scorer or its key was mended: preview, then apply or cancel.

For every submission that has a score of the task a job is made, graded like any other but after all
jobs of labs, and its result waits aside (`rejudged`). When all have ended the ranker computes what
would change on every board. Applied, the new scores become later editions in the ledger in one
transaction; the old ones stay there and in the receipt. A submission whose archive is gone, whose
job failed, or whose file the new scorer refuses is listed and keeps its old score.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, literal, select, update

from general_level.catalogue.model import Catalogue
from general_level.errors import AlreadyExists, NotFound, RejudgementRefused, ResourceExhausted
from general_level.identifiers import new_id
from general_level.v1 import operations_pb2, ranking_pb2
from services.gateway import findings as stored_findings
from services.gateway import ledger, rejudge_queue, submissions, uploads
from services.gateway.rejudged import UNSCORED, Rejudged
from services.gateway.rejudgements import (
    APPLIED,
    CANCELLED,
    COMPUTING,
    GRADING,
    OPEN,
    READY,
    counts_of,
    read,
)
from services.gateway.states import FINAL, Outcome, State
from services.gateway.storage.database import serialise
from services.gateway.storage.tables import rejudged_scores, rejudgements, task_results
from services.gateway.storage.tables import submissions as submissions_table

#: Submissions of one rejudgement: all that a task can have had in years, and one transaction.
SUBMISSIONS_MAX: Final = 10_000

#: Submissions that have or will have a place on a board, if nothing happens to them.
_ALIVE: Final = frozenset(State) - (FINAL - {State.PUBLISHED})


def start(
    connection: Connection,
    now: datetime,
    catalogue: Catalogue,
    task_id: str,
    *,
    reason: str,
    operator: str,
    key_version: str = "",
    grader_image_digest: str = "",
) -> str:
    """Makes the jobs of a rejudgement; returns its id. Signal ``jobs/<modality>`` afterwards.

    AlreadyExists while another one of the task is open, NotFound if no submission has a score of
    it, ResourceExhausted above `SUBMISSIONS_MAX`.
    """
    serialise(connection, f"rejudge/{task_id}")
    other = connection.scalar(
        select(rejudgements.c.rejudgement_id).where(
            rejudgements.c.task_id == task_id, rejudgements.c.state.in_(OPEN)
        )
    )
    if other is not None:
        raise AlreadyExists(
            "Apply or cancel the open rejudgement of this task first.", rejudgement_id=other
        )
    scored = connection.execute(
        select(submissions_table, task_results.c.value)
        .join(task_results, task_results.c.submission_id == submissions_table.c.submission_id)
        .where(
            task_results.c.task_id == task_id,
            task_results.c.outcome == Outcome.SCORED,
            submissions_table.c.state.in_(sorted(_ALIVE)),
            submissions_table.c.catalogue_id == catalogue.id,
        )
        .order_by(submissions_table.c.submission_id)
        .limit(SUBMISSIONS_MAX + 1)
        # What retention decides for an archive waits for us, or we for it.
        .with_for_update(key_share=True, of=submissions_table)
    ).all()
    if not scored:
        raise NotFound("No submission has a score of this task.", task_id=task_id)
    if len(scored) > SUBMISSIONS_MAX:
        raise ResourceExhausted(
            f"A rejudgement has at most {SUBMISSIONS_MAX} submissions.", limit=SUBMISSIONS_MAX
        )
    rejudgement_id = new_id("rej", now)
    connection.execute(
        insert(rejudgements).values(
            rejudgement_id=rejudgement_id,
            task_id=task_id,
            state=GRADING,
            reason=reason,
            operator=operator,
            key_version=key_version,
            grader_image_digest=grader_image_digest,
            start_time=now,
        )
    )
    editions = ledger.editions_of(connection, task_id, [row.submission_id for row in scored])
    kept = [row for row in scored if uploads.is_retained(connection, row.submission_id)]
    kept_ids = {row.submission_id for row in kept}
    connection.execute(
        insert(rejudged_scores),
        [
            {
                "rejudgement_id": rejudgement_id,
                "submission_id": row.submission_id,
                "outcome": (
                    Rejudged.PENDING if row.submission_id in kept_ids else Rejudged.NO_ARCHIVE
                ),
                "fault": "",
                "base_edition": editions.get(row.submission_id, 0),
                "old_value": row.value,
            }
            for row in scored
        ],
    )
    rejudge_queue.make_jobs(connection, now, rejudgement_id, catalogue.tasks[task_id], kept)
    return rejudgement_id


def has_grading(connection: Connection) -> bool:
    """Whether there is something for `settle`; a read."""
    query = select(literal(1)).where(rejudgements.c.state == GRADING)
    return connection.scalar(query.limit(1)) is not None


def settle(connection: Connection) -> list[str]:
    """Hands rejudgements whose jobs have all ended to the ranker; returns their ids.

    Submissions that ended without being published drop out of theirs.
    """
    open_ids = connection.scalars(
        select(rejudgements.c.rejudgement_id)
        .where(rejudgements.c.state == GRADING)
        .order_by(rejudgements.c.rejudgement_id)
        .with_for_update(skip_locked=True)
    ).all()
    done = []
    for rejudgement_id in open_ids:
        gone = connection.scalars(
            select(rejudged_scores.c.submission_id)
            .join(
                submissions_table,
                submissions_table.c.submission_id == rejudged_scores.c.submission_id,
            )
            .where(
                rejudged_scores.c.rejudgement_id == rejudgement_id,
                rejudged_scores.c.outcome == Rejudged.PENDING,
                submissions_table.c.state.not_in(sorted(_ALIVE)),
            )
        ).all()
        if gone:
            _end_items(connection, rejudgement_id, gone)
            rejudge_queue.cancel_jobs(connection, rejudgement_id, gone)
        if not counts_of(connection, [rejudgement_id])[rejudgement_id][Rejudged.PENDING]:
            _move(connection, rejudgement_id, state=COMPUTING)
            done.append(str(rejudgement_id))
    return done


def store_preview(
    connection: Connection, rejudgement_id: str, preview: operations_pb2.RejudgementPreview
) -> bool:
    """Keeps what would change; False if the rejudgement does not wait for it any more."""
    row = read(connection, rejudgement_id, lock=True)
    if row.state != COMPUTING:
        return False
    data = preview.SerializeToString(deterministic=True)
    digest = hashlib.sha256(data).hexdigest()
    _move(connection, rejudgement_id, state=READY, preview=data, preview_sha256=digest)
    return True


def apply(
    connection: Connection,
    now: datetime,
    catalogue: Catalogue,
    rejudgement_id: str,
    *,
    preview_sha256: str,
    allow_unscored: bool,
    trusted_keys: Sequence[bytes],
    commitments: Mapping[tuple[str, str], str] | None,
) -> list[str]:
    """The new scores supersede the old ones; returns whose. Signal ``ledger`` afterwards.

    RejudgementRefused, with ``what``: ended (applied or cancelled before), not-ready,
    preview-changed, scores-refused (by the ranker), unscored (some would keep their old score, and
    that was not allowed), ledger-moved-on (a submission has a newer score than the one that was
    rejudged); ScoreRefused if a statement does not verify any more.
    """
    row = read(connection, rejudgement_id, lock=True)
    _require_open(row)
    if row.state != READY:
        raise RejudgementRefused("Its preview is not there yet.", what="not-ready")
    if row.preview_sha256 != preview_sha256:
        raise RejudgementRefused("Look at the preview again.", what="preview-changed")
    preview = operations_pb2.RejudgementPreview.FromString(row.preview)
    if preview.refused_submission_ids:
        raise RejudgementRefused(
            "The ranker does not accept all of its scores.",
            what="scores-refused",
            submission_id=preview.refused_submission_ids[0],
        )
    counts = counts_of(connection, [rejudgement_id])[rejudgement_id]
    unscored = sum(counts[outcome] for outcome in UNSCORED)
    if unscored and not allow_unscored:
        raise RejudgementRefused(
            f"{unscored} submissions would keep their old score.", what="unscored", count=unscored
        )
    items = connection.execute(
        select(rejudged_scores)
        .where(
            rejudged_scores.c.rejudgement_id == rejudgement_id,
            rejudged_scores.c.outcome == Rejudged.SCORED,
        )
        .order_by(rejudged_scores.c.submission_id)
    ).all()
    alive, entries = [], []
    for item in items:
        submission = submissions.lock(connection, item.submission_id)
        if submission.state not in _ALIVE:
            continue
        entry = ranking_pb2.ScoreEntry.FromString(item.entry)
        expected = ledger.Expected(
            archive_sha256=submission.archive_sha256,
            catalogue_id=submission.catalogue_id,
            metric=catalogue.metric_of(row.task_id),
            commitments=commitments,
        )
        ledger.verify_score(entry, expected, trusted_keys)
        alive.append(item)
        entries.append(entry)
    ids = [item.submission_id for item in alive]
    editions = ledger.editions_of(connection, row.task_id, ids)
    for item in alive:
        if editions.get(item.submission_id, 0) != item.base_edition:
            raise RejudgementRefused(
                "A submission has a newer score; start another rejudgement.",
                what="ledger-moved-on",
                submission_id=item.submission_id,
            )
    ledger.append_editions(connection, now, entries, editions)
    for item, entry in zip(alive, entries, strict=True):
        _take_result(connection, now, entry, item.findings)
    gone = {item.submission_id for item in items} - set(ids)
    if gone:
        _end_items(connection, rejudgement_id, sorted(gone))
    _move(connection, rejudgement_id, state=APPLIED, end_time=now)
    return ids


def cancel(connection: Connection, now: datetime, rejudgement_id: str) -> None:
    """Discards it; its jobs that wait or run are cancelled. RejudgementRefused if it has ended."""
    row = read(connection, rejudgement_id, lock=True)
    _require_open(row)
    rejudge_queue.cancel_jobs(connection, rejudgement_id)
    _move(connection, rejudgement_id, state=CANCELLED, end_time=now)


def _require_open(row: Row[Any]) -> None:
    if row.state not in OPEN:
        raise RejudgementRefused(f"It is {row.state}.", what="ended", state=row.state)


def _move(connection: Connection, rejudgement_id: str, **values: object) -> None:
    connection.execute(
        update(rejudgements).where(rejudgements.c.rejudgement_id == rejudgement_id).values(**values)
    )


def _end_items(connection: Connection, rejudgement_id: str, ids: Sequence[str]) -> None:
    connection.execute(
        update(rejudged_scores)
        .where(
            rejudged_scores.c.rejudgement_id == rejudgement_id,
            rejudged_scores.c.submission_id.in_(ids),
        )
        .values(outcome=Rejudged.ENDED)
    )


def _take_result(
    connection: Connection, now: datetime, entry: ranking_pb2.ScoreEntry, findings: bytes | None
) -> None:
    """What the lab reads of its task."""
    connection.execute(
        update(task_results)
        .where(
            task_results.c.submission_id == entry.submission_id,
            task_results.c.task_id == entry.task_id,
        )
        .values(
            value=entry.value,
            standard_error=entry.standard_error if entry.HasField("standard_error") else None,
            item_count=entry.item_count,
            missing_count=entry.missing_count,
            findings=findings or stored_findings.dump(()),
        )
    )
    submissions.touch(connection, now, entry.submission_id)
