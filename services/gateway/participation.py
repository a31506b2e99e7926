"""The fairness rules and the agreement as one lab meets them, by gRPC or by the portal."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from general_level.fairness import WINDOWS, holds_within, next_slot_time
from general_level.v1 import quota_pb2 as pb
from general_level.wire import to_timestamp
from services.gateway import agreement, quotas, submissions
from services.gateway.identity import Identity
from services.gateway.storage.database import Database
from services.kit.clock import Clock


class Participation:
    """Knows neither gRPC nor HTTP: it takes who calls, and answers in the contract's messages."""

    def __init__(self, *, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def quota(self, identity: Identity) -> pb.GetQuotaResponse:
        """What is used of each window, by what, and when the next create can succeed."""
        return await self._database.run_read(_quota, identity.lab_id, self._clock.now())

    async def agreement(self, identity: Identity) -> pb.GetAgreementResponse:
        """The current agreement, and whether the lab has accepted it."""
        accepted = await self._database.run_read(agreement.acceptance, identity.lab_id)
        return pb.GetAgreementResponse(
            version=agreement.VERSION,
            text=agreement.TEXT,
            accepted=accepted is not None,
            accept_time=to_timestamp(accepted.accept_time) if accepted else None,
        )

    async def accept(self, identity: Identity, version: str) -> pb.AcceptAgreementResponse:
        """Accepts the current version; InvalidRequest for another."""
        accepted = await self._database.run_write(
            agreement.accept, self._clock.now(), identity.lab_id, version
        )
        return pb.AcceptAgreementResponse(accept_time=to_timestamp(accepted.accept_time))


def _quota(connection: Connection, lab_id: str, now: datetime) -> pb.GetQuotaResponse:
    held = quotas.holds(connection, lab_id, now)
    return pb.GetQuotaResponse(
        windows=[
            pb.QuotaWindow(
                limit=window.limit,
                used=len(holds_within(held, window, now)),
                window_seconds=int(window.length.total_seconds()),
            )
            for window in WINDOWS
        ],
        holders=[
            pb.QuotaHolder(submission_id=hold.submission_id, hold_time=to_timestamp(hold.time))
            for hold in held
        ],
        next_slot_time=to_timestamp(next_slot_time(held, now)),
        pending_submission_id=submissions.pending_submission(connection, lab_id),
    )
