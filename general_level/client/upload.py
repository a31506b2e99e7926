"""The archive on its way: digest first, then the bytes, and on where a connection broke."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

import grpc

from general_level.client.models import TransferProgress
from general_level.client.retry import Retrying
from general_level.errors import InvalidRequest, OffsetMismatch, Unavailable
from general_level.v1 import submission_pb2 as pb
from general_level.v1.submission_pb2_grpc import SubmissionServiceStub
from general_level.wire import from_rpc_error

#: Bytes of data in one message; the contract's limit.
CHUNK_BYTES: Final = 1024 * 1024

ProgressCallback = Callable[[TransferProgress], None]
Metadata = tuple[tuple[str, str], ...]

_TAKES_BYTES: Final = (pb.SUBMISSION_STATE_CREATED, pb.SUBMISSION_STATE_UPLOADING)


def sha256_of(path: Path, progress: ProgressCallback | None = None) -> tuple[str, int]:
    """SHA-256 as lower-case hex, and the size in bytes, in one pass over the file."""
    digest = hashlib.sha256()
    done = 0
    total = path.stat().st_size
    with path.open("rb") as file:
        while data := file.read(CHUNK_BYTES):
            digest.update(data)
            done += len(data)
            if progress is not None:
                progress(TransferProgress(done, total))
    return digest.hexdigest(), done


class _Messages:
    """The stream of one attempt. gRPC pulls it from another thread and swallows what it raises,
    so an error of reading is kept for the caller.
    """

    def __init__(
        self,
        file: BinaryIO,
        submission_id: str,
        offset: int,
        total: int,
        progress: ProgressCallback | None,
    ) -> None:
        self._file = file
        self._submission_id = submission_id
        self._offset = offset
        self._total = total
        self._progress = progress
        self.error: BaseException | None = None
        #: Set at the end of the call: gRPC's thread may come back once more after it.
        self.ended = False

    def __iter__(self) -> Iterator[pb.UploadArchiveRequest]:
        try:
            yield from self._read()
        except GeneratorExit:
            raise
        except BaseException as error:
            self.error = error
            raise

    def _read(self) -> Iterator[pb.UploadArchiveRequest]:
        self._file.seek(self._offset)
        position = self._offset
        first = True
        while first or position < self._total:
            data = self._file.read(min(CHUNK_BYTES, self._total - position))
            if not data and position < self._total:
                raise InvalidRequest("The archive became shorter while it was uploaded.")
            yield pb.UploadArchiveRequest(
                submission_id=self._submission_id if first else "",
                offset=self._offset if first else 0,
                data=data,
            )
            first = False
            position += len(data)
            if self._progress is not None and not self.ended:
                self._progress(TransferProgress(position, self._total))


class Uploader:
    """Uploads one archive and does not give up at a broken connection.

    After a break it asks how many bytes are durable and continues there. It gives up after the
    policy's number of attempts in a row that made no byte durable.
    """

    def __init__(
        self,
        stub: SubmissionServiceStub,
        metadata: Metadata,
        retrying: Retrying,
        *,
        timeout_seconds: float,
        upload_timeout_seconds: float,
    ) -> None:
        self._stub = stub
        self._metadata = metadata
        self._retrying = retrying
        self._timeout = timeout_seconds
        self._upload_timeout = upload_timeout_seconds

    def upload(
        self, submission: pb.Submission, path: Path, progress: ProgressCallback | None
    ) -> pb.Submission:
        """Sends what is missing of ``path``; returns the submission once every byte is durable."""
        submission_id = submission.submission_id
        patience = self._retrying.patience()
        furthest = -1
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size != submission.archive_bytes:
                raise InvalidRequest(
                    f"{path.name} is not the file that this submission announced: its size differs."
                )
            while True:
                current = self._get(submission_id)
                if current.state not in _TAKES_BYTES:
                    return current  # the last answer was lost, not the bytes
                durable = self._durable_bytes(submission_id)
                if durable > furthest:
                    patience.progressed()
                    furthest = durable
                try:
                    return self._attempt(file, submission_id, durable, current, progress)
                except (Unavailable, OffsetMismatch) as error:
                    patience.wait_or_raise(error)

    def _attempt(
        self,
        file: BinaryIO,
        submission_id: str,
        offset: int,
        submission: pb.Submission,
        progress: ProgressCallback | None,
    ) -> pb.Submission:
        messages = _Messages(file, submission_id, offset, submission.archive_bytes, progress)
        try:
            response = self._stub.UploadArchive(
                iter(messages), timeout=self._upload_timeout, metadata=self._metadata
            )
        except grpc.RpcError as error:
            if messages.error is not None:
                raise messages.error from error
            raise from_rpc_error(error) from error
        finally:
            messages.ended = True
        if progress is not None:
            progress(TransferProgress(response.durable_bytes, submission.archive_bytes))
        return response.submission

    def _get(self, submission_id: str) -> pb.Submission:
        request = pb.GetSubmissionRequest(submission_id=submission_id)
        return self._retrying.call(
            lambda: self._stub.GetSubmission(
                request, timeout=self._timeout, metadata=self._metadata
            )
        ).submission

    def _durable_bytes(self, submission_id: str) -> int:
        request = pb.GetUploadRequest(submission_id=submission_id)
        return self._retrying.call(
            lambda: self._stub.GetUpload(request, timeout=self._timeout, metadata=self._metadata)
        ).durable_bytes
