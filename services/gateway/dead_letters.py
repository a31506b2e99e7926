"""Dead letters: jobs that failed all attempts by our fault, and their way back into the queue.

A dead job has failed its submission and given the lab's slot back at once, so that no lab waits
for us to look (decision 0016). Once the fault is mended an operator may take the submission back to
QUEUED: what is scored stays scored, the dead job and those that its end cancelled wait again with
all their attempts, and the slot stays given back. That is refused where it would do the lab harm:
`obstacle` says why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, and_, func, or_, select, update

from general_level.v1 import submission_pb2
from services.gateway import fair_share, submissions, uploads
from services.gateway.fencing import CANCELLED, DEAD, READY
from services.gateway.states import REOPENED, Outcome, State
from services.gateway.storage.database import serialise
from services.gateway.storage.tables import jobs, task_results
from services.gateway.storage.tables import submissions as submissions_table

#: The note of the timeline.
REQUEUED: Final = "requeued"

#: Why a dead letter cannot be requeued now.
RATINGS: Final = "ratings-to-import-again"
NOT_FAILED: Final = "submission-not-failed"
CATALOGUE: Final = "other-catalogue"
ARCHIVE: Final = "archive-discarded"
PENDING: Final = "lab-has-a-pending-submission"
WENT_ON: Final = "lab-published-the-model-since"


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which dead letters; an empty field chooses nothing."""

    job_ids: tuple[str, ...] = ()
    task_id: str = ""
    modality: str = ""


@dataclass(frozen=True, slots=True)
class Requeued:
    """What became of one dead letter: ``jobs`` wait again, or ``obstacle`` says why none does."""

    job_id: str
    submission_id: str
    modalities: tuple[str, ...] = ()
    jobs: int = 0
    obstacle: str = ""


def list_page(
    connection: Connection,
    chosen: Chosen,
    page_size: int,
    before: tuple[datetime, str] | None = None,
) -> list[Row[Any]]:
    """A page of dead letters, the newest first, from before ``(finish_time, job_id)``."""
    query = _dead(chosen)
    if before is not None:
        time, job_id = before
        query = query.where(
            or_(
                jobs.c.finish_time < time,
                and_(jobs.c.finish_time == time, jobs.c.job_id < job_id),
            )
        )
    order = (jobs.c.finish_time.desc(), jobs.c.job_id.desc())
    return list(connection.execute(query.order_by(*order).limit(page_size)))


def obstacle(connection: Connection, letter: Row[Any], catalogue_id: str) -> str:
    """Why a row of `list_page` cannot be requeued now; empty if it can."""
    checks: tuple[tuple[str, Callable[[], bool]], ...] = (
        # The file that an operator imported was dropped with the job.
        (RATINGS, lambda: letter.outcome != Outcome.DEAD_LETTER),
        (NOT_FAILED, lambda: State(letter.state) not in REOPENED),
        (CATALOGUE, lambda: letter.catalogue_id != catalogue_id),
        (ARCHIVE, lambda: not uploads.is_retained(connection, letter.submission_id)),
        (PENDING, lambda: bool(submissions.pending_submission(connection, letter.lab_id))),
        # Completed after it, the older one would take the newer one's place on the boards.
        (WENT_ON, lambda: _published_since(connection, letter)),
    )
    return next((word for word, stands in checks if stands()), "")


def requeue(
    connection: Connection, now: datetime, chosen: Chosen, catalogue_id: str, limit: int
) -> tuple[list[Requeued], int]:
    """Takes the submissions of dead letters back into the queue, ``limit`` of them at most.

    Returns what became of each, and how many were chosen beyond the limit. Of two submissions of
    one lab the later goes first: that is what the lab wanted last. Signal ``jobs/<modality>`` and
    ``submission/<id>`` after the commit.
    """
    newest_first = (submissions_table.c.create_time.desc(), jobs.c.job_id)
    letters = connection.execute(_dead(chosen).order_by(*newest_first).limit(limit)).all()
    total = connection.scalar(select(func.count()).select_from(_dead(chosen).subquery())) or 0
    # As in a create: first the labs, then their submissions. In one order, so that two never meet.
    for lab_id in sorted({letter.lab_id for letter in letters}):
        serialise(connection, f"lab/{lab_id}")
    for submission_id in sorted({letter.submission_id for letter in letters}):
        submissions.lock(connection, submission_id)
    done = []
    for letter in letters:
        current = connection.execute(_dead(Chosen(job_ids=(letter.job_id,)))).one_or_none()
        if current is None:
            # Somebody requeued it in this moment.
            continue
        found = obstacle(connection, current, catalogue_id)
        if found:
            done.append(Requeued(letter.job_id, letter.submission_id, obstacle=found))
        else:
            done.append(_requeue(connection, now, current))
    return done, total - len(letters)


