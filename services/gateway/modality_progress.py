"""How far the grading of one submission is, by modality."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from general_level.catalogue import Modality
from services.gateway import submissions
from services.gateway.fencing import DEAD, DONE, LEASED, READY
from services.gateway.storage.tables import jobs


@dataclass(frozen=True, slots=True)
class ModalityProgress:
    """Jobs of one modality: tasks that can be graded, by what became of them."""

    modality: Modality
    waiting: int
    running: int
    done: int
    failed: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.waiting + self.running + self.done + self.failed


def read_progress(
    connection: Connection, submission_id: str, lab_id: str
) -> tuple[ModalityProgress, ...]:
    """One query over the submission's own jobs; NotFound also for another lab's submission.

    Jobs of a rejudgement are left out: the submission has its scores and keeps them.
    """
    submissions.read(connection, submission_id, lab_id)
    rows = connection.execute(
        select(jobs.c.modality, jobs.c.state, func.count())
        .where(jobs.c.submission_id == submission_id, jobs.c.rejudgement_id.is_(None))
        .group_by(jobs.c.modality, jobs.c.state)
    )
    counts = {(modality, state): count for modality, state, count in rows}
    found = []
    for modality in Modality:
        one = ModalityProgress(
            modality,
            *(counts.get((modality.value, state), 0) for state in (READY, LEASED, DONE, DEAD)),
        )
        if one.total:
            found.append(one)
    return tuple(found)
