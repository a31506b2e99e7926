"""States, reasons and outcomes in words, as a lab reads them in the portal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Final

from general_level.client.models import QuotaStatus, SubmissionState, TaskOutcome

#: What a submission does in each state.
STATES: Final[Mapping[SubmissionState, tuple[str, str]]] = MappingProxyType(
    {
        SubmissionState.CREATED: ("Created", "It waits for the archive's first byte."),
        SubmissionState.UPLOADING: ("Uploading", "It waits for the rest of the archive."),
        SubmissionState.CHECKING: ("Checking", "The archive is read as the offline checker does."),
        SubmissionState.QUEUED: ("Queued", "Its tasks wait for a grader."),
        SubmissionState.GRADING: ("Grading", "Graders work on its tasks."),
        SubmissionState.RANKING: ("Ranking", "Every task is graded; the boards are computed."),
        SubmissionState.PUBLISHED: ("Published", "It stands on the boards."),
        SubmissionState.REJECTED: ("Rejected", "The archive has findings; no quota was used."),
        SubmissionState.FAILED: ("Failed", "The fault was ours; the slot was given back."),
        SubmissionState.CANCELLED: ("Withdrawn", "You withdrew it."),
        SubmissionState.EXPIRED: ("Expired", "The archive did not come in time."),
        SubmissionState.UNSPECIFIED: ("Unknown", ""),
    }
)
QUOTA: Final[Mapping[QuotaStatus, str]] = MappingProxyType(
    {
        QuotaStatus.RESERVED: "holds a slot while it is pending",
        QuotaStatus.COMMITTED: "counts",
        QuotaStatus.REFUNDED: "does not count: the slot was given back",
        QuotaStatus.UNSPECIFIED: "unknown",
    }
)
OUTCOMES: Final[Mapping[TaskOutcome, str]] = MappingProxyType(
    {
        TaskOutcome.PENDING: "not graded yet",
        TaskOutcome.SCORED: "scored",
        TaskOutcome.UNSUPPORTED: "not in the archive: counts 0",
        TaskOutcome.UNSCORED: "no scorer here yet",
        TaskOutcome.AWAITING_RATINGS: "awaits ratings",
        TaskOutcome.REFUSED: "cannot be graded: see the findings",
        TaskOutcome.DEAD_LETTER: "our fault, after all attempts",
        TaskOutcome.UNSPECIFIED: "unknown",
    }
)
_REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "withdrawn": "You withdrew it.",
        "findings": "The archive has findings; they say what to do.",
        "digest-mismatch": "The bytes that came do not have the SHA-256 that was announced.",
        "refused-at-grading": "A task's answers could not be graded; its findings say why.",
        "statement-refused": "A signed score did not pass the ranker's verification.",
        "upload-not-started": "No byte of the archive came in time.",
        "upload-not-finished": "The archive did not come whole in time.",
        "check-overdue": "The check did not end in time.",
        "check-timed-out": "The check took too long.",
        "check-crashed": "The check ended by a fault of ours.",
        "queue-overdue": "No grader took it up in time.",
        "grading-overdue": "Grading did not end in time.",
        "ranking-overdue": "Ranking did not end in time.",
    }
)
_FAULTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "scorer-crashed": "the scorer ended by itself",
        "decoder-crashed": "the process that reads the files ended by itself",
        "out-of-memory": "the memory did not suffice",
        "deadline": "the time did not suffice",
        "key-unavailable": "no grader has the task's answers",
        "illegal-score": "the score was out of its range",
        "internal": "an unforeseen fault",
        "weights-unavailable": "no grader has the metric's network",
        "lease-expired": "the grader was not heard of any more",
    }
)


def reason(code: str) -> str:
    """A failure reason or a note of the timeline; empty for one that is not known or empty."""
    kind, _, fault = code.partition(":")
    if kind == "dead-letter":
        return f"A task failed all its attempts by our fault: {_FAULTS.get(fault, fault)}."
    return _REASONS.get(code, "")


def bytes_of(count: int) -> str:
    """``12.3 MB``, in powers of 1,000."""
    size, units = float(count), ["bytes", "kB", "MB", "GB"]
    while size >= 1000 and len(units) > 1:
        size /= 1000
        units.pop(0)
    return f"{count} bytes" if units[0] == "bytes" else f"{size:.1f} {units[0]}"


def duration(length: timedelta) -> str:
    """``about 3 min``: an estimate is never exact to the second."""
    seconds = length.total_seconds()
    if seconds < 60:
        return "less than a minute"
    if seconds < 2 * 3600:
        return f"about {round(seconds / 60)} min"
    return f"about {round(seconds / 3600)} h"
