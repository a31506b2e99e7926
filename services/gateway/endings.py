"""How a job ends, and what that does to its submission, all in one transaction.

Three outcomes: a score, which enters the ledger; findings about the lab's file; or a fault of
ours, which is retried and after the last attempt buries the job and fails the submission, with
the lab's quota given back. The last job to end completes the submission.

The jobs of ratings are apart: they exist because an operator imported a file, and where that file
is of no use only the job is buried. The task waits for ratings again and the submission goes on.

A file that is refused at grading rejects the submission only when its last job has ended: the lab
then sees the findings of all tasks at once and not those of the first task that was looked at.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, literal, select, update

from general_level.catalogue.limits import MAX_FINDINGS_REPORTED
from general_level.catalogue.model import Catalogue
from general_level.errors import LeaseLost
from general_level.submission.findings import Finding
from general_level.v1 import ranking_pb2
from services.gateway import findings as stored_findings
from services.gateway import ledger, rejudged
from services.gateway.fencing import (
    CANCELLED,
    DEAD,
    DONE,
    LEASED,
    READY,
    JobRow,
    LeaseRef,
    SubmissionRow,
    is_held,
    lock_job,
    shows_token,
    waiting_state,
)
from services.gateway.states import Outcome, State
from services.gateway.storage.tables import jobs, submissions, task_results
from services.gateway.submissions import move, touch

#: Attempts of one job before it is buried.
ATTEMPTS_MAX: Final = 4
#: After attempt n fails, the next may start this long times 2^n later, up to the maximum.
BACKOFF_STEP: Final = timedelta(seconds=5)
BACKOFF_MAX: Final = timedelta(minutes=5)
#: A job that its grader could not even begin waits as long again as since its first lease, within
#: these bounds: soon for a grader beside it that has what it takes, seldom while nobody has.
LACKING_WAIT_MIN: Final = timedelta(seconds=10)
LACKING_WAIT_MAX: Final = timedelta(minutes=10)

_BEING_GRADED: Final = frozenset({State.QUEUED, State.GRADING})


class Fault(enum.StrEnum):
    """What went wrong on our side; the lab reads it in ``dead-letter:<fault>``."""

    SCORER_CRASHED = "scorer-crashed"
    DECODER_CRASHED = "decoder-crashed"
    OUT_OF_MEMORY = "out-of-memory"
    DEADLINE = "deadline"
    KEY_UNAVAILABLE = "key-unavailable"
    ILLEGAL_SCORE = "illegal-score"
    INTERNAL = "internal"
    WEIGHTS_UNAVAILABLE = "weights-unavailable"
    # The grader was not heard of any more.
    LEASE_EXPIRED = "lease-expired"


#: Faults of a grader that lacks what the job needs. They say nothing of the job, so no attempt is
#: used; what ends it for good is the maximum age of the submission's state.
LACKING: Final = frozenset({Fault.KEY_UNAVAILABLE, Fault.WEIGHTS_UNAVAILABLE})


@dataclass(frozen=True, slots=True)
class Ended:
    """What an ending changed, for whoever must be told after the commit."""

    submission_id: str
    modality: str
    will_retry: bool = False
    ledger_changed: bool = False
    #: How the attempt ended: an `Outcome` or a `Fault`; empty where it had ended before.
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class Score:
    """A grader's score; ``value`` and ``standard_error`` raw, in the metric's unit."""

    value: float
    standard_error: float | None
    item_count: int
    missing_count: int
    envelope: bytes
    findings: tuple[Finding, ...] = ()


def complete_scored(
    connection: Connection,
    now: datetime,
    ref: LeaseRef,
    score: Score,
    *,
    catalogue: Catalogue,
    trusted_keys: Sequence[bytes],
    commitments: Mapping[tuple[str, str], str] | None = None,
) -> Ended:
    """Ends a job with a score. Raises LeaseLost, and ScoreRefused, which leaves the lease as it is.

    Repeating it with the same token and the same content is no error and changes nothing.
    """
    job, submission = lock_job(connection, ref.job_id)
    entry = ranking_pb2.ScoreEntry(
        submission_id=job.submission_id,
        task_id=job.task_id,
        value=score.value,
        standard_error=score.standard_error,
        item_count=score.item_count,
        missing_count=score.missing_count,
        envelope=score.envelope,
    )
    if job.state == DONE and shows_token(job, ref):
        if job.rejudgement_id is not None:
            again = rejudged.holds_score(connection, job, entry)
        else:
            again = entry in ledger.all_scores_of(connection, job.submission_id)
        if again:
            return Ended(job.submission_id, job.modality)
        raise LeaseLost(job_id=job.job_id)
    _require_held(job, ref, now)
    expected = ledger.Expected(
        archive_sha256=submission.archive_sha256,
        catalogue_id=submission.catalogue_id,
        metric=catalogue.metrics[job.metric_id],
        commitments=commitments,
    )
    if job.rejudgement_id is not None:
        rejudged.take_score(connection, job, entry, expected, trusted_keys, score.findings)
        _set_job(connection, job, state=DONE, finish_time=now)
        return Ended(job.submission_id, job.modality, outcome=Outcome.SCORED)
    _record_result(
        connection,
        job,
        outcome=Outcome.SCORED,
        value=score.value,
        standard_error=score.standard_error,
        item_count=score.item_count,
        missing_count=score.missing_count,
        findings=stored_findings.dump(score.findings),
    )
    _end_job(connection, now, job, DONE)
    # As late as can be: whoever appends waits for the commits of those before it.
    ledger.append_score(connection, now, entry, expected, trusted_keys)
    finish_submission(connection, now, submission)
    return Ended(job.submission_id, job.modality, ledger_changed=True, outcome=Outcome.SCORED)


def complete_refused(
    connection: Connection, now: datetime, ref: LeaseRef, found: Sequence[Finding]
) -> Ended:
    """Ends a job with findings about the lab's file. Raises LeaseLost; may be repeated."""
    job, submission = lock_job(connection, ref.job_id)
    dumped = stored_findings.dump(found)
    if job.state == DONE and shows_token(job, ref):
        if job.rejudgement_id is not None:
            again = rejudged.holds_refusal(connection, job, found)
        else:
            again = dumped == _read_findings(connection, job)
        if again:
            return Ended(job.submission_id, job.modality)
        raise LeaseLost(job_id=job.job_id)
    _require_held(job, ref, now)
    if job.rejudgement_id is not None:
        rejudged.take_refusal(connection, job, found)
        _set_job(connection, job, state=DONE, finish_time=now)
        return Ended(job.submission_id, job.modality, outcome=Outcome.REFUSED)
    _record_result(connection, job, outcome=Outcome.REFUSED, findings=dumped)
    _add_findings(connection, submission, found)
    _end_job(connection, now, job, DONE)
    completed = finish_submission(connection, now, submission)
    return Ended(job.submission_id, job.modality, ledger_changed=completed, outcome=Outcome.REFUSED)


