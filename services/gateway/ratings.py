"""Ratings of people or of a judge: imported by an operator, then graded and signed like any task.

The verdicts cannot be computed from predictions (MOS, user preference, GPT-Score). Until they come
the task is shown as awaiting ratings; when they come a job is made for it, and when that is scored
the ledger gets an entry and the boards follow, also for a published submission.

What can be known of a file here is checked before a job is made of it. Whether every answered item
has a verdict only a grader knows: where one has none, the job is buried, the task waits for ratings
again, and the submission goes on (`endings`).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, select, update

from general_level.catalogue import Catalogue, Grading
from general_level.errors import IllegalTransition, InvalidRequest, NotFound
from services.gateway import leases, submissions
from services.gateway.states import Outcome, State
from services.gateway.storage.tables import task_results
from services.kit.ratings import RatingsInvalid, parse_ratings

#: A dead letter may be tried again: it was our fault, or the ratings could not be used.
_TAKING_OUTCOMES: Final = (Outcome.AWAITING_RATINGS, Outcome.SCORED, Outcome.DEAD_LETTER)
_TAKES_RATINGS: Final = (State.QUEUED, State.GRADING, State.RANKING, State.PUBLISHED)


def import_ratings(
    connection: Connection,
    now: datetime,
    catalogue: Catalogue,
    submission_id: str,
    task_id: str,
    ratings: bytes,
    item_ids: Collection[str] | None = None,
) -> str:
    """Takes the ratings of one task and makes its job; returns the modality that has work now.

    ``ratings`` is a file as `services.kit.ratings` reads it, ``item_ids`` the task's items where
    they are known: a verdict on another item is refused. Importing again replaces a score by a
    later edition. Raises RatingsInvalid, NotFound, InvalidRequest for a task that is not rated,
    IllegalTransition for one that takes no ratings now.
    """
    row = submissions.lock(connection, submission_id)
    result = connection.execute(
        select(task_results).where(
            task_results.c.submission_id == submission_id, task_results.c.task_id == task_id
        )
    ).one_or_none()
    if result is None or task_id not in catalogue.tasks:
        raise NotFound("The submission has no such task.", task_id=task_id)
    metric = catalogue.metric_of(task_id)
    if metric.grading is not Grading.RATINGS or metric.minimum is None or metric.maximum is None:
        raise InvalidRequest("The metric of this task is not rated.", task_id=task_id)
    verdicts = parse_ratings(ratings, metric.minimum, metric.maximum)
    unknown = set(verdicts).difference(item_ids) if item_ids is not None else set()
    if unknown:
        raise RatingsInvalid(
            f"{len(unknown)} rated items are none of the task's, for example {min(unknown)}.",
            task_id=task_id,
            problem="unknown-item",
        )
    if row.state not in _TAKES_RATINGS or result.outcome not in _TAKING_OUTCOMES:
        raise IllegalTransition(
            f"The submission is {row.state}, the task {result.outcome}.",
            submission_id=submission_id,
            task_id=task_id,
        )
    connection.execute(
        update(task_results)
        .where(task_results.c.submission_id == submission_id, task_results.c.task_id == task_id)
        .values(ratings=ratings, outcome=Outcome.PENDING)
    )
    task = catalogue.tasks[task_id]
    leases.enqueue(connection, now, row, [task])
    submissions.touch(connection, now, submission_id)
    return task.modality.value
