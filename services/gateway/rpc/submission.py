"""SubmissionService: thin over `LabDesk` and `LabUploads`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, Final

from general_level.v1 import submission_pb2 as pb
from general_level.v1 import submission_pb2_grpc
from services.gateway.identity import Authenticator
from services.gateway.lab_desk import LabDesk
from services.gateway.lab_uploads import LabUploads
from services.kit import tracing

_METHOD: Final = "general_level.v1.SubmissionService"


class SubmissionServicer(submission_pb2_grpc.SubmissionServiceServicer):
    """Needs a lab token for every call; a lab sees only its own submissions."""

    def __init__(self, *, desk: LabDesk, uploads: LabUploads, authenticator: Authenticator) -> None:
        self._desk = desk
        self._uploads = uploads
        self._authenticator = authenticator

    async def CreateSubmission(
        self, request: pb.CreateSubmissionRequest, context: Any
    ) -> pb.CreateSubmissionResponse:
        identity = await self._authenticator.require(context, "lab")
        submission = await self._desk.create(
            identity,
            request,
            link=tracing.traceparent_of(context),
            rpc_method=f"{_METHOD}/CreateSubmission",
        )
        return pb.CreateSubmissionResponse(submission=submission)

    async def GetUpload(self, request: pb.GetUploadRequest, context: Any) -> pb.GetUploadResponse:
        identity = await self._authenticator.require(context, "lab")
        return await self._uploads.progress(identity, request.submission_id)

    async def UploadArchive(
        self, requests: AsyncIterator[pb.UploadArchiveRequest], context: Any
    ) -> pb.UploadArchiveResponse:
        caller = await self._authenticator.follow(context, "lab")
        return await self._uploads.upload(
            caller,
            requests,
            link=tracing.traceparent_of(context),
            rpc_method=f"{_METHOD}/UploadArchive",
        )

    async def GetSubmission(
        self, request: pb.GetSubmissionRequest, context: Any
    ) -> pb.GetSubmissionResponse:
        identity = await self._authenticator.require(context, "lab")
        view = await self._desk.view(identity, request.submission_id)
        return pb.GetSubmissionResponse(submission=view)

    async def ListSubmissions(
        self, request: pb.ListSubmissionsRequest, context: Any
    ) -> pb.ListSubmissionsResponse:
        identity = await self._authenticator.require(context, "lab")
        return await self._desk.list_page(identity, request.page_size, request.page_token)

    async def CancelSubmission(
        self, request: pb.CancelSubmissionRequest, context: Any
    ) -> pb.CancelSubmissionResponse:
        identity = await self._authenticator.require(context, "lab")
        view = await self._desk.cancel(identity, request.submission_id)
        return pb.CancelSubmissionResponse(submission=view)

    async def RevealModel(
        self, request: pb.RevealModelRequest, context: Any
    ) -> pb.RevealModelResponse:
        identity = await self._authenticator.require(context, "lab")
        view = await self._desk.reveal(identity, request.submission_id)
        return pb.RevealModelResponse(submission=view)

    async def WatchSubmission(
        self, request: pb.WatchSubmissionRequest, context: Any
    ) -> AsyncIterator[pb.WatchSubmissionResponse]:
        caller = await self._authenticator.follow(context, "lab")
        async with aclosing(self._desk.watch(caller, request.submission_id)) as updates:
            async for view in updates:
                yield pb.WatchSubmissionResponse(submission=view)

    async def ListTaskResults(
        self, request: pb.ListTaskResultsRequest, context: Any
    ) -> pb.ListTaskResultsResponse:
        identity = await self._authenticator.require(context, "lab")
        results = await self._desk.results(identity, request.submission_id)
        return pb.ListTaskResultsResponse(results=results)

    async def GetReceipt(
        self, request: pb.GetReceiptRequest, context: Any
    ) -> pb.GetReceiptResponse:
        identity = await self._authenticator.require(context, "lab")
        return await self._desk.receipt(identity, request.submission_id)
