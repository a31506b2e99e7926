"""How long archives of graded submissions are kept, and the record of each that goes.

Only an operator's setting ends the time of an archive, and not while a task of it is being
rejudged. Without its archive a submission keeps its scores, its receipt and its place on the
boards; it can be neither rejudged nor, after a failure, requeued.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, exists, literal, select, update

from general_level.v1 import operations_pb2
from services.gateway import audit
from services.gateway.rejudgements import OPEN
from services.gateway.states import State
from services.gateway.storage.tables import rejudged_scores, rejudgements, submissions, timeline

#: Archives whose time one round ends at most.
ARCHIVES_PER_ROUND: Final = 100

_KEPT_STATES: Final = (State.PUBLISHED, State.FAILED)


def end_time(connection: Connection, now: datetime, kept: timedelta) -> list[str]:
    """Decides that archives go which are over for longer than ``kept``; returns whose.

    From here on nothing is graded from them; their bytes are removed by `uploads.discardable`. Each
    decision is an entry of the audit log.
    """
    entered = (
        select(timeline.c.enter_time)
        .where(
            timeline.c.submission_id == submissions.c.submission_id,
            timeline.c.state == submissions.c.state,
        )
        .order_by(timeline.c.entry_id.desc())
        .limit(1)
        .correlate(submissions)
        .scalar_subquery()
    )
    needed = exists(literal(1)).where(
        rejudged_scores.c.submission_id == submissions.c.submission_id,
        rejudged_scores.c.rejudgement_id == rejudgements.c.rejudgement_id,
        rejudgements.c.state.in_(OPEN),
    )
    rows = connection.execute(
        select(
            submissions.c.submission_id,
            submissions.c.state,
            submissions.c.archive_bytes,
            submissions.c.archive_sha256,
            entered.label("end_time"),
        )
        .where(
            submissions.c.state.in_(_KEPT_STATES),
            submissions.c.archive_discard_time.is_(None),
            entered <= now - kept,
            ~needed.correlate(submissions),
        )
        .order_by(submissions.c.submission_id)
        .limit(ARCHIVES_PER_ROUND)
        .with_for_update(key_share=True, skip_locked=True, of=submissions)
    ).all()
    # Looked up again under the locks: one may have begun between the two.
    busy = _in_open_rejudgements(connection, [row.submission_id for row in rows])
    ended = [row for row in rows if row.submission_id not in busy]
    for row in ended:
        connection.execute(
            update(submissions)
            .where(submissions.c.submission_id == row.submission_id)
            .values(archive_discard_time=now)
        )
        archive = operations_pb2.DiscardedArchive(
            submission_id=row.submission_id,
            archive_bytes=row.archive_bytes,
            archive_sha256=row.archive_sha256,
        )
        archive.submission_end_time.FromDatetime(row.end_time)
        audit.record(connection, now, "DiscardArchive", archive, operations_pb2.DiscardedArchive())
    return [str(row.submission_id) for row in ended]


def _in_open_rejudgements(connection: Connection, submission_ids: Sequence[str]) -> set[str]:
    rows = connection.scalars(
        select(rejudged_scores.c.submission_id)
        .join(rejudgements, rejudgements.c.rejudgement_id == rejudged_scores.c.rejudgement_id)
        .where(rejudged_scores.c.submission_id.in_(submission_ids), rejudgements.c.state.in_(OPEN))
    )
    return set(rows)
