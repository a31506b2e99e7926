"""Modalities that operators have paused: nothing of them is leased, and nobody pays for the wait.

Jobs that run when a pause begins end as ever. A submission whose state would outlive its maximum
age is not ended while a modality of its unfinished jobs is paused; afterwards its state may last
longer by the length of the pause, at most a whole maximum age from then on.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    delete,
    exists,
    insert,
    literal,
    select,
    update,
)

from services.gateway.fencing import LEASED, READY
from services.gateway.states import HELD_BY_PAUSES, STATE_AGE_MAX, State
from services.gateway.storage.database import serialise
from services.gateway.storage.tables import jobs, paused_modalities, submissions


@dataclass(frozen=True, slots=True)
class Pause:
    """Since when a modality is paused, why, and by whom: the label of the operator's token."""

    modality: str
    pause_time: datetime
    reason: str
    operator: str


def is_paused(modality: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether the modality of a row is paused; part of a query."""
    return modality.in_(select(paused_modalities.c.modality))


def is_held() -> ColumnElement[bool]:
    """Whether a submission of a query waits for a paused modality: its age does not end it."""
    return and_(
        submissions.c.state.in_(sorted(HELD_BY_PAUSES)),
        exists(literal(1))
        .where(
            jobs.c.submission_id == submissions.c.submission_id,
            jobs.c.state.in_((READY, LEASED)),
            is_paused(jobs.c.modality),
        )
        .correlate(submissions),
    )


def list_paused(connection: Connection) -> dict[str, Pause]:
    """The paused modalities by name."""
    rows = connection.execute(select(paused_modalities))
    return {
        row.modality: Pause(row.modality, row.pause_time, row.reason, row.operator) for row in rows
    }


def paused_among(connection: Connection, modalities: Collection[str]) -> tuple[str, ...]:
    """Those of the modalities that are paused, sorted."""
    found = connection.scalars(
        select(paused_modalities.c.modality).where(
            paused_modalities.c.modality.in_(sorted(modalities))
        )
    )
    return tuple(sorted(found))


def pause(
    connection: Connection, now: datetime, modality: str, reason: str, operator: str
) -> Pause:
    """Pauses a modality; the pause that there is if it is paused already."""
    serialise(connection, f"pause/{modality}")
    known = list_paused(connection).get(modality)
    if known is not None:
        return known
    made = Pause(modality, now, reason, operator)
    connection.execute(
        insert(paused_modalities).values(
            modality=modality, pause_time=now, reason=reason, operator=operator
        )
    )
    return made


def resume(connection: Connection, now: datetime, modality: str) -> list[str]:
    """Ends a pause; returns the submissions whose state may last longer now.

    Nothing happens if the modality is not paused. Signal ``jobs/<modality>`` after the commit.
    """
    serialise(connection, f"pause/{modality}")
    known = list_paused(connection).get(modality)
    if known is None:
        return []
    unfinished = select(jobs.c.submission_id).where(
        jobs.c.modality == modality, jobs.c.state.in_((READY, LEASED))
    )
    rows = connection.execute(
        select(submissions.c.submission_id, submissions.c.state, submissions.c.state_deadline)
        .where(
            submissions.c.state.in_(sorted(HELD_BY_PAUSES)),
            submissions.c.submission_id.in_(unfinished),
        )
        .order_by(submissions.c.submission_id)
        .with_for_update(key_share=True)
    ).all()
    for submission_id, state, deadline in rows:
        # It may have come during the pause, or be given time by two pauses at once.
        longest = now + STATE_AGE_MAX[State(state)]
        connection.execute(
            update(submissions)
            .where(submissions.c.submission_id == submission_id)
            .values(
                state_deadline=min(deadline + (now - known.pause_time), longest),
                update_time=now,
                revision=submissions.c.revision + 1,
            )
        )
    connection.execute(delete(paused_modalities).where(paused_modalities.c.modality == modality))
    return [str(row.submission_id) for row in rows]
