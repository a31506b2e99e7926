"""What comes of the jobs of a rejudgement: it waits aside, and no submission is touched.

The calls belong to `endings`, in the transaction that ends the job. Scores are verified as those of
labs' jobs are, and again when they are applied.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, select, update

from general_level.errors import ScoreRefused
from general_level.receipts import verify_envelope
from general_level.submission.findings import Finding
from general_level.v1 import ranking_pb2
from services.gateway import findings as stored_findings
from services.gateway import ledger
from services.gateway.fencing import JobRow
from services.gateway.storage.tables import rejudged_scores, rejudgements

#: ``what`` of a score by another key version or grader image than the operator named: the job waits
#: for a grader that has them.
OTHER_GRADER: Final = "other-grader"


class Rejudged(enum.StrEnum):
    """As in `general_level.v1.RejudgedOutcome`: what became of one submission's task."""

    PENDING = "pending"
    SCORED = "scored"
    REFUSED = "refused"
    FAILED = "failed"
    NO_ARCHIVE = "no-archive"
    ENDED = "ended"


#: Those that would keep their old score.
UNSCORED: Final = frozenset({Rejudged.REFUSED, Rejudged.FAILED, Rejudged.NO_ARCHIVE})


def take_score(
    connection: Connection,
    job: JobRow,
    score: ranking_pb2.ScoreEntry,
    expected: ledger.Expected,
    trusted_keys: Sequence[bytes],
    found: Sequence[Finding],
) -> None:
    """Keeps a new score aside. ScoreRefused for what the ledger would refuse, and `OTHER_GRADER`
    for one that is not by the grader that the operator named."""
    ledger.verify_score(score, expected, trusted_keys)
    wanted = connection.execute(
        select(rejudgements.c.key_version, rejudgements.c.grader_image_digest).where(
            rejudgements.c.rejudgement_id == job.rejudgement_id
        )
    ).one()
    statement = verify_envelope(score.envelope, trusted_keys)
    signed = (statement.key_version, statement.grader.image_digest)
    if any(named and named != said for named, said in zip(wanted, signed, strict=True)):
        raise ScoreRefused(task_id=job.task_id, what=OTHER_GRADER)
    score.rejudgement_id = job.rejudgement_id
    _set(
        connection,
        job,
        outcome=Rejudged.SCORED,
        fault="",
        entry=score.SerializeToString(),
        findings=stored_findings.dump(found),
    )


def holds_score(connection: Connection, job: JobRow, score: ranking_pb2.ScoreEntry) -> bool:
    """Whether exactly this score is kept: a call that is repeated."""
    row = _read(connection, job)
    if row is None or row.entry is None:
        return False
    kept = ranking_pb2.ScoreEntry.FromString(row.entry)
    kept.ClearField("rejudgement_id")
    return kept == score


def take_refusal(connection: Connection, job: JobRow, found: Sequence[Finding]) -> None:
    """Keeps findings about the lab's file aside: the submission is published as it is."""
    _set(
        connection,
        job,
        outcome=Rejudged.REFUSED,
        fault="",
        findings=stored_findings.dump(found),
    )


def holds_refusal(connection: Connection, job: JobRow, found: Sequence[Finding]) -> bool:
    """Whether exactly these findings are kept."""
    row = _read(connection, job)
    return (
        row is not None
        and row.outcome == Rejudged.REFUSED
        and row.findings == stored_findings.dump(found)
    )


def take_fault(connection: Connection, job: JobRow, fault: str) -> None:
    """The last attempt failed by our fault."""
    _set(connection, job, outcome=Rejudged.FAILED, fault=fault)


def _read(connection: Connection, job: JobRow) -> Row[Any] | None:
    return connection.execute(
        select(rejudged_scores).where(
            rejudged_scores.c.rejudgement_id == job.rejudgement_id,
            rejudged_scores.c.submission_id == job.submission_id,
        )
    ).one_or_none()


def _set(connection: Connection, job: JobRow, **values: object) -> None:
    connection.execute(
        update(rejudged_scores)
        .where(
            rejudged_scores.c.rejudgement_id == job.rejudgement_id,
            rejudged_scores.c.submission_id == job.submission_id,
        )
        .values(**values)
    )
