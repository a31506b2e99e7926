"""Ratings of people or of a judge: imported by an operator, then graded and signed like any task.

The verdicts cannot be computed from predictions (MOS, user preference, GPT-Score). Until they come
the task is shown as awaiting ratings; when they come a job is made for it, and when that is scored
the ledger gets an entry and the boards follow, also for a published submission.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, select, update

from general_level.catalogue import Catalogue, Grading
from general_level.errors import IllegalTransition, InvalidRequest, NotFound
from services.gateway import leases, submissions
from services.gateway.states import Outcome, State
from services.gateway.storage.tables import task_results

#: One file of ratings.
RATINGS_BYTES_MAX: Final = 16 * 1024 * 1024
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
) -> str:
    """Takes the ratings of one task and makes its job; returns the modality that has work now.

    ``ratings`` is JSON ``{"ratings": [{"id": …, "ratings": [numbers]}, …]}``; the grader checks
    each value against the metric's bounds. Importing again replaces a score by a later edition.
    """
    if len(ratings) > RATINGS_BYTES_MAX:
        raise InvalidRequest(f"Ratings have at most {RATINGS_BYTES_MAX} bytes.", field="ratings")
    try:
        parsed = json.loads(ratings)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("The ratings are not JSON.", field="ratings") from error
    if not isinstance(parsed, dict) or not isinstance(parsed.get("ratings"), list):
        raise InvalidRequest('The ratings need a list under "ratings".', field="ratings")
    row = submissions.read(connection, submission_id)
    result = connection.execute(
        select(task_results).where(
            task_results.c.submission_id == submission_id, task_results.c.task_id == task_id
        )
    ).one_or_none()
    if result is None or task_id not in catalogue.tasks:
        raise NotFound("The submission has no such task.", task_id=task_id)
    if catalogue.metric_of(task_id).grading is not Grading.RATINGS:
        raise InvalidRequest("The metric of this task is not rated.", task_id=task_id)
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
