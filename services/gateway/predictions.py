"""The members of one task of an archive as a stream of messages; nothing is extracted.

The archive lies as the parts in which it was uploaded. A job reads only its own members, by range,
and at most some chunks of them are in memory at once.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, cast

import msgspec
from sqlalchemy import Connection, select

from general_level.catalogue.model import Task
from general_level.submission.members import Member, open_member
from general_level.v1 import grading_pb2 as pb
from services.gateway.storage.tables import task_results
from services.gateway.uploads import read_parts
from services.kit.objects import Objects, Part, PartedFile

#: Bytes of a member in one message, at most.
CHUNK_BYTES: Final = 256 * 1024
#: What is read ahead from the store: several small members come with one request.
READ_BUFFER_BYTES: Final = 1024 * 1024

_PREDICTION: Final = "prediction.json"
_decoder = msgspec.json.Decoder(tuple[Member, ...])


@dataclass(frozen=True, slots=True)
class Predictions:
    """Where the members of one task lie."""

    task: Task
    members: tuple[Member, ...]
    parts: tuple[Part, ...]


def locate(connection: Connection, submission_id: str, task: Task) -> Predictions:
    """The task's members, prediction.json first, then as in the archive; none if unsupported."""
    stored = connection.scalar(
        select(task_results.c.members).where(
            task_results.c.submission_id == submission_id, task_results.c.task_id == task.id
        )
    )
    members = _decoder.decode(stored) if stored else ()
    first = f"{task.archive_path}/{_PREDICTION}"
    ordered = sorted(members, key=lambda member: member.path != first)
    return Predictions(task, tuple(ordered), tuple(read_parts(connection, submission_id)))


def relative_path(task: Task, path: str) -> str:
    """A member's path relative to the task's folder."""
    return path.removeprefix(f"{task.archive_path}/")


async def stream(
    objects: Objects, predictions: Predictions
) -> AsyncIterator[pb.ReadPredictionsResponse]:
    """The messages, each made in a thread when the one before was taken.

    Raises MemberDamaged for the lab's file, ObjectMissing and ObjectStoreFailed for ours.
    """
    messages = _messages(objects, predictions)
    while (message := await asyncio.to_thread(next, messages, None)) is not None:
        yield message


def _messages(objects: Objects, predictions: Predictions) -> Iterator[pb.ReadPredictionsResponse]:
    # The ZIP reader expects full reads; a bare PartedFile stops at the end of each part.
    raw = PartedFile(objects, predictions.parts)
    file = cast("BinaryIO", io.BufferedReader(raw, READ_BUFFER_BYTES))
    for member in predictions.members:
        message = pb.ReadPredictionsResponse(
            member_path=relative_path(predictions.task, member.path),
            member_bytes=member.size_bytes,
        )
        # Held back until the next chunk is there, so that the last message can say that it is.
        for chunk in _chunks(open_member(file, member)):
            if message.data:
                yield message
                message = pb.ReadPredictionsResponse()
            message.data = chunk
        message.member_end = True
        yield message


def _chunks(data: Iterator[bytes]) -> Iterator[bytes]:
    for block in data:
        for start in range(0, len(block), CHUNK_BYTES):
            yield block[start : start + CHUNK_BYTES]
