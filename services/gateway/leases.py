"""The queue: jobs wait, are leased, beat, and come back when their grader is gone.

Labs are served by `fair_share`; within a lab the oldest job comes first.

PostgreSQL lets several graders lease at once (FOR UPDATE SKIP LOCKED). SQLAlchemy leaves the
clause out for SQLite, where it is not needed: the write transaction is the only one.

How an attempt ends is in `endings`, the lab's view of the queue in `queue_view`; both are
offered here too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    insert,
    literal,
    select,
    update,
)

from general_level.catalogue.model import Task
from general_level.identifiers import new_id
from services.gateway import fair_share, pauses
from services.gateway.endings import (
    ATTEMPTS_MAX,
    Ended,
    Fault,
    Score,
    complete_refused,
    complete_scored,
    end_attempt,
    fail,
    finish_submission,
)
from services.gateway.fencing import (
    HELD,
    LEASED,
    READY,
    JobRow,
    LeaseRef,
    SubmissionRow,
    is_held,
    lock_job,
    read_held,
    read_job,
    waiting_state,
)
from services.gateway.queue_view import QueueView, position_and_estimate
from services.gateway.states import State
from services.gateway.storage.tables import jobs, submissions, task_results
from services.gateway.submissions import lock, move
from services.kit.ratings import RATINGS_BYTES_MAX

__all__ = [
    "ATTEMPTS_MAX",
    "Ended",
    "Expired",
    "Fault",
    "LeaseRef",
    "Leased",
    "QueueView",
    "Score",
    "complete_refused",
    "complete_scored",
    "enqueue",
    "expire_leases",
    "fail",
    "finish_submission",
    "has_ready",
    "keep_alive",
    "lease",
    "position_and_estimate",
    "read_held",
    "read_job",
    "release",
]

#: Jobs that one call leases at most.
LEASES_MAX: Final = 64
#: Expired leases that one call ends at most.
EXPIRED_MAX: Final = 500

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Leased:
    """One job in a grader's hands. ``attempt`` counts from 1; sizes in bytes."""

    job_id: str
    submission_id: str
    task_id: str
    lease_token: str = field(repr=False)
    attempt: int
    archive_sha256: str
    prediction_bytes: int
    catalogue_id: str
    ratings: bytes = field(repr=False)
    #: Since when it could be leased.
    available_time: datetime
    #: Whether the submission was QUEUED when this lease was decided: it is GRADING now.
    first_of_submission: bool = False
    #: Set for a job of a rejudgement.
    rejudgement_id: str = ""


@dataclass(frozen=True, slots=True)
class Expired:
    """The attempts that one round ended."""

    ended: tuple[Ended, ...]

    @property
    def modalities(self) -> list[str]:
        """Those that have jobs to lease again."""
        return sorted({one.modality for one in self.ended if one.will_retry})

    @property
    def submission_ids(self) -> list[str]:
        """Those of which a watcher sees a change."""
        return sorted({one.submission_id for one in self.ended})

    @property
    def ledger_changed(self) -> bool:
        """Whether one of them completed its submission."""
        return any(one.ledger_changed for one in self.ended)


def enqueue(
    connection: Connection, now: datetime, submission: SubmissionRow, tasks: Sequence[Task]
) -> None:
    """Makes one job for each task, ready now, in the caller's transaction.

    A submission that is QUEUED and has no job at all is complete at once: it goes to RANKING.
    After the commit, signal ``jobs/<modality>`` for the tasks' modalities, and ``ledger``.
    """
    for modality in sorted({task.modality for task in tasks}):
        fair_share.join(connection, submission.lab_id, modality)
    # Microseconds since 1970, one apart: older submissions first, then the order of the tasks.
    start = (now - _EPOCH) // _MICROSECOND
    rows = [
        {
            "job_id": new_id("job", now),
            "sequence": start + place,
            "submission_id": submission.submission_id,
            "lab_id": submission.lab_id,
            "task_id": task.id,
            "modality": task.modality.value,
            "metric_id": task.metric_id,
            "state": READY,
            "attempt": 0,
            "available_time": now,
            "create_time": now,
        }
        for place, task in enumerate(tasks)
    ]
    if rows:
        connection.execute(insert(jobs), rows)
    of_submission = submissions.c.submission_id == submission.submission_id
    connection.execute(
        update(submissions)
        .where(of_submission)
        .values(tasks_total=submissions.c.tasks_total + len(rows))
    )
    current = connection.execute(select(submissions).where(of_submission).with_for_update()).one()
    finish_submission(connection, now, current)