def _requeue(connection: Connection, now: datetime, letter: Row[Any]) -> Requeued:
    of_submission = jobs.c.submission_id == letter.submission_id
    dead = select(task_results.c.task_id).where(
        task_results.c.submission_id == letter.submission_id,
        task_results.c.outcome == Outcome.DEAD_LETTER,
    )
    again = connection.execute(
        select(jobs.c.job_id, jobs.c.modality, jobs.c.state)
        .where(
            of_submission,
            or_(
                jobs.c.state == CANCELLED,
                and_(jobs.c.state == DEAD, jobs.c.task_id.in_(dead)),
            ),
        )
        .order_by(jobs.c.job_id)
        .with_for_update()
    ).all()
    modalities = sorted({job.modality for job in again})
    for modality in modalities:
        fair_share.join(connection, letter.lab_id, modality)
    connection.execute(
        update(jobs)
        .where(jobs.c.job_id.in_([job.job_id for job in again]))
        .values(
            state=READY,
            attempt=0,
            available_time=now,
            fault=None,
            first_lease_time=None,
            finish_time=None,
        )
    )
    connection.execute(
        update(task_results)
        .where(
            task_results.c.submission_id == letter.submission_id,
            task_results.c.outcome == Outcome.DEAD_LETTER,
        )
        .values(outcome=Outcome.PENDING, attempt_count=0)
    )
    # Dead jobs were counted as done, cancelled ones were not.
    counted = sum(job.state == DEAD for job in again)
    connection.execute(
        update(submissions_table)
        .where(submissions_table.c.submission_id == letter.submission_id)
        .values(tasks_done=submissions_table.c.tasks_done - counted)
    )
    submissions.reopen(connection, now, letter.submission_id, REQUEUED)
    return Requeued(letter.job_id, letter.submission_id, tuple(modalities), len(again))


def _dead(chosen: Chosen) -> Select[Any]:
    query = (
        select(
            jobs.c.job_id,
            jobs.c.submission_id,
            jobs.c.lab_id,
            jobs.c.task_id,
            jobs.c.modality,
            jobs.c.fault,
            jobs.c.attempt,
            jobs.c.finish_time,
            submissions_table.c.state,
            submissions_table.c.catalogue_id,
            submissions_table.c.create_time,
            submissions_table.c.model,
            task_results.c.outcome,
        )
        .select_from(
            jobs.join(
                submissions_table, submissions_table.c.submission_id == jobs.c.submission_id
            ).join(
                task_results,
                and_(
                    task_results.c.submission_id == jobs.c.submission_id,
                    task_results.c.task_id == jobs.c.task_id,
                ),
            )
        )
        .where(jobs.c.state == DEAD)
    )
    if chosen.job_ids:
        query = query.where(jobs.c.job_id.in_(chosen.job_ids))
    if chosen.task_id:
        query = query.where(jobs.c.task_id == chosen.task_id)
    if chosen.modality:
        query = query.where(jobs.c.modality == chosen.modality)
    return query


def _published_since(connection: Connection, letter: Row[Any]) -> bool:
    """Whether the lab published the same model by a later submission."""
    later: Iterable[bytes] = connection.scalars(
        select(submissions_table.c.model).where(
            submissions_table.c.lab_id == letter.lab_id,
            submissions_table.c.state == State.PUBLISHED,
            submissions_table.c.create_time > letter.create_time,
        )
    )
    return _model_name(letter.model) in {_model_name(model) for model in later}


def _model_name(model: bytes) -> str:
    return submission_pb2.ModelMetadata.FromString(model).model_name
