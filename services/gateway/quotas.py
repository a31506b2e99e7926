"""The quota ledger: reserve, then commit or refund; exact under parallel calls.

The rules themselves (windows, next free slot) are `general_level.fairness`. Every writer first
takes the lab's lock (`serialise`), so that two creates never see the same free slot.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, insert, literal, select

from general_level.errors import QuotaExceeded
from general_level.fairness import WINDOWS, Hold, next_slot_time, refusing_window
from general_level.wire import to_rfc3339
from services.gateway.storage.tables import quota_ledger

RESERVE: Final = "reserve"
COMMIT: Final = "commit"
REFUND: Final = "refund"


def holds(connection: Connection, lab_id: str, now: datetime) -> list[Hold]:
    """Slots that count in the widest window, oldest first."""
    refunded = quota_ledger.alias("refunded")
    start = now - max(window.length for window in WINDOWS)
    rows = connection.execute(
        select(quota_ledger.c.time, quota_ledger.c.submission_id)
        .where(
            quota_ledger.c.lab_id == lab_id,
            quota_ledger.c.action == RESERVE,
            quota_ledger.c.time > start,
            ~select(literal(1))
            .where(
                refunded.c.submission_id == quota_ledger.c.submission_id,
                refunded.c.action == REFUND,
            )
            .exists(),
        )
        .order_by(quota_ledger.c.time)
    )
    return [Hold(time, submission_id) for time, submission_id in rows]


def require_free_slot(connection: Connection, lab_id: str, now: datetime) -> None:
    """QuotaExceeded with the instant of the next slot and what holds the slots."""
    held = holds(connection, lab_id, now)
    window = refusing_window(held, now)
    if window is None:
        return
    opens = to_rfc3339(next_slot_time(held, now))
    hours = int(window.length.total_seconds() // 3600)
    raise QuotaExceeded(
        f"The limit is {window.limit} per {hours} h. The next slot opens at {opens}.",
        next_slot_time=opens,
        held_by=",".join(hold.submission_id for hold in held),
        limit=window.limit,
        window_seconds=int(window.length.total_seconds()),
    )


def record(
    connection: Connection, now: datetime, lab_id: str, submission_id: str, action: str
) -> None:
    """Appends one entry; the table refuses a second one of the same action."""
    connection.execute(
        insert(quota_ledger).values(
            lab_id=lab_id, submission_id=submission_id, action=action, time=now
        )
    )


def status(connection: Connection, submission_id: str) -> str:
    """The last action for a submission."""
    return str(
        connection.scalar(
            select(quota_ledger.c.action)
            .where(quota_ledger.c.submission_id == submission_id)
            .order_by(quota_ledger.c.entry_id.desc())
            .limit(1)
        )
    )
