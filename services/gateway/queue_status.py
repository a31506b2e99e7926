"""The whole queue as an operator reads it: what waits, runs and died, by modality."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, func, select

from general_level.catalogue.model import Modality
from services.gateway import ledger, pauses
from services.gateway.endings import LACKING
from services.gateway.fencing import DEAD, DONE, LEASED, READY
from services.gateway.pauses import Pause
from services.gateway.queue_view import PACE_WINDOW
from services.gateway.storage.tables import jobs, submissions


@dataclass(frozen=True, slots=True)
class ModalityStatus:
    """Jobs of one modality. ``oldest_age``: since the oldest of ``ready`` could be leased.

    ``waiting`` jobs wait after an attempt, ``lacking`` are those of them whose grader lacked their
    key or the weights; ``recent`` ended within `queue_view.PACE_WINDOW`.
    """

    modality: str
    pause: Pause | None
    ready: int
    waiting: int
    lacking: int
    leased: int
    dead: int
    oldest_age: timedelta | None
    recent: int


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """Every modality, the submissions of each state that has some, the newest ledger position."""

    modalities: tuple[ModalityStatus, ...]
    submissions: dict[str, int]
    ledger_position: int


def read_status(connection: Connection, now: datetime) -> QueueStatus:
    """The status at one moment."""
    paused = pauses.list_paused(connection)
    grouped = (
        select(jobs.c.modality, jobs.c.state, func.count())
        .where(jobs.c.state.in_((READY, LEASED, DEAD)))
        .group_by(jobs.c.modality, jobs.c.state)
    )
    by_state: Counter[tuple[str, str]] = Counter()
    for modality, state, count in connection.execute(grouped):
        by_state[modality, state] = count
    is_ready = jobs.c.state == READY
    available = (
        select(jobs.c.modality, func.count(), func.min(jobs.c.available_time))
        .where(is_ready, jobs.c.available_time <= now)
        .group_by(jobs.c.modality)
    )
    oldest = {modality: (count, time) for modality, count, time in connection.execute(available)}
    lacking = _by_modality(
        connection, is_ready, jobs.c.available_time > now, jobs.c.fault.in_(sorted(LACKING))
    )
    recent = _by_modality(connection, jobs.c.state == DONE, jobs.c.finish_time > now - PACE_WINDOW)
    found = []
    for known in Modality:
        modality = known.value
        ready, time = oldest.get(modality, (0, None))
        found.append(
            ModalityStatus(
                modality=modality,
                pause=paused.get(modality),
                ready=ready,
                waiting=by_state[modality, READY] - ready,
                lacking=lacking.get(modality, 0),
                leased=by_state[modality, LEASED],
                dead=by_state[modality, DEAD],
                oldest_age=None if time is None else now - time,
                recent=recent.get(modality, 0),
            )
        )
    counted = connection.execute(
        select(submissions.c.state, func.count()).group_by(submissions.c.state)
    )
    return QueueStatus(
        tuple(found),
        dict(sorted((state, count) for state, count in counted)),
        ledger.read_head(connection),
    )


def _by_modality(connection: Connection, *conditions: ColumnElement[bool]) -> dict[str, int]:
    """How many jobs of each modality fulfil the conditions."""
    counted = select(jobs.c.modality, func.count()).where(*conditions).group_by(jobs.c.modality)
    return {row[0]: row[1] for row in connection.execute(counted)}