def has_ready(
    connection: Connection, now: datetime, modality: str, metric_ids: Collection[str]
) -> bool:
    """Whether `lease` would find something; a read, so that idle graders never take a lock."""
    query = select(literal(1)).where(_leasable(now, modality, metric_ids)).limit(1)
    return connection.scalar(query) is not None


def lease(
    connection: Connection,
    now: datetime,
    *,
    modality: str,
    metric_ids: Collection[str],
    max_jobs: int,
    grader_id: str,
    new_token: Callable[[], str],
    lease_duration: timedelta,
    job_duration: timedelta,
) -> list[Leased]:
    """Leases up to ``max_jobs`` (at most 64) ready jobs to one grader, fairly between labs.

    Each is held until ``lease_duration`` from now unless it is kept alive, and never longer than
    ``job_duration``. The first lease of a submission takes it from QUEUED to GRADING.
    """
    wanted = min(max_jobs, LEASES_MAX)
    leasable = _leasable(now, modality, metric_ids)
    deadline = now + job_duration
    expires = min(now + lease_duration, deadline)
    leased: list[Leased] = []
    served: Counter[str] = Counter()
    #: Labs whose other jobs are none, or are being leased to other graders in this moment.
    exhausted: set[str] = set()
    ratings_bytes = 0
    while len(leased) < wanted:
        turns = fair_share.turns(
            connection, modality, leasable, served, wanted - len(leased), exhausted
        )
        if not turns:
            break
        rows: list[Row[Any]] = []
        for lab_id, count in turns.items():
            found = connection.execute(
                _next_jobs().where(leasable, jobs.c.lab_id == lab_id).limit(count)
            ).all()
            rows += found
            if len(found) < count:
                exhausted.add(lab_id)
        for row in rows:
            ratings_bytes += len(row.ratings or b"")
            # They travel in the answer, which has a size limit: at most one largest file of them.
            # A job whose ratings do not fit beside the others' waits for the next call.
            if leased and ratings_bytes > RATINGS_BYTES_MAX:
                wanted = len(leased)
                break
            token = new_token()
            connection.execute(
                update(jobs)
                .where(jobs.c.job_id == row.job_id)
                .values(
                    state=LEASED,
                    attempt=row.attempt + 1,
                    lease_token=token,
                    lease_expire_time=expires,
                    attempt_deadline=deadline,
                    grader_id=grader_id,
                    first_lease_time=row.first_lease_time or now,
                )
            )
            served[row.lab_id] += 1
            leased.append(
                Leased(
                    job_id=row.job_id,
                    submission_id=row.submission_id,
                    task_id=row.task_id,
                    lease_token=token,
                    attempt=row.attempt + 1,
                    archive_sha256=row.archive_sha256,
                    prediction_bytes=row.prediction_bytes or 0,
                    catalogue_id=row.catalogue_id,
                    ratings=row.ratings or b"",
                    available_time=row.available_time,
                    first_of_submission=row.submission_state == State.QUEUED,
                )
            )
    # In one order everywhere: jobs, then submissions, then shares.
    for submission_id in sorted({one.submission_id for one in leased if one.first_of_submission}):
        # Another grader may have leased its first job between our look and our lock.
        if lock(connection, submission_id).state == State.QUEUED:
            move(connection, now, submission_id, State.GRADING)
    fair_share.charge(connection, modality, served)
    return leased


