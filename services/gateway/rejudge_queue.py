"""The jobs of rejudgements in the queue: after all jobs of labs, and of no lab's share.

They have states of their own while they wait and run, so that neither the fair share nor a lab's
place in the queue counts them, and a gateway that does not know them leaves them alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, insert, select, update

from general_level.catalogue.model import Task
from general_level.identifiers import new_id
from services.gateway import pauses
from services.gateway.fencing import CANCELLED, REJUDGE, REJUDGING
from services.gateway.leases import LEASES_MAX, Leased
from services.gateway.storage.tables import jobs, task_results
from services.gateway.storage.tables import submissions as submissions_table
from services.kit.ratings import RATINGS_BYTES_MAX

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def make_jobs(
    connection: Connection,
    now: datetime,
    rejudgement_id: str,
    task: Task,
    rows: Sequence[Row[Any]],
) -> None:
    """One job for each of the submissions."""
    first = (now - _EPOCH) // _MICROSECOND
    made = [
        {
            "job_id": new_id("job", now),
            "sequence": first + place,
            "submission_id": row.submission_id,
            "lab_id": row.lab_id,
            "task_id": task.id,
            "modality": task.modality.value,
            "metric_id": task.metric_id,
            "state": REJUDGE,
            "attempt": 0,
            "available_time": now,
            "create_time": now,
            "rejudgement_id": rejudgement_id,
        }
        for place, row in enumerate(rows)
    ]
    if made:
        connection.execute(insert(jobs), made)


def has_waiting(
    connection: Connection, now: datetime, modality: str, metric_ids: Collection[str]
) -> bool:
    """Whether `lease` would find something."""
    return connection.execute(_waiting(now, modality, metric_ids).limit(1)).first() is not None


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
    """As `leases.lease`, of jobs of rejudgements: for a grader to which no lab's job is left."""
    deadline = now + job_duration
    rows = connection.execute(
        _waiting(now, modality, metric_ids)
        .order_by(jobs.c.sequence, jobs.c.job_id)
        .limit(min(max_jobs, LEASES_MAX))
        .with_for_update(skip_locked=True, of=jobs)
    ).all()
    leased: list[Leased] = []
    ratings_bytes = 0
    for row in rows:
        ratings_bytes += len(row.ratings or b"")
        if leased and ratings_bytes > RATINGS_BYTES_MAX:
            break
        token = new_token()
        connection.execute(
            update(jobs)
            .where(jobs.c.job_id == row.job_id)
            .values(
                state=REJUDGING,
                attempt=row.attempt + 1,
                lease_token=token,
                lease_expire_time=min(now + lease_duration, deadline),
                attempt_deadline=deadline,
                grader_id=grader_id,
                first_lease_time=row.first_lease_time or now,
            )
        )
        leased.append(
            Leased(
                job_id=row.job_id,
                submission_id=row.submission_id,
                task_id=row.task_id,
                lease_token=token,
                attempt=row.attempt + 1,
                archive_sha256=row.archive_sha256,
                prediction_bytes=row.prediction_bytes,
                catalogue_id=row.catalogue_id,
                ratings=row.ratings or b"",
                available_time=row.available_time,
                rejudgement_id=row.rejudgement_id,
            )
        )
    return leased


def cancel_jobs(
    connection: Connection, rejudgement_id: str, submission_ids: Sequence[str] | None = None
) -> None:
    """Those that wait or run; a grader that runs one learns it at its next beat."""
    query = update(jobs).where(
        jobs.c.rejudgement_id == rejudgement_id, jobs.c.state.in_((REJUDGE, REJUDGING))
    )
    if submission_ids is not None:
        query = query.where(jobs.c.submission_id.in_(submission_ids))
    connection.execute(query.values(state=CANCELLED, lease_token=None))


def _waiting(now: datetime, modality: str, metric_ids: Collection[str]) -> Select[Any]:
    return (
        select(
            jobs,
            submissions_table.c.archive_sha256,
            submissions_table.c.catalogue_id,
            task_results.c.prediction_bytes,
            task_results.c.ratings,
        )
        .select_from(
            jobs.join(
                submissions_table, submissions_table.c.submission_id == jobs.c.submission_id
            ).join(
                task_results,
                (task_results.c.submission_id == jobs.c.submission_id)
                & (task_results.c.task_id == jobs.c.task_id),
            )
        )
        .where(
            jobs.c.modality == modality,
            jobs.c.state == REJUDGE,
            jobs.c.available_time <= now,
            jobs.c.metric_id.in_(sorted(metric_ids)),
            ~pauses.is_paused(jobs.c.modality),
        )
    )
