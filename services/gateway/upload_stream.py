"""The bytes of uploads on their way to the store: parts that survive their connection.

`PartStore` makes a part durable in a task of its own, so that a connection that breaks cancels the
call and not the storing of what has come. `UploadStream` is one stream's gathering and hashing.
"""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress

from prometheus_client import Counter

from general_level.errors import IllegalTransition, InvalidRequest, OffsetMismatch, Unavailable
from services.gateway import uploads
from services.gateway.signals import Signals
from services.gateway.storage.database import Database
from services.kit.clock import Clock
from services.kit.objects import Objects, Part


class PartStore:
    """Parts of all uploads of this process."""

    def __init__(
        self,
        *,
        database: Database,
        objects: Objects,
        signals: Signals,
        clock: Clock,
        stored_bytes: Counter,
    ) -> None:
        self._database = database
        self._objects = objects
        self._signals = signals
        self._clock = clock
        self._stored_bytes = stored_bytes
        self._storing: set[asyncio.Task[int]] = set()

    def store(self, submission_id: str, offset: int, data: bytes) -> asyncio.Task[int]:
        """Begins to make one part durable; the task gives the durable bytes."""
        task = asyncio.create_task(self._store(submission_id, offset, data))
        self._storing.add(task)
        task.add_done_callback(self._storing.discard)
        return task

    async def digest(self, submission_id: str) -> str:
        """SHA-256 over all stored parts, lower-case hex."""
        parts = await self._database.run_read(uploads.read_parts, submission_id)
        return await asyncio.to_thread(uploads.digest_of, self._objects, parts)

    async def settle(self) -> None:
        """Returns once every part that has come is stored; call it when no more can come."""
        while self._storing:
            await asyncio.wait(self._storing)

    async def _store(self, submission_id: str, offset: int, data: bytes) -> int:
        # The object first, then its row: a row never names what is not there.
        key = uploads.object_key(submission_id, offset)
        await asyncio.to_thread(self._objects.put, key, data)
        part = Part(offset, len(data), key)
        try:
            durable = await self._database.run_write(
                uploads.add_part, self._clock.now(), submission_id, part
            )
        except (OffsetMismatch, IllegalTransition, InvalidRequest):
            # Another stream was first, or the submission has ended: nobody will read this object.
            with suppress(Unavailable):
                await asyncio.to_thread(self._objects.delete, [key])
            raise
        self._stored_bytes.inc(len(data))
        self._signals.notify(f"submission/{submission_id}")
        return durable


class UploadStream:
    """One stream: gathers messages into parts and hashes what it has seen from the start.

    ``durable`` is the offset up to which the archive is stored; ``size`` what was announced.
    """

    def __init__(self, parts: PartStore, submission_id: str, offset: int, size: int) -> None:
        self._parts = parts
        self._submission_id = submission_id
        self._size = size
        self._buffer = bytearray()
        # A stream that starts at 0 sees every byte: the archive need not be read again.
        self._hash = hashlib.sha256() if offset == 0 else None
        self.durable = offset

    async def feed(self, data: bytes) -> None:
        """Takes one message. InvalidRequest if it is too large or more than was announced."""
        if len(data) > uploads.CHUNK_BYTES_MAX:
            raise InvalidRequest(
                f"A message carries at most {uploads.CHUNK_BYTES_MAX} bytes.", field="data"
            )
        if self.durable + len(self._buffer) + len(data) > self._size:
            raise InvalidRequest(
                f"More bytes came than the announced {self._size}.", archive_bytes=self._size
            )
        self._buffer += data
        if self._hash is not None:
            self._hash.update(data)
        if len(self._buffer) >= uploads.PART_BYTES:
            await self.flush()

    async def flush(self) -> None:
        """Makes durable what was gathered."""
        if self._buffer:
            data = bytes(self._buffer)
            self._buffer.clear()
            storing = self._parts.store(self._submission_id, self.durable, data)
            self.durable = await asyncio.shield(storing)

    async def digest(self) -> str:
        """SHA-256 of the whole archive, once ``durable`` is its size."""
        if self._hash is not None:
            return self._hash.hexdigest()
        return await self._parts.digest(self._submission_id)
