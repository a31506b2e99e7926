"""What the contract tests need of a gateway, be it the fake or the real one."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from general_level.client import Client
from general_level.client.channel import open_channel, stubs, token_metadata
from general_level.v1 import submission_pb2 as pb
from general_level.v1.submission_pb2_grpc import SubmissionServiceStub

UNKNOWN_BOARD = "Z-nothing"
REQUEST_ID = "0b9a1f0e-5c1d-4c0a-9d35-2f3d7f0f8a11"
TIMEOUT_SECONDS = 30.0


class LabGateway(Protocol):
    """A running gateway of plain text on this machine, whose clock only moves when told to.

    ``board`` is a board for which :meth:`good_archive` makes an acceptable archive, and
    ``unpublished_board`` one that nothing is ever submitted to.
    """

    target: str
    board: str
    unpublished_board: str

    def new_lab(self, accept: bool = True) -> str:
        """The token of a new lab that has, or has not, accepted the agreement."""

    def advance(self, step: timedelta) -> None:
        """Moves the gateway's clock."""

    def good_archive(self, board: str) -> Path:
        """An archive that is accepted, named for the board; always the same bytes."""

    def finish(self, submission_id: str) -> None:
        """Waits until an uploaded submission is in a final state."""


@dataclass(frozen=True)
class Raw:
    """One lab's calls without the client's help."""

    stub: SubmissionServiceStub
    metadata: tuple[tuple[str, str], ...]

    def upload(
        self, submission_id: str, chunks: Sequence[bytes], offset: int
    ) -> pb.UploadArchiveResponse:
        """Sends exactly these messages."""
        return self.stub.UploadArchive(
            iter(list(messages(submission_id, chunks, offset))),
            metadata=self.metadata,
            timeout=TIMEOUT_SECONDS,
        )

    def create(self, request: pb.CreateSubmissionRequest) -> pb.Submission:
        return self.stub.CreateSubmission(
            request, metadata=self.metadata, timeout=TIMEOUT_SECONDS
        ).submission

    def durable_bytes(self, submission_id: str) -> int:
        return self.stub.GetUpload(
            pb.GetUploadRequest(submission_id=submission_id),
            metadata=self.metadata,
            timeout=TIMEOUT_SECONDS,
        ).durable_bytes


def messages(
    submission_id: str, chunks: Sequence[bytes], offset: int
) -> Iterator[pb.UploadArchiveRequest]:
    for index, data in enumerate(chunks):
        first = index == 0
        yield pb.UploadArchiveRequest(
            submission_id=submission_id if first else "", offset=offset if first else 0, data=data
        )


@dataclass(frozen=True)
class OpenLab:
    """A lab with its client, its raw calls and the gateway that it talks to."""

    gateway: LabGateway
    token: str
    client: Client
    raw: Raw

    def publish_one(self) -> str:
        """A submission from the archive to the board; returns its id."""
        submission = self.client.submit(self.gateway.good_archive(self.gateway.board))
        self.gateway.finish(submission.submission_id)
        return submission.submission_id


OpenLabs = Callable[..., OpenLab]


def open_lab(gateway: LabGateway, token: str | None) -> tuple[OpenLab, Callable[[], None]]:
    """A lab by its token, and what closes it."""
    client = Client(gateway.target, token, insecure=True)
    channel = open_channel(gateway.target, insecure=True)
    raw = Raw(stubs(channel).submission, token_metadata(token))

    def close() -> None:
        client.close()
        channel.close()

    return OpenLab(gateway, token or "", client, raw), close


def spoil(archive: Path, folder: Path) -> Path:
    """A copy under the same name whose first prediction.json is cut off."""
    spoiled = folder / archive.name
    done = False
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(spoiled, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if not done and name.endswith("/prediction.json"):
                json.loads(data)
                data, done = data[: len(data) // 2], True
            target.writestr(name, data)
    assert done
    return spoiled


def wrap(archive: Path, folder: Path) -> Path:
    """A copy under the same name with one folder around everything."""
    wrapped = folder / archive.name
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(wrapped, "w") as target:
        for name in source.namelist():
            target.writestr(f"Enclosing Folder/{name}", source.read(name))
    return wrapped
