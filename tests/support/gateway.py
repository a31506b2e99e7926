"""A real gateway in this process on free loopback ports, and labs that call it over real channels.

    async with running(tmp_path) as gateway:
        lab = await gateway.new_lab()
        submission = await lab.submit(archive())

Errors come out as those of `general_level.errors`, as a lab's client raises them.
"""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import io
import itertools
import json
import queue
import random
import tempfile
import time
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import grpc

from general_level.catalogue import load
from general_level.identifiers import new_request_id
from general_level.testing.inputs import write_example_archive
from general_level.v1 import quota_pb2, quota_pb2_grpc, submission_pb2_grpc
from general_level.v1 import submission_pb2 as pb
from general_level.wire import from_rpc_error
from services.gateway import agreement, identity, submissions
from services.gateway.app import Gateway, Ports
from services.gateway.settings import Settings
from services.gateway.states import State
from services.gateway.storage.database import Database
from services.gateway.storage.migrate import upgrade
from services.kit.clock import Clock
from tests.support.stores import stores

T = TypeVar("T")

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
#: One text task that is scored automatically.
BOARD = "D-L-11"
TASK = "language-055"
CHUNK_BYTES = 256 * 1024
FINAL = {
    getattr(pb, f"SUBMISSION_STATE_{word}")
    for word in ("PUBLISHED", "REJECTED", "FAILED", "CANCELLED", "EXPIRED")
}


async def eventually(
    predicate: Callable[[], T | Awaitable[T]], timeout_seconds: float = 20.0, what: str = ""
) -> T:
    """The first truthy answer of ``predicate``, while the event loop goes on."""
    end = time.monotonic() + timeout_seconds
    while True:
        answer = predicate()
        value: T = await answer if inspect.isawaitable(answer) else answer
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout_seconds} s: {what or predicate}")
        await asyncio.sleep(0.02)


@cache
def _migrated() -> bytes:
    """An empty database of the current schema, made once in this process."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/gateway.db")
        upgrade(database)
        database.close()
        return Path(folder, "gateway.db").read_bytes()


@contextmanager
def open_database(folder: Path) -> Iterator[Database]:
    """A migrated database of its own, without a gateway."""
    url = stores().rows_url(folder)
    file = folder / "gateway.db"
    if url.startswith("sqlite") and not file.exists():
        file.write_bytes(_migrated())
    database = Database(url)
    try:
        yield database
    finally:
        database.close()


def settings_for(folder: Path, **changes: Any) -> Settings:
    """Settings of a gateway that keeps all it has in the stores of ``folder``."""
    settings = Settings.from_env(
        {
            **stores().environment(folder),
            "GATEWAY_PUBLIC_ADDRESS": "127.0.0.1:0",
            "GATEWAY_INTERNAL_ADDRESS": "127.0.0.1:0",
            "GATEWAY_METRICS_PORT": "0",
            "GATEWAY_DRAIN_SECONDS": "0",
        }
    )
    return replace(settings, **changes)


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive as a lab has it."""

    name: str
    data: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def board(self) -> str:
        return next(
            b for b in sorted(load().boards, key=len, reverse=True) if f"-{b}." in self.name
        )


@cache
def archive(board: str = BOARD, model: str = "Example Model") -> Archive:
    """A small archive that the checker accepts."""
    catalogue = load()
    with tempfile.TemporaryDirectory() as folder:
        path = write_example_archive(
            Path(folder) / f"{model}-{board}.zip", catalogue, catalogue.boards[board], {}
        )
        return Archive(path.name, path.read_bytes())


