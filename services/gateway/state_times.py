"""How long submissions were in the states that they left, read from the timeline.

Every gateway reads the same timeline, so each tells of all moves since it started, whoever made
them. The moves of a transaction that commits more than `SETTLED` after it began are not seen.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, func, select

from services.gateway.states import State
from services.gateway.storage.tables import submissions, timeline

#: Entries get their numbers before they are committed: an older one may still come for this long.
SETTLED: Final = timedelta(minutes=1)
#: Entries that one look takes; the others are left for the next.
ENTRIES_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class Left:
    """A state that a submission has left, and how long it was in it."""

    state: State
    board_id: str
    seconds: float


class StateTimes:
    """Gives each move of a submission once, from the first look on."""

    def __init__(self) -> None:
        #: Every entry up to this number is settled; None before the first look.
        self._settled: int | None = None
        self._seen: set[int] = set()

    def read(self, connection: Connection, now: datetime) -> list[Left]:
        """The states left since the last look; none at the first."""
        if self._settled is None:
            self._settled = connection.scalar(select(func.max(timeline.c.entry_id))) or 0
            return []
        entries = connection.execute(
            select(timeline.c.entry_id, timeline.c.submission_id, timeline.c.enter_time)
            .where(timeline.c.entry_id > self._settled)
            .order_by(timeline.c.entry_id)
        ).all()
        new = {entry.entry_id: entry.submission_id for entry in entries}
        fresh = dict(
            itertools.islice(
                ((number, one) for number, one in new.items() if number not in self._seen),
                ENTRIES_MAX,
            )
        )
        left = list(_left(connection, fresh)) if fresh else []
        self._seen |= fresh.keys()
        for entry in entries:
            if entry.enter_time > now - SETTLED or entry.entry_id not in self._seen:
                break
            self._settled = entry.entry_id
            self._seen.discard(entry.entry_id)
        return left


def _left(connection: Connection, fresh: dict[int, str]) -> Iterator[Left]:
    """The states that these entries ended."""
    rows = connection.execute(
        select(
            timeline.c.entry_id,
            timeline.c.submission_id,
            timeline.c.state,
            timeline.c.enter_time,
            submissions.c.board_id,
        )
        .join(submissions, submissions.c.submission_id == timeline.c.submission_id)
        .where(timeline.c.submission_id.in_(sorted(set(fresh.values()))))
        .order_by(timeline.c.submission_id, timeline.c.entry_id)
    ).all()
    for before, after in itertools.pairwise(rows):
        if after.submission_id == before.submission_id and after.entry_id in fresh:
            # Two gateways' clocks may differ by a little.
            seconds = max(0.0, (after.enter_time - before.enter_time).total_seconds())
            yield Left(State(before.state), before.board_id, seconds)
