"""QuotaService: thin over `Participation`."""

from __future__ import annotations

from typing import Any

from general_level.v1 import quota_pb2 as pb
from general_level.v1 import quota_pb2_grpc
from services.gateway.identity import Authenticator
from services.gateway.participation import Participation


class QuotaServicer(quota_pb2_grpc.QuotaServiceServicer):
    """Needs a lab token for every call."""

    def __init__(self, *, participation: Participation, authenticator: Authenticator) -> None:
        self._participation = participation
        self._authenticator = authenticator

    async def GetQuota(self, _request: pb.GetQuotaRequest, context: Any) -> pb.GetQuotaResponse:
        identity = await self._authenticator.require(context, "lab")
        return await self._participation.quota(identity)

    async def GetAgreement(
        self, _request: pb.GetAgreementRequest, context: Any
    ) -> pb.GetAgreementResponse:
        identity = await self._authenticator.require(context, "lab")
        return await self._participation.agreement(identity)

    async def AcceptAgreement(
        self, request: pb.AcceptAgreementRequest, context: Any
    ) -> pb.AcceptAgreementResponse:
        identity = await self._authenticator.require(context, "lab")
        return await self._participation.accept(identity, request.version)
