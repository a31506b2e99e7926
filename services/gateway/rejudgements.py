"""Rejudgements as rows: read by operators, and by the ranker for its preview."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, func, select

from general_level.errors import NotFound
from general_level.v1 import ranking_pb2
from services.gateway import ledger
from services.gateway.rejudged import Rejudged
from services.gateway.storage.tables import jobs, rejudged_scores, rejudgements

#: Scores in one message to the ranker together, by serialised size.
MESSAGE_SCORES_BYTES: Final = 8 * 1024 * 1024
LISTED_MAX: Final = 100
#: Signals that a rejudgement was applied.
TOPIC: Final = "rejudgements"

#: States of a rejudgement, as in `general_level.v1.RejudgementState`.
GRADING: Final = "grading"
COMPUTING: Final = "computing"
READY: Final = "ready"
APPLIED: Final = "applied"
CANCELLED: Final = "cancelled"
OPEN: Final = (GRADING, COMPUTING, READY)


def read(connection: Connection, rejudgement_id: str, *, lock: bool = False) -> Row[Any]:
    """One rejudgement; NotFound."""
    query = select(rejudgements).where(rejudgements.c.rejudgement_id == rejudgement_id)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NotFound("There is no such rejudgement.", rejudgement_id=rejudgement_id)
    return row


def list_newest(connection: Connection) -> list[Row[Any]]:
    """The newest rejudgements, at most `LISTED_MAX`."""
    query = select(rejudgements).order_by(rejudgements.c.rejudgement_id.desc())
    return list(connection.execute(query.limit(LISTED_MAX)))


def list_applied(connection: Connection) -> list[Row[Any]]:
    """The newest rejudgements that were applied, at most `LISTED_MAX`."""
    query = select(rejudgements).where(rejudgements.c.state == APPLIED)
    return list(
        connection.execute(query.order_by(rejudgements.c.end_time.desc()).limit(LISTED_MAX))
    )


def counts_of(connection: Connection, ids: Sequence[str]) -> dict[str, Counter[str]]:
    """Submissions by outcome of each rejudgement."""
    found: dict[str, Counter[str]] = {rejudgement_id: Counter() for rejudgement_id in ids}
    rows = connection.execute(
        select(rejudged_scores.c.rejudgement_id, rejudged_scores.c.outcome, func.count())
        .where(rejudged_scores.c.rejudgement_id.in_(ids))
        .group_by(rejudged_scores.c.rejudgement_id, rejudged_scores.c.outcome)
    )
    for rejudgement_id, outcome, count in rows:
        found[rejudgement_id][outcome] = count
    return found


def items_of(connection: Connection, rejudgement_id: str) -> list[Row[Any]]:
    """Each submission's scores, in the order of their ids, with the fault of the last attempt."""
    query = (
        select(rejudged_scores, jobs.c.fault.label("last_fault"))
        .outerjoin(
            jobs,
            (jobs.c.rejudgement_id == rejudged_scores.c.rejudgement_id)
            & (jobs.c.submission_id == rejudged_scores.c.submission_id),
        )
        .where(rejudged_scores.c.rejudgement_id == rejudgement_id)
        .order_by(rejudged_scores.c.submission_id)
    )
    return list(connection.execute(query))


def scores_to_preview(
    connection: Connection, rejudgement_id: str, after_submission_id: str
) -> ranking_pb2.GetRejudgedScoresResponse:
    """New scores for the ranker: of the oldest rejudgement that waits, or of the one named."""
    answer = ranking_pb2.GetRejudgedScoresResponse(head_position=ledger.read_head(connection))
    waiting = select(rejudgements).where(rejudgements.c.state == COMPUTING)
    if rejudgement_id:
        waiting = waiting.where(rejudgements.c.rejudgement_id == rejudgement_id)
    row = connection.execute(waiting.order_by(rejudgements.c.start_time).limit(1)).first()
    if row is None:
        return answer
    answer.rejudgement_id, answer.task_id = row.rejudgement_id, row.task_id
    entries = connection.execute(
        select(rejudged_scores.c.entry)
        .where(
            rejudged_scores.c.rejudgement_id == row.rejudgement_id,
            rejudged_scores.c.outcome == Rejudged.SCORED,
            rejudged_scores.c.submission_id > after_submission_id,
        )
        .order_by(rejudged_scores.c.submission_id)
    )
    size = 0
    for (entry,) in entries:
        size += len(entry)
        if size > MESSAGE_SCORES_BYTES and answer.scores:
            answer.more = True
            break
        answer.scores.append(ranking_pb2.ScoreEntry.FromString(entry))
    return answer
