"""The fairness rules as pure functions over the times at which slots were taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Window:
    """At most ``limit`` submissions within any ``length``."""

    limit: int
    length: timedelta


#: 2 per 24 hours and 4 per 7 days.
WINDOWS = (Window(2, timedelta(hours=24)), Window(4, timedelta(days=7)))


class Hold(NamedTuple):
    """A slot that a submission holds since ``time``."""

    time: datetime
    submission_id: str


def holds_within(holds: Sequence[Hold], window: Window, now: datetime) -> list[Hold]:
    """The holds that count in this window, oldest first; one ends exactly after ``length``."""
    return sorted(hold for hold in holds if hold.time + window.length > now)


def free_from(holds: Sequence[Hold], window: Window, now: datetime) -> datetime:
    """When this window has a free slot; ``now`` if it has one."""
    counted = holds_within(holds, window, now)
    if len(counted) < window.limit:
        return now
    return counted[-window.limit].time + window.length


def next_slot_time(holds: Sequence[Hold], now: datetime) -> datetime:
    """When every window has a free slot; ``now`` if they have."""
    return max(free_from(holds, window, now) for window in WINDOWS)


def refusing_window(holds: Sequence[Hold], now: datetime) -> Window | None:
    """The full window that stays full longest; None if all have a free slot."""
    full = [w for w in WINDOWS if free_from(holds, w, now) > now]
    return max(full, key=lambda w: free_from(holds, w, now), default=None)
