"""What must happen without anyone calling.

Overdue states end, lost leases return, archives that came to nothing are removed, gauges move.
"""

from __future__ import annotations

import asyncio
from typing import Final

from services.gateway import leases, submissions, uploads
from services.gateway.signals import Signals
from services.gateway.storage.database import Database
from services.gateway.telemetry import Telemetry
from services.kit.clock import Clock
from services.kit.logging import get_logger
from services.kit.objects import Objects

#: Between two rounds. A lost lease is noticed at most this much after it ended.
ROUND_SECONDS: Final = 1.0


class Maintenance:
    """Rounds that any replica may do; each is one short transaction, safe to do twice."""

    def __init__(
        self,
        *,
        database: Database,
        objects: Objects,
        signals: Signals,
        clock: Clock,
        telemetry: Telemetry,
    ) -> None:
        self._database = database
        self._objects = objects
        self._signals = signals
        self._clock = clock
        self._telemetry = telemetry

    async def run(self) -> None:
        """Works until cancelled; a round that fails is logged and the next one tries again."""
        while True:
            try:
                await self.round()
            except Exception as error:
                # Whatever it was, without rounds no lost lease would ever come back.
                get_logger().error("maintenance round failed", exc_info=error)
            await asyncio.sleep(ROUND_SECONDS)

    async def round(self) -> None:
        """One round."""
        now = self._clock.now()
        changed = await self._database.run_write(leases.expire_leases, now)
        overdue = await self._database.run_write(submissions.end_overdue, now)
        for modality in changed.modalities:
            self._signals.notify(f"jobs/{modality}")
        for submission_id in (*changed.submission_ids, *overdue):
            self._signals.notify(f"submission/{submission_id}")
            get_logger().warning("lease expired or state overdue", submission_id=submission_id)
        for submission_id in await self._database.run_read(uploads.discardable, now):
            await self._discard(submission_id)
        await self._database.run_read(self._telemetry.refresh, now)

    async def _discard(self, submission_id: str) -> None:
        parts = await self._database.run_read(uploads.read_parts, submission_id)
        # Objects first: if this is cut short the rows still say what is left to remove.
        await asyncio.to_thread(self._objects.delete, [part.key for part in parts])
        await self._database.run_write(uploads.forget_parts, submission_id)
        get_logger().info("archive discarded", submission_id=submission_id, parts=len(parts))