def fail(connection: Connection, now: datetime, ref: LeaseRef, fault: Fault) -> Ended:
    """Ends an attempt by a fault of ours. Raises LeaseLost."""
    job, submission = lock_job(connection, ref.job_id)
    _require_held(job, ref, now)
    return end_attempt(connection, now, job, submission, fault)


def end_attempt(
    connection: Connection, now: datetime, job: JobRow, submission: SubmissionRow, fault: Fault
) -> Ended:
    """Puts the job back for another attempt, or buries it after the last; both rows are locked.

    An expired lease has waited for its whole duration already, so its job is free at once: a
    killed grader's work must run elsewhere within a minute. An attempt that only showed what the
    grader lacks does not count.
    """
    if fault in LACKING:
        waited = now - (job.first_lease_time or now)
        wait = min(max(waited, LACKING_WAIT_MIN), LACKING_WAIT_MAX)
        attempt = job.attempt - 1
        _set_job(
            connection,
            job,
            state=waiting_state(job),
            fault=fault,
            attempt=attempt,
            available_time=now + wait,
        )
        _record_result(connection, job, attempt_count=attempt)
        return Ended(job.submission_id, job.modality, will_retry=True, outcome=fault)
    if job.attempt < ATTEMPTS_MAX:
        wait = timedelta(0) if fault is Fault.LEASE_EXPIRED else _backoff(job.attempt)
        _set_job(connection, job, state=waiting_state(job), fault=fault, available_time=now + wait)
        _record_result(connection, job)
        return Ended(job.submission_id, job.modality, will_retry=True, outcome=fault)
    if job.rejudgement_id is not None:
        # The submission has its score and keeps it.
        rejudged.take_fault(connection, job, fault)
        _set_job(connection, job, state=CANCELLED, fault=fault, finish_time=now)
        return Ended(job.submission_id, job.modality, outcome=fault)
    if _is_of_ratings(connection, job):
        return _bury_ratings(connection, now, job, submission, fault)
    _record_result(connection, job, outcome=Outcome.DEAD_LETTER)
    _end_job(connection, now, job, DEAD, fault=fault)
    if submission.state in _BEING_GRADED:
        reason = f"dead-letter:{fault}"
        move(connection, now, job.submission_id, State.FAILED, note=reason, failure_reason=reason)
    return Ended(job.submission_id, job.modality, outcome=fault)


