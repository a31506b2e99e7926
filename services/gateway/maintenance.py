"""What must happen without anyone calling.

Overdue states end, lost leases return, gauges move; archives that came to nothing and snapshots
that are long replaced are removed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, NoReturn

from services.gateway import (
    leases,
    publishing,
    rejudging,
    retention,
    submissions,
    uploads,
    web_sessions,
)
from services.gateway.signals import Signals
from services.gateway.storage.database import Database
from services.gateway.telemetry import Telemetry
from services.kit.clock import Clock
from services.kit.logging import get_logger
from services.kit.objects import Objects

#: Between two rounds. A lost lease is noticed at most this much after it ended.
ROUND_SECONDS: Final = 1.0
#: Between two rounds of clearing up, and what one removes at most: it ends soon, whatever waits.
CLEAR_SECONDS: Final = 10.0
PARTS_PER_ROUND: Final = 500
SNAPSHOTS_PER_ROUND: Final = 500


class Maintenance:
    """Rounds that every gateway does; each is a few short transactions, safe to do twice.

    None of them leads: what one is ending at this moment is locked, and the others pass it over or
    find it ended.
    """

    def __init__(
        self,
        *,
        database: Database,
        objects: Objects,
        signals: Signals,
        clock: Clock,
        telemetry: Telemetry,
        snapshots_kept: int,
        archives_kept: timedelta | None = None,
    ) -> None:
        self._database = database
        self._objects = objects
        self._signals = signals
        self._clock = clock
        self._telemetry = telemetry
        self._snapshots_kept = snapshots_kept
        self._archives_kept = archives_kept

    async def run(self) -> None:
        """Works until cancelled; a round that fails is logged and the next one tries again.

        Clearing up has a rhythm of its own: a store that is slow to delete holds no lease up.
        """
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_repeat(self.round, ROUND_SECONDS))
            tasks.create_task(_repeat(self.clear, CLEAR_SECONDS))

    async def round(self) -> None:
        """Ends what is overdue and sets the gauges."""
        now = self._clock.now()
        changed = await self._database.run_write(leases.expire_leases, now)
        self._telemetry.expired(changed.ended)
        overdue = await self._database.run_write(submissions.end_overdue, now)
        if await self._database.run_read(rejudging.has_grading):
            for rejudgement_id in await self._database.run_write(rejudging.settle):
                get_logger().info("rejudgement graded", rejudgement_id=rejudgement_id)
        for modality in changed.modalities:
            self._signals.notify(f"jobs/{modality}")
        if changed.ledger_changed:
            self._signals.notify("ledger")
        for submission_id in (*changed.submission_ids, *overdue):
            self._signals.notify(f"submission/{submission_id}")
            get_logger().warning("lease expired or state overdue", submission_id=submission_id)
        await self._database.run_read(self._telemetry.refresh, now)

    async def clear(self) -> None:
        """Removes some of what nobody needs any more: archives' parts, old snapshots, sessions."""
        now = self._clock.now()
        await self._database.run_write(web_sessions.prune, now)
        pruned = await self._database.run_write(
            publishing.prune, self._snapshots_kept, SNAPSHOTS_PER_ROUND
        )
        if pruned:
            get_logger().info("old snapshots removed", snapshots=pruned)
        if self._archives_kept is not None:
            for submission_id in await self._database.run_write(
                retention.end_time, now, self._archives_kept
            ):
                get_logger().info("the time of an archive is over", submission_id=submission_id)
        found = await self._database.run_read(uploads.discardable, now, PARTS_PER_ROUND)
        for submission_id, keys in found.items():
            # Objects first: if this is cut short the rows still say what is left to remove.
            await asyncio.to_thread(self._objects.delete, keys)
            await self._database.run_write(uploads.forget_parts, submission_id, keys)
            get_logger().info("archive discarded", submission_id=submission_id, parts=len(keys))


async def _repeat(work: Callable[[], Awaitable[None]], seconds: float) -> NoReturn:
    while True:
        try:
            await work()
        except Exception as error:
            # Whatever it was, without rounds no lost lease would ever come back.
            get_logger().error("maintenance round failed", exc_info=error)
        await asyncio.sleep(seconds)
