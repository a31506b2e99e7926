"""Resumable uploads: parts become objects, their rows say what is durable.

An upload continues at the number of durable bytes. Each part's row is written only if it starts
exactly there, so two streams of one submission cannot interleave: the later one is refused.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, and_, delete, func, insert, or_, select

from general_level.errors import IllegalTransition, InvalidRequest, OffsetMismatch
from services.gateway import submissions
from services.gateway.states import State
from services.gateway.storage.tables import submissions as submissions_table
from services.gateway.storage.tables import upload_parts
from services.kit.objects import Objects, Part, PartedFile

#: A part is stored when this many bytes have come, or when the stream ends or breaks.
PART_BYTES: Final = 8 * 1024 * 1024
#: One message of the upload stream.
CHUNK_BYTES_MAX: Final = 1024 * 1024
#: Parts of one archive. One of the largest size has 2048 if nothing breaks, and one more for each
#: break; without a bound, streams of a byte each would make every part slower than the one before.
PARTS_MAX: Final = 20_000
#: How long the bytes of a submission that came to nothing are kept.
DISCARD_AFTER: Final = timedelta(days=1)
_HASH_READ_BYTES: Final = 4 * 1024 * 1024


def durable_bytes(connection: Connection, submission_id: str) -> int:
    """Bytes of the archive that are stored, from its start."""
    total = connection.scalar(
        select(func.coalesce(func.sum(upload_parts.c.size), 0)).where(
            upload_parts.c.submission_id == submission_id
        )
    )
    return int(total or 0)


def is_retained(connection: Connection, submission_id: str) -> bool:
    """Whether the whole archive is still kept, so that its tasks can be graded again."""
    row = submissions.read(connection, submission_id)
    if row.archive_discard_time is not None:
        return False
    return durable_bytes(connection, submission_id) == int(row.archive_bytes)


def _count_parts(connection: Connection, submission_id: str) -> int:
    of_submission = upload_parts.c.submission_id == submission_id
    query = select(func.count()).select_from(upload_parts).where(of_submission)
    return int(connection.scalar(query) or 0)


def read_parts(connection: Connection, submission_id: str) -> list[Part]:
    """The stored parts in order."""
    rows = connection.execute(
        select(upload_parts.c.offset, upload_parts.c.size, upload_parts.c.object_key)
        .where(upload_parts.c.submission_id == submission_id)
        .order_by(upload_parts.c.offset)
    )
    return [Part(offset, size, key) for offset, size, key in rows]


def begin(
    connection: Connection, now: datetime, lab_id: str, submission_id: str, offset: int
) -> int:
    """Opens a stream at ``offset``; returns the archive's size.

    IllegalTransition unless the submission waits for bytes, OffsetMismatch unless ``offset`` is
    the number of durable bytes, InvalidRequest if it came in too many pieces already.
    """
    row = submissions.lock(connection, submission_id, lab_id)
    if row.state not in (State.CREATED, State.UPLOADING):
        raise IllegalTransition(
            f"It is {row.state} and takes no bytes.", submission_id=submission_id, state=row.state
        )
    durable = durable_bytes(connection, submission_id)
    if offset != durable:
        raise OffsetMismatch(
            f"{durable} bytes are stored; continue there.", durable_bytes=durable, offset=offset
        )
    if durable < row.archive_bytes and _count_parts(connection, submission_id) >= PARTS_MAX:
        raise InvalidRequest(
            f"It came in {PARTS_MAX} pieces, which is the most; withdraw it and create it again.",
            submission_id=submission_id,
        )
    if row.state == State.CREATED:
        submissions.move(connection, now, submission_id, State.UPLOADING)
    return int(row.archive_bytes)


def object_key(submission_id: str, offset: int) -> str:
    """A fresh key: a part that lost a race never overwrites the one that won."""
    return f"uploads/{submission_id}/{offset:016d}-{secrets.token_hex(6)}"


def add_part(connection: Connection, now: datetime, submission_id: str, part: Part) -> int:
    """Records a stored part; returns the durable bytes. OffsetMismatch if another came first."""
    row = submissions.lock(connection, submission_id)
    if row.state != State.UPLOADING:
        raise IllegalTransition(submission_id=submission_id, state=row.state)
    durable = durable_bytes(connection, submission_id)
    if part.offset != durable:
        raise OffsetMismatch(durable_bytes=durable, offset=part.offset)
    if durable + part.size > row.archive_bytes:
        raise InvalidRequest(
            f"More bytes came than the announced {row.archive_bytes}.",
            archive_bytes=row.archive_bytes,
        )
    connection.execute(
        insert(upload_parts).values(
            submission_id=submission_id,
            offset=part.offset,
            size=part.size,
            object_key=part.key,
        )
    )
    submissions.touch(connection, now, submission_id)
    return durable + part.size


def finish(connection: Connection, now: datetime, submission_id: str, sha256: str) -> bool:
    """Ends a complete upload: CHECKING if the digest is the announced one, else REJECTED.

    Returns whether it was the announced one. A wrong digest costs no quota.
    """
    row = submissions.lock(connection, submission_id)
    if row.archive_sha256 == sha256:
        submissions.move(connection, now, submission_id, State.CHECKING)
        return True
    submissions.move(
        connection,
        now,
        submission_id,
        State.REJECTED,
        note="digest-mismatch",
        failure_reason="digest-mismatch",
    )
    return False


def discardable(connection: Connection, now: datetime, limit: int) -> dict[str, list[str]]:
    """Object keys by submission of parts that nobody needs any more, ``limit`` of them at most.

    They are of archives that were never graded and are over for a day, and of those whose time is
    over (`retention`). A FAILED one is kept until then: the fault was ours, and it may be requeued.
    """
    rows = connection.execute(
        select(upload_parts.c.submission_id, upload_parts.c.object_key)
        .join(submissions_table, submissions_table.c.submission_id == upload_parts.c.submission_id)
        .where(
            or_(
                submissions_table.c.archive_discard_time.is_not(None),
                and_(
                    submissions_table.c.state.in_((State.REJECTED, State.CANCELLED, State.EXPIRED)),
                    submissions_table.c.update_time <= now - DISCARD_AFTER,
                ),
            ),
        )
        .order_by(upload_parts.c.submission_id, upload_parts.c.offset)
        .limit(limit)
    )
    found: dict[str, list[str]] = {}
    for submission_id, key in rows:
        found.setdefault(submission_id, []).append(key)
    return found


def forget_parts(connection: Connection, submission_id: str, keys: Sequence[str]) -> None:
    """Removes the rows of parts whose objects are gone."""
    connection.execute(
        delete(upload_parts).where(
            upload_parts.c.submission_id == submission_id, upload_parts.c.object_key.in_(keys)
        )
    )


def digest_of(objects: Objects, parts: Sequence[Part]) -> str:
    """SHA-256 of the stored archive, lower-case hex; reads it once in order."""
    digest = hashlib.sha256()
    file = PartedFile(objects, parts)
    while chunk := file.read(_HASH_READ_BYTES):
        digest.update(chunk)
    return digest.hexdigest()
