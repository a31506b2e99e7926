"""QuotaService: the fairness rules and the agreement, as one lab meets them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from general_level.fairness import WINDOWS, holds_within, next_slot_time
from general_level.v1 import quota_pb2 as pb
from general_level.v1 import quota_pb2_grpc
from general_level.wire import to_timestamp
from services.gateway import agreement, quotas, submissions
from services.gateway.identity import Authenticator
from services.gateway.storage.database import Database
from services.kit.clock import Clock


class QuotaServicer(quota_pb2_grpc.QuotaServiceServicer):
    """Needs a lab token for every call."""

    def __init__(self, *, database: Database, clock: Clock, authenticator: Authenticator) -> None:
        self._database = database
        self._clock = clock
        self._authenticator = authenticator

    async def GetQuota(self, _request: pb.GetQuotaRequest, context: Any) -> pb.GetQuotaResponse:
        identity = await self._authenticator.require(context, "lab")
        return await self._database.run_read(_quota, identity.lab_id, self._clock.now())

    async def GetAgreement(
        self, _request: pb.GetAgreementRequest, context: Any
    ) -> pb.GetAgreementResponse:
        identity = await self._authenticator.require(context, "lab")
        accepted = await self._database.run_read(agreement.acceptance, identity.lab_id)
        return pb.GetAgreementResponse(
            version=agreement.VERSION,
            text=agreement.TEXT,
            accepted=accepted is not None,
            accept_time=to_timestamp(accepted.accept_time) if accepted else None,
        )

    async def AcceptAgreement(
        self, request: pb.AcceptAgreementRequest, context: Any
    ) -> pb.AcceptAgreementResponse:
        identity = await self._authenticator.require(context, "lab")
        accepted = await self._database.run_write(
            agreement.accept, self._clock.now(), identity.lab_id, request.version
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