def _bury_ratings(
    connection: Connection, now: datetime, job: JobRow, submission: SubmissionRow, fault: Fault
) -> Ended:
    """Drops ratings that came to nothing; an earlier import's score stays on the boards."""
    of_job = ledger.has_score(connection, job.submission_id, job.task_id)
    outcome = Outcome.SCORED if of_job else Outcome.AWAITING_RATINGS
    _record_result(connection, job, outcome=outcome, ratings=None)
    _end_job(connection, now, job, DEAD, fault=fault)
    completed = finish_submission(connection, now, submission)
    return Ended(job.submission_id, job.modality, ledger_changed=completed, outcome=fault)


def finish_submission(connection: Connection, now: datetime, submission: SubmissionRow) -> bool:
    """Takes a submission whose jobs have all ended to RANKING, or to REJECTED after a refusal.

    Also for one that never had a job. Returns whether a completion entered the ledger. Called in
    the transaction that ended the last job, with the submission's row locked.
    """
    submission_id = submission.submission_id
    if submission.state not in _BEING_GRADED:
        return False
    if _has_job(connection, submission_id, READY) or _has_job(connection, submission_id, LEASED):
        return False
    if _was_refused(connection, submission_id):
        reason = "refused-at-grading"
        move(connection, now, submission_id, State.REJECTED, note=reason, failure_reason=reason)
        return False
    position = ledger.append_completion(connection, now, submission)
    connection.execute(
        update(submissions)
        .where(submissions.c.submission_id == submission_id)
        .values(ledger_position=position)
    )
    move(connection, now, submission_id, State.RANKING)
    return True


def _require_held(job: JobRow, ref: LeaseRef, now: datetime) -> None:
    if not is_held(job, ref, now):
        raise LeaseLost(job_id=job.job_id)


def _backoff(attempt: int) -> timedelta:
    wait: timedelta = BACKOFF_STEP * 2**attempt
    return min(wait, BACKOFF_MAX)


def _set_job(connection: Connection, job: JobRow, **values: object) -> None:
    """Ends the lease. The token stays only on a job that is done, to know a repeated call."""
    connection.execute(
        update(jobs)
        .where(jobs.c.job_id == job.job_id)
        .values(
            lease_token=job.lease_token if values.get("state") == DONE else None,
            lease_expire_time=None,
            attempt_deadline=None,
            **values,
        )
    )


def _end_job(
    connection: Connection, now: datetime, job: JobRow, state: str, fault: Fault | None = None
) -> None:
    _set_job(connection, job, state=state, fault=fault, finish_time=now)
    touch(connection, now, job.submission_id, tasks_done=submissions.c.tasks_done + 1)


def _record_result(connection: Connection, job: JobRow, **values: object) -> None:
    if job.rejudgement_id is not None:
        return
    connection.execute(
        update(task_results)
        .where(
            task_results.c.submission_id == job.submission_id,
            task_results.c.task_id == job.task_id,
        )
        .values(**{"attempt_count": job.attempt, **values})
    )


def _is_of_ratings(connection: Connection, job: JobRow) -> bool:
    query = select(literal(1)).where(
        task_results.c.submission_id == job.submission_id,
        task_results.c.task_id == job.task_id,
        task_results.c.ratings.is_not(None),
    )
    return connection.scalar(query) is not None


def _read_findings(connection: Connection, job: JobRow) -> bytes | None:
    return connection.scalar(
        select(task_results.c.findings).where(
            task_results.c.submission_id == job.submission_id,
            task_results.c.task_id == job.task_id,
        )
    )


def _add_findings(
    connection: Connection, submission: SubmissionRow, found: Sequence[Finding]
) -> None:
    known = (*stored_findings.load(submission.findings), *found)[:MAX_FINDINGS_REPORTED]
    connection.execute(
        update(submissions)
        .where(submissions.c.submission_id == submission.submission_id)
        .values(
            findings=stored_findings.dump(known),
            finding_count=submissions.c.finding_count + len(found),
        )
    )


def _has_job(connection: Connection, submission_id: str, state: str) -> bool:
    query = select(literal(1)).where(jobs.c.submission_id == submission_id, jobs.c.state == state)
    return connection.scalar(query.limit(1)) is not None


def _was_refused(connection: Connection, submission_id: str) -> bool:
    query = select(literal(1)).where(
        task_results.c.submission_id == submission_id,
        task_results.c.outcome == Outcome.REFUSED,
    )
    return connection.scalar(query.limit(1)) is not None
