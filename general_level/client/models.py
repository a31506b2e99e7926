"""What the client gives back: small frozen dataclasses, times as aware UTC datetimes.

Field names are those of the wire contract. ``None`` always means "not there (yet)", never zero.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta


class SubmissionState(enum.StrEnum):
    """Where a submission is in its life."""

    CREATED = "CREATED"
    UPLOADING = "UPLOADING"
    CHECKING = "CHECKING"
    QUEUED = "QUEUED"
    GRADING = "GRADING"
    RANKING = "RANKING"
    PUBLISHED = "PUBLISHED"
    REJECTED = "REJECTED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    #: A state that this version of the client does not know.
    UNSPECIFIED = "UNSPECIFIED"

    @property
    def is_final(self) -> bool:
        """Whether the submission stays in this state for ever."""
        return self in _FINAL

    @property
    def takes_bytes(self) -> bool:
        """Whether the archive, or the rest of it, can still be uploaded."""
        return self in {SubmissionState.CREATED, SubmissionState.UPLOADING}


_FINAL = frozenset(
    {
        SubmissionState.PUBLISHED,
        SubmissionState.REJECTED,
        SubmissionState.FAILED,
        SubmissionState.CANCELLED,
        SubmissionState.EXPIRED,
    }
)


class TaskOutcome(enum.StrEnum):
    """What became of one task of a submission."""

    PENDING = "PENDING"
    SCORED = "SCORED"
    UNSUPPORTED = "UNSUPPORTED"
    UNSCORED = "UNSCORED"
    AWAITING_RATINGS = "AWAITING_RATINGS"
    REFUSED = "REFUSED"
    DEAD_LETTER = "DEAD_LETTER"
    UNSPECIFIED = "UNSPECIFIED"


class QuotaStatus(enum.StrEnum):
    """Whether a submission counts against the lab's quota."""

    RESERVED = "RESERVED"
    COMMITTED = "COMMITTED"
    REFUNDED = "REFUNDED"
    UNSPECIFIED = "UNSPECIFIED"


@dataclass(frozen=True, slots=True)
class Board:
    """One leaderboard; ``inputs_bytes`` is 0 where its inputs cannot be downloaded."""

    board_id: str
    name: str
    scope: str
    modalities: tuple[str, ...]
    task_count: int
    highest_level: int
    inputs_bytes: int


@dataclass(frozen=True, slots=True)
class Task:
    """One task; ``reference_score`` is the specialist's raw value in the metric's unit."""

    task_id: str
    name: str
    modality: str
    paradigm: str
    skill_id: str
    metric_id: str
    answer_kind: str
    archive_folder: str
    reference_score: float
    grading: str


@dataclass(frozen=True, slots=True)
class KeyCommitment:
    """The published, salted SHA-256 of one task's sealed answers."""

    task_id: str
    key_version: str
    commitment: str
    item_count: int
    publish_time: datetime | None


@dataclass(frozen=True, slots=True)
class Agreement:
    """The current agreement, and whether this lab has accepted it."""

    version: str
    text: str
    accepted: bool
    accept_time: datetime | None


@dataclass(frozen=True, slots=True)
class QuotaWindow:
    """One rolling window, for example 2 submissions per 86,400 seconds."""

    limit: int
    used: int
    window_seconds: int


@dataclass(frozen=True, slots=True)
class QuotaHolder:
    """A submission that holds a slot since ``hold_time``."""

    submission_id: str
    hold_time: datetime


@dataclass(frozen=True, slots=True)
class Quota:
    """The fairness rules as this lab meets them now.

    A submission can be created when ``pending_submission_id`` is empty and ``next_slot_time`` is
    not in the future.
    """

    windows: tuple[QuotaWindow, ...]
    holders: tuple[QuotaHolder, ...]
    next_slot_time: datetime | None
    pending_submission_id: str


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """What a lab says about its model. All but the contact e-mail is shown on the boards.

    ``parameter_count`` is a number of parameters, 0 if not said. ``description`` has at most
    2,000 characters. ``report_url`` is an https link or empty. ``open_weights`` says whether
    everybody can get the weights, None if not said. While a model is ``anonymous`` the public sees
    neither its name nor organisation, description and report: see `Client.reveal`.
    """

    model_name: str
    organisation: str = ""
    parameter_count: int = 0
    description: str = ""
    modalities: tuple[str, ...] = ()
    report_url: str = ""
    contact_email: str = ""
    open_weights: bool | None = None
    anonymous: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault in the lab's file: a stable code, where it is, and what to do about it."""

    code: str
    path: str
    row: int | None
    message: str
    remedy: str
    warning: bool


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """When a submission entered a state."""

    state: SubmissionState
    entered_time: datetime
    note: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the grading is; ``position`` counts the jobs of anyone that come before.

    While operators have paused one of ``paused_modalities``, jobs of it wait, and the submission
    is not ended by its age.
    """

    tasks_total: int
    tasks_done: int
    position: int | None
    estimated_remaining: timedelta | None
    paused_modalities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Submission:
    """One submission of this lab, as it was when the gateway answered."""

    submission_id: str
    board_id: str
    model: ModelMetadata
    state: SubmissionState
    archive_bytes: int
    archive_sha256: str
    create_time: datetime
    update_time: datetime
    state_deadline: datetime | None
    timeline: tuple[TimelineEntry, ...]
    progress: Progress
    quota_status: QuotaStatus
    findings: tuple[Finding, ...]
    finding_count: int
    failure_reason: str
    catalogue_id: str
    #: The model's name as the public sees it.
    public_name: str = ""


@dataclass(frozen=True, slots=True)
class TaskResult:
    """The result of one task: ``value`` is raw, in the metric's unit, with its standard error.

    ``missing_count`` of ``item_count`` items had no answer in the archive and counted as wrong.
    """

    task_id: str
    metric_id: str
    outcome: TaskOutcome
    value: float | None
    standard_error: float | None
    item_count: int
    missing_count: int
    findings: tuple[Finding, ...]
    attempt_count: int


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % interval."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class LevelScores:
    """The scores of the levels 2 to 5 on [0, 100]; None where the board does not award one."""

    s2: float | None
    s3: float | None
    s4: float | None
    s5: float | None


@dataclass(frozen=True, slots=True)
class ModalityScores:
    """The level scores within one modality, and the board's tasks of it.

    The counts are None in standings that were published before they were counted.
    """

    modality: str
    scores: LevelScores
    supported_tasks: int | None = None
    task_count: int | None = None
    winning_tasks: int | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """One row of a board. ``level`` is 0 while no level has a score."""

    rank: int
    model_name: str
    organisation: str
    submission_id: str
    level: int
    scores: LevelScores
    interval: Interval | None
    modalities: tuple[ModalityScores, ...]
    supported_tasks: int
    winning_tasks: int
    indistinguishable_from_previous: bool
    complete_time: datetime | None

    @property
    def score(self) -> float | None:
        """The score of the standing's level; None at level 0 and 1."""
        scores = self.scores
        return {2: scores.s2, 3: scores.s3, 4: scores.s4, 5: scores.s5}.get(self.level)


@dataclass(frozen=True, slots=True)
class Standings:
    """A board as published at ``compute_time``."""

    board_id: str
    catalogue_id: str
    reference_list_id: str
    convention: str
    task_count: int
    ledger_position: int
    compute_time: datetime
    snapshot_sha256: str
    standings: tuple[Standing, ...]


@dataclass(frozen=True, slots=True)
class TransferProgress:
    """How far an upload or a download is. After a broken connection ``done_bytes`` falls back."""

    done_bytes: int
    total_bytes: int
