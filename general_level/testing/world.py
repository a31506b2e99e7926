"""The platform in memory: labs, quota, submissions and boards under one lock.

Every method is one call of a lab; it raises the errors that the real gateway raises.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from general_level.catalogue import Catalogue
from general_level.create_request import check_create
from general_level.errors import (
    AgreementRequired,
    AlreadyExists,
    DigestMismatch,
    InvalidRequest,
    NotAuthenticated,
    NotFound,
    OffsetMismatch,
    QuotaExceeded,
    SubmissionPending,
    UnknownBoard,
)
from general_level.fairness import (
    Hold,
    Window,
    holds_within,
    next_slot_time,
    refusing_window,
)
from general_level.identifiers import new_id
from general_level.public_name import shown_model
from general_level.testing import records
from general_level.testing.publication import Placement, Scores, standings
from general_level.testing.records import Lab, Record
from general_level.v1 import leaderboard_pb2
from general_level.v1 import submission_pb2 as pb
from general_level.wire import to_rfc3339, to_timestamp


class World:
    """All that the fake gateway knows. ``changed`` is notified after every change."""

    def __init__(
        self,
        catalogue: Catalogue,
        folder: Path,
        now: datetime,
        agreement_version: str,
        item_ids: Mapping[str, Collection[str]] | None,
    ) -> None:
        self.catalogue = catalogue
        self.agreement_version = agreement_version
        self.item_ids = item_ids
        self.scores = Scores(catalogue)
        self.placements: dict[str, Placement] = {}
        self.changed = threading.Condition(threading.RLock())
        self.closed = False
        self._folder = folder
        self.start = now
        self._now = now
        self._labs: dict[str, Lab] = {}  # by token
        self._records: dict[str, Record] = {}
        self._standings: dict[str, leaderboard_pb2.Standings] = {}

    # Time and labs.

    @property
    def now(self) -> datetime:
        return self._now

    def advance(self, step: timedelta) -> None:
        """Moves the clock on and ends what stayed too long in its state."""
        if step < timedelta(0):
            raise ValueError("time does not go back")
        with self.changed:
            self._now += step
            for record in self._records.values():
                record.end_overdue(self._now)
            self.changed.notify_all()

    def add_lab(self, token: str, name: str, accept: bool) -> None:
        with self.changed:
            lab = Lab(name)
            if accept:
                lab.accepted, lab.accept_time = self.agreement_version, self._now
            self._labs[token] = lab

    def remove_token(self, token: str) -> None:
        with self.changed:
            self._labs.pop(token, None)

    def lab(self, token: str | None) -> Lab:
        """The lab of a token; NotAuthenticated without a valid one."""
        with self.changed:
            if token is None or token not in self._labs:
                raise NotAuthenticated()
            return self._labs[token]

    def accept(self, lab: Lab, version: str) -> datetime:
        with self.changed:
            if version != self.agreement_version:
                raise InvalidRequest(
                    "This is not the current version of the agreement.",
                    version=self.agreement_version,
                )
            if lab.accepted != version or lab.accept_time is None:
                lab.accepted, lab.accept_time = version, self._now
            return lab.accept_time

    def item_count(self, task_id: str) -> int | None:
        """The number of a task's items; None where the test did not name them."""
        known = (self.item_ids or {}).get(task_id)
        return None if known is None else len(known)

    # Quota.

    def holds(self, lab: Lab) -> list[Hold]:
        """The slots that the lab's submissions hold, of any age, oldest first."""
        with self.changed:
            return sorted(
                Hold(r.create_time, r.submission_id)
                for r in self._records.values()
                if r.lab_id == lab.lab_id and r.holds_slot
            )

    def pending(self, lab: Lab) -> Record | None:
        """The lab's submission that is not finished, if there is one."""
        with self.changed:
            return next((r for r in self._of(lab) if not r.is_final), None)

    def _check_quota(self, lab: Lab) -> None:
        if lab.accepted != self.agreement_version:
            raise AgreementRequired(version=self.agreement_version)
        pending = self.pending(lab)
        if pending is not None:
            raise SubmissionPending(pending_submission_id=pending.submission_id)
        holds = self.holds(lab)
        window = refusing_window(holds, self._now)
        if window is not None:
            raise self._quota_exceeded(holds, window)

    def _quota_exceeded(self, holds: list[Hold], window: Window) -> QuotaExceeded:
        held_by = [hold.submission_id for hold in holds_within(holds, window, self._now)]
        return QuotaExceeded(
            next_slot_time=to_rfc3339(next_slot_time(holds, self._now)),
            held_by=",".join(held_by),
            limit=window.limit,
            window_seconds=int(window.length.total_seconds()),
        )

    # Submissions.

    def create(self, lab: Lab, request: pb.CreateSubmissionRequest) -> pb.Submission:
        with self.changed:
            check_create(request, self.catalogue)
            for record in self._of(lab):
                if record.request.request_id.lower() == request.request_id.lower():
                    if record.request != request:
                        raise AlreadyExists(request_id=request.request_id)
                    return self.snapshot(record)
            self._check_quota(lab)
            self._check_kind(lab, request.model)
            submission_id = new_id("sub", self._now)
            message = pb.Submission(
                submission_id=submission_id,
                board_id=request.board_id,
                model=request.model,
                archive_bytes=request.archive_bytes,
                archive_sha256=request.archive_sha256,
                create_time=to_timestamp(self._now),
                quota_status=pb.QUOTA_STATUS_RESERVED,
                catalogue_id=self.catalogue.id,
                public_name=shown_model(lab.lab_id, request.model).model_name,
            )
            path = self._folder / submission_id
            path.touch()
            record = Record(lab.lab_id, request, message, self._now, path)
            record.begin(records.CREATED, self._now)
            self._records[submission_id] = record
            self.changed.notify_all()
            return self.snapshot(record)

    def record(self, lab: Lab, submission_id: str) -> Record:
        """A submission of this lab; another lab's does not exist for it."""
        with self.changed:
            record = self._records.get(submission_id)
            if record is None or record.lab_id != lab.lab_id:
                raise NotFound(submission_id=submission_id)
            return record

    def any_record(self, submission_id: str) -> Record:
        """A submission of any lab, for the test itself."""
        with self.changed:
            if submission_id not in self._records:
                raise NotFound(submission_id=submission_id)
            return self._records[submission_id]

    def snapshot(self, record: Record) -> pb.Submission:
        """The submission as it is now, as a message of its own."""
        with self.changed:
            copy = pb.Submission()
            copy.CopyFrom(record.message)
            return copy

    def newest_first(self, lab: Lab) -> list[Record]:
        with self.changed:
            return list(self._of(lab))

    def cancel(self, lab: Lab, submission_id: str) -> pb.Submission:
        with self.changed:
            record = self.record(lab, submission_id)
            record.cancel(self._now)
            self.changed.notify_all()
            return self.snapshot(record)

    def reveal(self, lab: Lab, submission_id: str) -> pb.Submission:
        """Opens a model's name in all of the lab's submissions of it, and on the boards."""
        with self.changed:
            named = self.record(lab, submission_id)
            name = named.message.model.model_name
            boards = set()
            for record in self._of(lab):
                if record.message.model.model_name == name and record.message.model.anonymous:
                    record.message.model.anonymous = False
                    record.message.public_name = name
                    record.message.update_time.CopyFrom(to_timestamp(self._now))
                    boards.add(record.message.board_id)
            for board_id in boards & self._standings.keys():
                self.publish(board_id)
            self.changed.notify_all()
            return self.snapshot(named)

    def _check_kind(self, lab: Lab, model: pb.ModelMetadata) -> None:
        never_shown = {records.REJECTED, records.EXPIRED, records.CANCELLED}
        for record in self._of(lab):
            known = record.message.model
            if (
                record.state not in never_shown
                and known.model_name == model.model_name
                and known.anonymous != model.anonymous
            ):
                raise InvalidRequest(
                    "An earlier submission of this model is of the other kind.",
                    field="model.anonymous",
                )

    # Upload.

    def begin_upload(self, record: Record, offset: int) -> int:
        """Checks the place to continue; returns the number of this attempt at uploading."""
        with self.changed:
            if record.state not in {records.CREATED, records.UPLOADING}:
                record.enter(records.UPLOADING, self._now)  # raises: the table forbids it
            if offset != record.durable_bytes:
                raise OffsetMismatch(offset=offset, durable_bytes=record.durable_bytes)
            record.upload += 1
            if record.state == records.CREATED:
                record.enter(records.UPLOADING, self._now)
                self.changed.notify_all()
            return record.upload

    def append(self, record: Record, attempt: int, data: bytes) -> None:
        """Makes bytes durable. OffsetMismatch once a newer attempt has begun."""
        with self.changed:
            if attempt != record.upload or record.state != records.UPLOADING:
                raise OffsetMismatch("Another upload of this submission has begun.")
            if record.durable_bytes + len(data) > record.message.archive_bytes:
                raise InvalidRequest("The archive is longer than was announced.")
            with record.path.open("ab") as file:
                file.write(data)
            record.durable_bytes += len(data)

    def end_upload(self, record: Record) -> bool:
        """Checks the digest once all bytes are there; returns whether they are.

        DigestMismatch, and the submission is rejected, where they are others than announced.
        """
        with self.changed:
            if record.durable_bytes < record.message.archive_bytes:
                return False
            digest = hashlib.sha256(record.path.read_bytes()).hexdigest()
            matches = digest == record.message.archive_sha256
            if matches:
                record.enter(records.CHECKING, self._now)
            else:
                record.enter(records.REJECTED, self._now, "digest-mismatch")
            self.changed.notify_all()
            if not matches:
                raise DigestMismatch(submission_id=record.submission_id, received_sha256=digest)
            return True

    # Boards.

    def publish(self, board_id: str) -> None:
        """Computes a board from its published submissions."""
        with self.changed:
            published = [
                r
                for r in self._records.values()
                if r.message.board_id == board_id and r.state == records.PUBLISHED
            ]
            board = self.catalogue.boards[board_id]
            self._standings[board_id] = standings(
                board, published, self.catalogue, self.placements, self._now
            )
            self.changed.notify_all()

    def standings_of(self, board_id: str) -> leaderboard_pb2.Standings | None:
        """The board as last published, None before; UnknownBoard."""
        with self.changed:
            if board_id not in self.catalogue.boards:
                raise UnknownBoard(board_id=board_id)
            return self._standings.get(board_id)

    def close(self) -> None:
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def _of(self, lab: Lab) -> Iterator[Record]:
        """The lab's submissions, newest first."""
        return (r for r in reversed(self._records.values()) if r.lab_id == lab.lab_id)