def large_archive(size_bytes: int, board: str = BOARD, model: str = "Large Model") -> Archive:
    """An acceptable archive of about ``size_bytes`` that does not compress."""
    task = load().tasks[load().boards[board].task_ids[0]]
    letters = random.Random(size_bytes)
    text_chars = 50_000
    rows = [
        {"id": str(number), "prediction": letters.randbytes(text_chars // 2).hex()}
        for number in range(max(1, size_bytes // text_chars))
    ]
    return of_members({f"{task.archive_path}/prediction.json": rows}, board, model)


def of_members(members: Mapping[str, object], board: str = BOARD, model: str = "M") -> Archive:
    """An archive of JSON members by path."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as bundle:
        for path, value in members.items():
            bundle.writestr(path, value if isinstance(value, bytes) else json.dumps(value))
    return Archive(f"{model}-{board}.zip", buffer.getvalue())


async def answered(call: Awaitable[T]) -> T:
    """What the call answers; its error as one of ours."""
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        raise from_rpc_error(error) from error


def create_request(
    what: Archive, request_id: str | None = None, **changes: Any
) -> pb.CreateSubmissionRequest:
    """The create that announces an archive."""
    request = pb.CreateSubmissionRequest(
        request_id=request_id or new_request_id(),
        board_id=what.board,
        model=pb.ModelMetadata(model_name=what.name.removesuffix(f"-{what.board}.zip")),
        archive_bytes=len(what.data),
        archive_sha256=what.sha256,
        archive_name=what.name,
    )
    for field, value in changes.items():
        setattr(request, field, value)
    return request


class UploadStream:
    """One upload stream under the test's hand, over the kind of channel that labs use.

    (An asyncio client that is still writing when the server ends the call does not see why.)
    """

    def __init__(self, channel: grpc.Channel, metadata: tuple[tuple[str, str], ...]) -> None:
        self._messages: queue.SimpleQueue[pb.UploadArchiveRequest | None] = queue.SimpleQueue()
        stub = submission_pb2_grpc.SubmissionServiceStub(channel)
        self._call = stub.UploadArchive.future(
            iter(self._messages.get, None), metadata=metadata, timeout=60
        )

    def send(self, *messages: pb.UploadArchiveRequest) -> None:
        for message in messages:
            self._messages.put(message)

    def cancel(self) -> None:
        """Breaks the stream off."""
        self._call.cancel()
        self._messages.put(None)

    async def end(self) -> pb.UploadArchiveResponse:
        """Says that nothing more comes; the answer, or the error of the call."""
        self._messages.put(None)
        try:
            answer: pb.UploadArchiveResponse = await asyncio.to_thread(self._call.result)
        except grpc.RpcError as error:
            raise from_rpc_error(error) from error
        return answer


class Lab:
    """A lab's calls over one channel with one token."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        upload_channel: grpc.Channel,
        token: str | None,
        lab_id: str = "",
    ) -> None:
        self._upload_channel = upload_channel
        self.token = token
        self.lab_id = lab_id
        self.metadata = (("authorization", f"Bearer {token}"),) if token is not None else ()
        self.submission = submission_pb2_grpc.SubmissionServiceStub(channel)
        self.quota = quota_pb2_grpc.QuotaServiceStub(channel)

    async def call(self, method: Callable[..., Awaitable[T]], request: object) -> T:
        return await answered(method(request, metadata=self.metadata, timeout=60))

    async def accept(self) -> None:
        request = quota_pb2.AcceptAgreementRequest(version=agreement.VERSION)
        await self.call(self.quota.AcceptAgreement, request)

    async def create(
        self, what: Archive, request_id: str | None = None, **changes: Any
    ) -> pb.Submission:
        request = create_request(what, request_id, **changes)
        return (await self.call(self.submission.CreateSubmission, request)).submission

    async def durable_bytes(self, submission_id: str) -> int:
        request = pb.GetUploadRequest(submission_id=submission_id)
        return (await self.call(self.submission.GetUpload, request)).durable_bytes

    async def upload(
        self, submission_id: str, data: bytes, offset: int = 0, chunk_bytes: int = CHUNK_BYTES
    ) -> pb.UploadArchiveResponse:
        """Sends ``data[offset:]`` in one stream."""
        stream = self.open_upload()
        stream.send(*upload_messages(submission_id, data, offset, chunk_bytes))
        return await stream.end()

    def open_upload(self) -> UploadStream:
        return UploadStream(self._upload_channel, self.metadata)

    async def submit(self, what: Archive, request_id: str | None = None) -> pb.Submission:
        """Creates and uploads."""
        created = await self.create(what, request_id)
        return (await self.upload(created.submission_id, what.data)).submission

    async def get(self, submission_id: str) -> pb.Submission:
        request = pb.GetSubmissionRequest(submission_id=submission_id)
        return (await self.call(self.submission.GetSubmission, request)).submission

    async def cancel(self, submission_id: str) -> pb.Submission:
        request = pb.CancelSubmissionRequest(submission_id=submission_id)
        return (await self.call(self.submission.CancelSubmission, request)).submission

    async def get_quota(self) -> quota_pb2.GetQuotaResponse:
        return await self.call(self.quota.GetQuota, quota_pb2.GetQuotaRequest())

    async def results(self, submission_id: str) -> list[pb.TaskResult]:
        request = pb.ListTaskResultsRequest(submission_id=submission_id)
        return list((await self.call(self.submission.ListTaskResults, request)).results)

    async def watch(self, submission_id: str) -> AsyncIterator[pb.Submission]:
        request = pb.WatchSubmissionRequest(submission_id=submission_id)
        stream = self.submission.WatchSubmission(request, metadata=self.metadata, timeout=60)
        try:
            async for message in stream:
                yield message.submission
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from error
        finally:
            stream.cancel()

    async def when(
        self, submission_id: str, *states: int, timeout_seconds: float = 30.0
    ) -> pb.Submission:
        """The submission once it is in one of the states; fails at another final one."""

        async def there() -> pb.Submission | None:
            now = await self.get(submission_id)
            if now.state not in states and now.state in FINAL:
                raise AssertionError(f"ended as {pb.SubmissionState.Name(now.state)}: {now}")
            return now if now.state in states else None

        return await eventually(there, timeout_seconds, f"{submission_id} in {states}")


def upload_messages(
    submission_id: str, data: bytes, offset: int = 0, chunk_bytes: int = CHUNK_BYTES
) -> Iterator[pb.UploadArchiveRequest]:
    """The messages of one upload stream; one without data if nothing is left."""
    starts = range(offset, len(data), chunk_bytes) if offset < len(data) else [offset]
    for number, start in enumerate(starts):
        yield pb.UploadArchiveRequest(
            submission_id="" if number else submission_id,
            offset=0 if number else offset,
            data=data[start : start + chunk_bytes],
        )


class Running:
    """A started gateway and the channels to it."""

    def __init__(self, gateway: Gateway, ports: Ports, stack: AsyncExitStack) -> None:
        self.gateway = gateway
        self.ports = ports
        self.target = f"127.0.0.1:{ports.public}"
        self.internal_target = f"127.0.0.1:{ports.internal}"
        self._stack = stack
        self._numbers = itertools.count(1)

    async def channel(self, target: str | None = None) -> grpc.aio.Channel:
        """A channel that is closed with the gateway."""
        channel = grpc.aio.insecure_channel(target or self.target)
        return await self._stack.enter_async_context(channel)

    async def lab(self, token: str | None, lab_id: str = "") -> Lab:
        """A lab's calls with this token."""
        upload_channel = grpc.insecure_channel(self.target)
        self._stack.callback(upload_channel.close)
        return Lab(await self.channel(), upload_channel, token, lab_id)

    async def token(self, kind: str, **owner: str) -> str:
        now = self.gateway.clock.now()
        made = await self.gateway.database.run_write(identity.create_token, now, kind, **owner)
        return made.reveal()

    async def new_lab(self, name: str = "", *, accept: bool = True) -> Lab:
        """A new lab with a token, which has accepted the agreement."""
        now = self.gateway.clock.now()
        name = name or f"lab-{next(self._numbers)}"
        lab_id = await self.gateway.database.run_write(identity.create_lab, now, name)
        lab = await self.lab(await self.token("lab", lab_id=lab_id), lab_id)
        if accept:
            await lab.accept()
        return lab

    async def move(self, submission_id: str, *states: State, **why: str) -> None:
        """Takes a submission through states, as the services behind the gateway would."""
        for state in states:
            await self.gateway.database.run_write(
                submissions.move, self.gateway.clock.now(), submission_id, state, **why
            )
            self.gateway.signals.notify(f"submission/{submission_id}")


@asynccontextmanager
async def running(
    folder: Path, clock: Clock | None = None, **settings: Any
) -> AsyncIterator[Running]:
    """A gateway that serves; a later one on the same folder finds everything again."""
    gateway = Gateway(settings_for(folder, **settings), clock)
    ports = await gateway.start()
    try:
        async with AsyncExitStack() as stack:
            yield Running(gateway, ports, stack)
    finally:
        await gateway.stop()
