"""The inputs of a board as a file: resumed where a download broke, checked by SHA-256."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from pathlib import Path

import grpc

from general_level.client.models import TransferProgress
from general_level.client.retry import Retrying
from general_level.client.upload import Metadata, ProgressCallback, sha256_of
from general_level.errors import DigestMismatch, InvalidRequest, Unavailable
from general_level.v1 import catalogue_pb2 as pb
from general_level.v1.catalogue_pb2_grpc import CatalogueServiceStub
from general_level.wire import from_rpc_error


class Downloader:
    """Downloads inputs bundles.

    Bytes go to ``<path>.part`` and the file takes its name only when it is complete and its
    digest is right. A part file that is there already is continued.
    """

    def __init__(
        self,
        stub: CatalogueServiceStub,
        metadata: Metadata,
        retrying: Retrying,
        *,
        timeout_seconds: float,
    ) -> None:
        self._stub = stub
        self._metadata = metadata
        self._retrying = retrying
        self._timeout = timeout_seconds

    def download(self, board_id: str, path: Path, progress: ProgressCallback | None) -> Path:
        """The complete file at ``path``.

        DigestMismatch when the bytes are wrong although they were fetched from the beginning.
        """
        part = path.with_name(f"{path.name}.part")
        patience = self._retrying.patience()
        from_the_beginning = not part.exists()
        while True:
            size_before = part.stat().st_size if part.exists() else 0
            try:
                sha256 = self._fetch_rest(board_id, part, size_before, progress)
            except Unavailable as error:
                if part.exists() and part.stat().st_size > size_before:
                    patience.progressed()
                patience.wait_or_raise(error)
                continue
            except InvalidRequest:
                # The part may be longer than the file is now: the bundle was made anew.
                if from_the_beginning or size_before == 0:
                    raise
            else:
                if sha256_of(part)[0] == sha256:
                    part.replace(path)
                    return path
                if from_the_beginning:
                    part.unlink()
                    raise DigestMismatch(f"(inputs of {board_id})", board_id=board_id)
            part.unlink(missing_ok=True)
            from_the_beginning = True

    def _fetch_rest(
        self, board_id: str, part: Path, offset: int, progress: ProgressCallback | None
    ) -> str:
        """Appends what is missing to ``part``; returns the announced digest of the whole file."""
        call = self._stub.DownloadInputs(
            pb.DownloadInputsRequest(board_id=board_id, offset=offset),
            timeout=self._timeout,
            metadata=self._metadata,
        )
        try:
            with part.open("ab") as file, contextlib.closing(_messages(call)) as messages:
                first = next(messages, None)
                if first is None:
                    raise Unavailable("(the download ended before it began)")
                total = first.total_bytes
                done = offset + file.write(first.data)
                _tell(progress, done, total)
                for message in messages:
                    done += file.write(message.data)
                    _tell(progress, done, total)
        finally:
            call.cancel()
        if done < total:
            raise Unavailable("(the download ended early)")
        return first.sha256


def _messages(
    call: Iterator[pb.DownloadInputsResponse],
) -> Generator[pb.DownloadInputsResponse, None, None]:
    try:
        yield from call
    except grpc.RpcError as error:
        raise from_rpc_error(error) from error


def _tell(progress: ProgressCallback | None, done: int, total: int) -> None:
    if progress is not None:
        progress(TransferProgress(done, total))
