"""The fence: who may still write about a job.

A lease is a random token on the job's row. Every write of a grader shows it, and is refused with
LeaseLost unless the job is leased under exactly this token and the lease has not ended. A grader
that was thought dead and comes back therefore changes nothing.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from general_level.errors import LeaseLost
from services.gateway.storage.tables import jobs, submissions

JobRow = Row[Any]
SubmissionRow = Row[Any]

READY: Final = "ready"
LEASED: Final = "leased"
DONE: Final = "done"
DEAD: Final = "dead"
CANCELLED: Final = "cancelled"
#: A job of a rejudgement that waits, and one that is leased.
REJUDGE: Final = "rejudge"
REJUDGING: Final = "rejudging"
#: States of a job that a grader holds.
HELD: Final = (LEASED, REJUDGING)


@dataclass(frozen=True, slots=True)
class LeaseRef:
    """A grader's claim on a job."""

    job_id: str
    lease_token: str = field(repr=False)


def waiting_state(job: JobRow) -> str:
    """The state in which the job waits for a grader."""
    return READY if job.rejudgement_id is None else REJUDGE


def shows_token(job: JobRow, ref: LeaseRef) -> bool:
    """Whether the claim shows the token that the job's row holds."""
    return job.lease_token is not None and hmac.compare_digest(
        job.lease_token.encode(), ref.lease_token.encode()
    )


def is_held(job: JobRow, ref: LeaseRef, now: datetime) -> bool:
    """Whether the job is leased under this token at ``now``."""
    return (
        job.state in HELD
        and shows_token(job, ref)
        and job.lease_expire_time is not None
        and job.lease_expire_time > now
    )


def read_job(connection: Connection, job_id: str) -> JobRow:
    """A job without locking it; LeaseLost if there is none (nobody can hold it)."""
    row = connection.execute(select(jobs).where(jobs.c.job_id == job_id)).one_or_none()
    if row is None:
        raise LeaseLost(job_id=job_id)
    return row


def read_held(connection: Connection, now: datetime, ref: LeaseRef) -> JobRow:
    """The job under a valid lease, to be read only; LeaseLost otherwise."""
    job = read_job(connection, ref.job_id)
    if not is_held(job, ref, now):
        raise LeaseLost(job_id=ref.job_id)
    return job


def lock_job(connection: Connection, job_id: str) -> tuple[JobRow, SubmissionRow]:
    """The job and its submission, locked until the transaction ends; LeaseLost if there is none.

    The submission comes first, as in a withdrawal, so that the two never wait for each other; its
    lock also makes "was this the last job?" exact. SQLite ignores FOR UPDATE and needs no row
    lock: it has one writer.
    """
    of_job = select(jobs.c.submission_id).where(jobs.c.job_id == job_id).scalar_subquery()
    submission = connection.execute(
        select(submissions).where(submissions.c.submission_id == of_job).with_for_update()
    ).one_or_none()
    if submission is None:
        raise LeaseLost(job_id=job_id)
    job = connection.execute(select(jobs).where(jobs.c.job_id == job_id).with_for_update()).one()
    return job, submission
