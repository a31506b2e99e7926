"""A lab's upload of one archive, whichever way its bytes come: by gRPC or by the portal."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from sqlalchemy import Connection

from general_level.errors import DigestMismatch, InvalidRequest
from general_level.v1 import submission_pb2 as pb
from services.gateway import submissions, uploads
from services.gateway.identity import Caller, Identity
from services.gateway.lab_desk import LabDesk, called_by
from services.gateway.places import Places
from services.gateway.signals import Signals
from services.gateway.storage.database import Database
from services.gateway.upload_stream import PartStore, UploadStream
from services.kit import tracing
from services.kit.clock import Clock

#: Streams that one lab may have open at once.
UPLOADS_MAX: Final = 16


class LabUploads:
    """Streams of bytes into parts that last; what came before a break is kept."""

    def __init__(
        self,
        *,
        database: Database,
        parts: PartStore,
        signals: Signals,
        clock: Clock,
        desk: LabDesk,
    ) -> None:
        self._database = database
        self._parts = parts
        self._signals = signals
        self._clock = clock
        self._desk = desk
        self._uploads = Places(UPLOADS_MAX)

    async def progress(self, identity: Identity, submission_id: str) -> pb.GetUploadResponse:
        """How many bytes are durable; NotFound also for another lab's submission."""

        def work(connection: Connection) -> pb.GetUploadResponse:
            row = submissions.read(connection, submission_id, identity.lab_id)
            return pb.GetUploadResponse(
                durable_bytes=uploads.durable_bytes(connection, row.submission_id),
                archive_bytes=row.archive_bytes,
            )

        return await self._database.run_read(work)

    async def upload(
        self,
        caller: Caller,
        messages: AsyncIterator[pb.UploadArchiveRequest],
        *,
        link: str | None = None,
        rpc_method: str = "",
    ) -> pb.UploadArchiveResponse:
        """Takes one stream; the first message names the submission and the offset.

        Raises what `uploads.begin` and `UploadStream.feed` raise, DigestMismatch at a wrong end,
        ResourceExhausted, and whatever ``messages`` raise where the connection breaks.
        """
        with self._uploads.take(caller.identity.lab_id):
            return await self._upload(caller, caller.messages(messages), link, rpc_method)

    async def _upload(
        self,
        caller: Caller,
        messages: AsyncIterator[pb.UploadArchiveRequest],
        link: str | None,
        rpc_method: str,
    ) -> pb.UploadArchiveResponse:
        first = await anext(messages, None)
        if first is None:
            raise InvalidRequest("The upload has no message.")
        identity = caller.identity
        size = await self._database.run_write(
            uploads.begin, self._clock.now(), identity.lab_id, first.submission_id, first.offset
        )
        upload = UploadStream(self._parts, first.submission_id, first.offset, size)
        # Only now is it known that the submission is this lab's.
        with tracing.span("upload", first.submission_id, link=link, **called_by(rpc_method)):
            try:
                await upload.feed(first.data)
                async for message in messages:
                    await upload.feed(message.data)
            finally:
                # Also when the connection broke: what has come is kept.
                await upload.flush()
            if upload.durable == size:
                await self._finish(first.submission_id, await upload.digest())
        view = await self._desk.view(identity, first.submission_id)
        return pb.UploadArchiveResponse(durable_bytes=upload.durable, submission=view)

    async def _finish(self, submission_id: str, digest: str) -> None:
        matches = await self._database.run_write(
            uploads.finish, self._clock.now(), submission_id, digest
        )
        self._signals.notify(f"submission/{submission_id}")
        if not matches:
            raise DigestMismatch(
                "The submission was refused without using quota; create it again.",
                received_sha256=digest,
            )
        self._signals.notify("checking")
