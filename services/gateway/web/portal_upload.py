"""The archive's bytes from a browser, by the core of the tus protocol (https://tus.io, 1.0.0).

``HEAD`` tells how many bytes are durable, ``PATCH`` sends the rest from there. They go the way of
gRPC's upload stream: the same parts, the same limits, and what came before a break is kept.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from general_level.client import convert
from general_level.errors import InvalidRequest
from general_level.v1 import submission_pb2 as pb
from services.gateway import uploads
from services.gateway.lab_uploads import LabUploads
from services.gateway.web.portal_session import (
    FORM_HEADER,
    Sessions,
    require_form_token,
    require_own_page,
)

VERSION: Final = "1.0.0"
_BODY: Final = "application/offset+octet-stream"
_HEADERS: Final = {"tus-resumable": VERSION}


class PortalUpload:
    """Handlers of ``/portal/submissions/{submission_id}/archive``."""

    def __init__(self, *, sessions: Sessions, uploads: LabUploads) -> None:
        self._sessions = sessions
        self._uploads = uploads

    async def options(self, request: Request) -> Response:
        """What of the protocol is spoken: its core."""
        await self._sessions.require(request)
        return Response(status_code=204, headers={**_HEADERS, "tus-version": VERSION})

    async def head(self, request: Request) -> Response:
        """Where the upload goes on."""
        session = await self._sessions.require(request)
        told = await self._uploads.progress(session.identity, request.path_params["submission_id"])
        return Response(
            headers={
                **_HEADERS,
                "upload-offset": str(told.durable_bytes),
                "upload-length": str(told.archive_bytes),
            }
        )

    async def patch(self, request: Request) -> Response:
        """Takes bytes from the offset on; 204 with the new offset.

        Raises CrossSiteRequest, and what `LabUploads.upload` raises: OffsetMismatch (409) for
        another offset than that of the durable bytes, DigestMismatch for a wrong archive.
        """
        require_own_page(request)
        session = await self._sessions.require(request)
        require_form_token(session, request.headers.get(FORM_HEADER, ""))
        if request.headers.get("tus-resumable") != VERSION:
            return _refused(412, "This is tus 1.0.0; send `Tus-Resumable: 1.0.0`.")
        if request.headers.get("content-type") != _BODY:
            return _refused(415, f"Send the bytes as {_BODY}.")
        messages = _messages(request, request.path_params["submission_id"], _offset(request))
        caller = await self._sessions.follow(session)
        try:
            done = await self._uploads.upload(caller, messages)
        except ClientDisconnect:
            # Nobody reads this; what came is durable, and the browser goes on there.
            return _refused(400, "The connection broke.")
        state = str(convert.state(done.submission.state))
        return Response(
            status_code=204,
            headers={
                **_HEADERS,
                "upload-offset": str(done.durable_bytes),
                "x-submission-state": state,
            },
        )


async def _messages(
    request: Request, submission_id: str, offset: int
) -> AsyncIterator[pb.UploadArchiveRequest]:
    """The body as the messages of an upload stream; the first is empty and opens it."""
    yield pb.UploadArchiveRequest(submission_id=submission_id, offset=offset)
    async for chunk in request.stream():
        for start in range(0, len(chunk), uploads.CHUNK_BYTES_MAX):
            yield pb.UploadArchiveRequest(data=chunk[start : start + uploads.CHUNK_BYTES_MAX])


def _offset(request: Request) -> int:
    text = request.headers.get("upload-offset", "")
    if not (text.isascii() and text.isdigit()) or len(text) > 15:
        raise InvalidRequest("Upload-Offset is a number of bytes.", field="upload-offset")
    return int(text)


def _refused(status: int, message: str) -> Response:
    headers = {**_HEADERS, "tus-version": VERSION}
    content = {"reason": InvalidRequest.reason, "message": message}
    return JSONResponse(content, status, headers)
