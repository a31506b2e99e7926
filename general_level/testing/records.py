"""One lab and one submission as the fake gateway remembers them, and the legal transitions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from general_level.errors import IllegalTransition
from general_level.submission.check import CheckReport
from general_level.v1 import submission_pb2 as pb
from general_level.wire import from_timestamp, to_timestamp

_State = pb.SubmissionState

CREATED = pb.SUBMISSION_STATE_CREATED
UPLOADING = pb.SUBMISSION_STATE_UPLOADING
CHECKING = pb.SUBMISSION_STATE_CHECKING
QUEUED = pb.SUBMISSION_STATE_QUEUED
GRADING = pb.SUBMISSION_STATE_GRADING
RANKING = pb.SUBMISSION_STATE_RANKING
PUBLISHED = pb.SUBMISSION_STATE_PUBLISHED
REJECTED = pb.SUBMISSION_STATE_REJECTED
FAILED = pb.SUBMISSION_STATE_FAILED
CANCELLED = pb.SUBMISSION_STATE_CANCELLED
EXPIRED = pb.SUBMISSION_STATE_EXPIRED

NEXT: Mapping[int, frozenset[int]] = {
    CREATED: frozenset({UPLOADING, CANCELLED, EXPIRED, FAILED}),
    UPLOADING: frozenset({CHECKING, REJECTED, CANCELLED, EXPIRED, FAILED}),
    CHECKING: frozenset({QUEUED, REJECTED, CANCELLED, FAILED}),
    QUEUED: frozenset({GRADING, CANCELLED, FAILED}),
    GRADING: frozenset({RANKING, CANCELLED, FAILED}),
    RANKING: frozenset({PUBLISHED, FAILED}),
    PUBLISHED: frozenset(),
    REJECTED: frozenset(),
    FAILED: frozenset(),
    CANCELLED: frozenset(),
    EXPIRED: frozenset(),
}


class Age(NamedTuple):
    """How long a submission may stay in a state, and where it goes then, for which reason."""

    longest: timedelta
    end: _State.ValueType
    reason: str


MAX_AGE: Mapping[int, Age] = {
    CREATED: Age(timedelta(hours=6), EXPIRED, "upload-not-started"),
    UPLOADING: Age(timedelta(hours=24), EXPIRED, "upload-not-finished"),
    CHECKING: Age(timedelta(hours=1), FAILED, "check-overdue"),
    QUEUED: Age(timedelta(days=3), FAILED, "queue-overdue"),
    GRADING: Age(timedelta(days=2), FAILED, "grading-overdue"),
    RANKING: Age(timedelta(hours=6), FAILED, "ranking-overdue"),
}


@dataclass(slots=True)
class Lab:
    """A lab; ``accepted`` is the version of the agreement that it accepted."""

    lab_id: str
    accepted: str = ""
    accept_time: datetime | None = None


@dataclass(slots=True)
class Record:
    """One submission. ``message`` is what the lab sees; ``upload`` counts attempts at uploading."""

    lab_id: str
    request: pb.CreateSubmissionRequest
    message: pb.Submission
    create_time: datetime
    path: Path
    durable_bytes: int = 0
    upload: int = 0
    report: CheckReport | None = None
    results: list[pb.TaskResult] = field(default_factory=list)
    statements: list[pb.SignedStatement] = field(default_factory=list)

    @property
    def submission_id(self) -> str:
        return self.message.submission_id

    @property
    def state(self) -> int:
        return self.message.state

    @property
    def is_final(self) -> bool:
        return not NEXT[self.message.state]

    @property
    def holds_slot(self) -> bool:
        """Whether it counts in the quota's windows."""
        return self.message.quota_status != pb.QUOTA_STATUS_REFUNDED

    def enter(self, state: _State.ValueType, now: datetime, note: str = "") -> None:
        """Moves to ``state``; IllegalTransition where the table does not allow it."""
        if state not in NEXT[self.message.state]:
            raise IllegalTransition(
                submission_id=self.submission_id,
                state=pb.SubmissionState.Name(self.message.state),
                wanted=pb.SubmissionState.Name(state),
            )
        self.begin(state, now, note)
        if state == PUBLISHED:
            self.message.quota_status = pb.QUOTA_STATUS_COMMITTED
        elif state in {REJECTED, FAILED, EXPIRED}:
            self.message.quota_status = pb.QUOTA_STATUS_REFUNDED
        if not NEXT[state]:
            self.message.failure_reason = note

    def begin(self, state: _State.ValueType, now: datetime, note: str = "") -> None:
        """Records that ``state`` was entered, whatever came before."""
        message = self.message
        message.state = state
        message.update_time.CopyFrom(to_timestamp(now))
        message.timeline.add(state=state, entered_time=to_timestamp(now), note=note)
        if NEXT[state]:
            message.state_deadline.CopyFrom(to_timestamp(now + MAX_AGE[state].longest))
        else:
            message.ClearField("state_deadline")

    def cancel(self, now: datetime) -> None:
        """Withdraws it; the slot is given back unless a task was scored. Once more is no error."""
        if self.state == CANCELLED:
            return
        self.enter(CANCELLED, now, "withdrawn")
        self.message.quota_status = (
            pb.QUOTA_STATUS_COMMITTED if self.statements else pb.QUOTA_STATUS_REFUNDED
        )

    def end_overdue(self, now: datetime) -> None:
        """Ends it if it is too old for its state."""
        age = MAX_AGE.get(self.state)
        if age is not None and from_timestamp(self.message.state_deadline) <= now:
            self.enter(age.end, now, age.reason)


def name_of(state: int) -> str:
    """The word of a state, for example ``PUBLISHED``."""
    names = {number: name for name, number in pb.SubmissionState.items()}
    return names[_State.ValueType(state)].removeprefix("SUBMISSION_STATE_")
