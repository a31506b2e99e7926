"""What a lab is told about its place in the queue: an exact position, an honest estimate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, and_, func, select

from services.gateway import pauses
from services.gateway.fencing import DONE, LEASED, READY
from services.gateway.storage.tables import jobs, lab_shares, submissions

#: The pace of the graders is taken over this time.
PACE_WINDOW: Final = timedelta(minutes=10)
#: A pace over less time says nothing.
_SHORTEST: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class QueueView:
    """``position``: jobs of anyone that would be leased before the submission's next job, None if
    none of its jobs waits. ``estimated_remaining``: until its last job ends at the recent pace,
    None where a modality that it needs has finished nothing of late or is paused.
    ``paused_modalities``: those of its unfinished jobs of which nothing is leased now."""

    position: int | None
    estimated_remaining: timedelta | None
    paused_modalities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Queue:
    """Jobs of one lab that wait in one modality, and the lab's virtual time."""

    lab_id: str
    virtual_time: int
    waiting: int


def position_and_estimate(connection: Connection, now: datetime, submission_id: str) -> QueueView:
    """Where the submission stands, over all modalities of its jobs."""
    counts = connection.execute(
        select(jobs.c.modality, jobs.c.state, func.count())
        .where(jobs.c.submission_id == submission_id, jobs.c.state.in_((READY, LEASED)))
        .group_by(jobs.c.modality, jobs.c.state)
    ).all()
    if not counts:
        return QueueView(None, None)
    lab_id = connection.scalar(
        select(submissions.c.lab_id).where(submissions.c.submission_id == submission_id)
    )
    waiting = {modality: count for modality, state, count in counts if state == READY}
    running = {modality: count for modality, state, count in counts if state == LEASED}
    positions: list[int] = []
    remaining: timedelta | None = timedelta(0)
    paused = pauses.paused_among(connection, waiting | running)
    for modality in sorted(waiting | running):
        before_last = 0
        if modality in waiting:
            queues = _queues(connection, modality)
            earlier = _earlier_of_lab(connection, modality, submission_id)
            positions.append(_before(queues, str(lab_id), earlier))
            before_last = _before(queues, str(lab_id), earlier + waiting[modality] - 1)
        seconds_per_job = _seconds_per_job(connection, now, modality)
        if seconds_per_job is None or remaining is None or modality in paused:
            remaining = None
            continue
        left = before_last + (modality in waiting) + running.get(modality, 0)
        remaining = max(remaining, timedelta(seconds=seconds_per_job * left))
    if remaining is not None:
        remaining = timedelta(seconds=math.ceil(remaining.total_seconds()))
    return QueueView(min(positions, default=None), remaining, paused)


def _before(queues: Sequence[_Queue], lab_id: str, own: int) -> int:
    """Jobs leased before the lab's job number ``own`` (from 0): its earlier ones, and those of
    every other lab until that lab's virtual time has passed; equal times go by lab id."""
    mine = next((queue for queue in queues if queue.lab_id == lab_id), None)
    if mine is None:
        return own
    turn = mine.virtual_time + own
    total = own
    for queue in queues:
        if queue.lab_id != lab_id:
            first = queue.lab_id < lab_id
            total += min(queue.waiting, max(0, turn - queue.virtual_time + first))
    return total


def _queues(connection: Connection, modality: str) -> list[_Queue]:
    rows = connection.execute(
        select(jobs.c.lab_id, func.max(lab_shares.c.virtual_time), func.count())
        .select_from(
            jobs.join(
                lab_shares,
                and_(
                    lab_shares.c.lab_id == jobs.c.lab_id,
                    lab_shares.c.modality == jobs.c.modality,
                ),
            )
        )
        .where(jobs.c.modality == modality, jobs.c.state == READY)
        .group_by(jobs.c.lab_id)
    )
    return [_Queue(lab_id, time, count) for lab_id, time, count in rows]


def _earlier_of_lab(connection: Connection, modality: str, submission_id: str) -> int:
    """Ready jobs of the same lab that are older than the submission's oldest ready one."""
    mine = jobs.alias("mine")
    oldest = (
        select(mine.c.lab_id, func.min(mine.c.sequence).label("sequence"))
        .where(
            mine.c.submission_id == submission_id,
            mine.c.state == READY,
            mine.c.modality == modality,
        )
        .group_by(mine.c.lab_id)
        .subquery()
    )
    query = (
        select(func.count())
        .select_from(jobs.join(oldest, oldest.c.lab_id == jobs.c.lab_id))
        .where(
            jobs.c.modality == modality,
            jobs.c.state == READY,
            jobs.c.submission_id != submission_id,
            jobs.c.sequence < oldest.c.sequence,
        )
    )
    return int(connection.scalar(query) or 0)


def _seconds_per_job(connection: Connection, now: datetime, modality: str) -> float | None:
    """The modality's pace over the last `PACE_WINDOW`; None if it finished nothing in it.

    The time counts from the first lease to the last end of these jobs: graders that had nothing to
    do before or since are not slow.
    """
    times = func.min(jobs.c.first_lease_time), func.max(jobs.c.finish_time)
    query = select(func.count(), *times).where(
        jobs.c.modality == modality,
        jobs.c.state == DONE,
        jobs.c.finish_time > now - PACE_WINDOW,
    )
    done, begun, ended = connection.execute(query).one()
    if not done:
        return None
    busy = min(max(ended - begun, _SHORTEST), PACE_WINDOW)
    return float(busy.total_seconds() / done)