def keep_alive(
    connection: Connection, now: datetime, refs: Sequence[LeaseRef], lease_duration: timedelta
) -> list[LeaseRef]:
    """Extends leases to ``lease_duration`` from now, never past the attempt's deadline.

    Returns those that are still held; work on the others must stop.
    """
    kept = []
    for ref, row in _held(connection, now, refs):
        connection.execute(
            update(jobs)
            .where(jobs.c.job_id == ref.job_id)
            .values(lease_expire_time=min(now + lease_duration, row.attempt_deadline))
        )
        kept.append(ref)
    return kept


def release(connection: Connection, now: datetime, refs: Sequence[LeaseRef]) -> list[str]:
    """Gives untouched jobs back; the attempt does not count. Lost leases are passed over.

    Returns the modality of each job that is ready again, in order.
    """
    modalities = []
    for ref, row in _held(connection, now, refs):
        connection.execute(
            update(jobs)
            .where(jobs.c.job_id == ref.job_id)
            .values(
                state=waiting_state(row),
                attempt=row.attempt - 1,
                available_time=now,
                lease_token=None,
                lease_expire_time=None,
                attempt_deadline=None,
            )
        )
        modalities.append(str(row.modality))
    return sorted(modalities)


def expire_leases(connection: Connection, now: datetime, limit: int = EXPIRED_MAX) -> Expired:
    """Ends the attempts of graders that were not heard of; call it every second or so.

    The attempt counts: a task that kills its grader must not go round for ever. A grader that beat
    until the attempt's deadline fails by DEADLINE, the others by LEASE_EXPIRED.
    """
    expired = connection.scalars(
        select(jobs.c.job_id)
        .where(jobs.c.state.in_(HELD), jobs.c.lease_expire_time <= now)
        .order_by(jobs.c.lease_expire_time)
        .limit(limit)
    ).all()
    ended = []
    for job_id in sorted(expired):
        job, submission = lock_job(connection, job_id)
        # Another replica, or the end of the submission, may have been first.
        if job.state not in HELD or job.lease_expire_time > now:
            continue
        overdue = job.attempt_deadline <= now
        fault = Fault.DEADLINE if overdue else Fault.LEASE_EXPIRED
        ended.append(end_attempt(connection, now, job, submission, fault))
    return Expired(tuple(ended))


def _held(
    connection: Connection, now: datetime, refs: Sequence[LeaseRef]
) -> Iterator[tuple[LeaseRef, JobRow]]:
    """The jobs that these leases still hold, each locked; lost ones are passed over."""
    # In one order everywhere, so that two calls never wait for each other's rows.
    for ref in sorted(refs, key=lambda one: one.job_id):
        row = connection.execute(
            select(jobs).where(jobs.c.job_id == ref.job_id).with_for_update()
        ).one_or_none()
        if row is not None and is_held(row, ref, now):
            yield ref, row


def _leasable(now: datetime, modality: str, metric_ids: Collection[str]) -> ColumnElement[bool]:
    return and_(
        jobs.c.modality == modality,
        jobs.c.state == READY,
        jobs.c.available_time <= now,
        jobs.c.metric_id.in_(sorted(metric_ids)),
        ~pauses.is_paused(jobs.c.modality),
    )


def _next_jobs() -> Select[Any]:
    """Jobs with what their lease tells of submission and task, oldest first, each locked."""
    return (
        select(
            jobs.c.job_id,
            jobs.c.submission_id,
            jobs.c.lab_id,
            jobs.c.task_id,
            jobs.c.attempt,
            jobs.c.available_time,
            jobs.c.first_lease_time,
            submissions.c.archive_sha256,
            submissions.c.catalogue_id,
            submissions.c.state.label("submission_state"),
            task_results.c.prediction_bytes,
            task_results.c.ratings,
        )
        .select_from(
            jobs.join(submissions, submissions.c.submission_id == jobs.c.submission_id).outerjoin(
                task_results,
                and_(
                    task_results.c.submission_id == jobs.c.submission_id,
                    task_results.c.task_id == jobs.c.task_id,
                ),
            )
        )
        .order_by(jobs.c.sequence)
        .with_for_update(skip_locked=True, of=jobs)
    )
