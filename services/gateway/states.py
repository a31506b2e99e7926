"""The life of a submission: the one table of legal moves, and how long a state may last."""

from __future__ import annotations

import enum
from datetime import timedelta
from types import MappingProxyType


class State(enum.StrEnum):
    """As in `general_level.v1.SubmissionState`."""

    CREATED = "created"
    UPLOADING = "uploading"
    CHECKING = "checking"
    QUEUED = "queued"
    GRADING = "grading"
    RANKING = "ranking"
    PUBLISHED = "published"
    REJECTED = "rejected"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


_S = State

#: From each state, where it may go. A state without moves is final.
MOVES = MappingProxyType(
    {
        _S.CREATED: frozenset({_S.UPLOADING, _S.CANCELLED, _S.EXPIRED, _S.FAILED}),
        _S.UPLOADING: frozenset({_S.CHECKING, _S.REJECTED, _S.CANCELLED, _S.EXPIRED, _S.FAILED}),
        _S.CHECKING: frozenset({_S.QUEUED, _S.RANKING, _S.REJECTED, _S.CANCELLED, _S.FAILED}),
        _S.QUEUED: frozenset({_S.GRADING, _S.RANKING, _S.REJECTED, _S.CANCELLED, _S.FAILED}),
        _S.GRADING: frozenset({_S.RANKING, _S.REJECTED, _S.CANCELLED, _S.FAILED}),
        _S.RANKING: frozenset({_S.PUBLISHED, _S.FAILED}),
        _S.PUBLISHED: frozenset(),
        _S.REJECTED: frozenset(),
        _S.FAILED: frozenset(),
        _S.CANCELLED: frozenset(),
        _S.EXPIRED: frozenset(),
    }
)

#: Moves back that only an operator makes (`dead_letters`): the fault was ours, and it is mended. A
#: state with such a move is final all the same: nobody waits for it.
REOPENED = MappingProxyType({_S.FAILED: _S.QUEUED})

FINAL = frozenset(state for state, moves in MOVES.items() if not moves)
PENDING = frozenset(State) - FINAL

#: The longest a submission stays in a state before the platform ends it: the first two become
#: EXPIRED (the lab is gone), the others FAILED (our fault, refunded). None of them locks a lab out.
STATE_AGE_MAX = MappingProxyType(
    {
        _S.CREATED: timedelta(hours=6),
        _S.UPLOADING: timedelta(hours=24),
        _S.CHECKING: timedelta(hours=1),
        _S.QUEUED: timedelta(days=3),
        _S.GRADING: timedelta(days=2),
        _S.RANKING: timedelta(hours=6),
    }
)

#: States whose maximum age waits while a modality of their unfinished jobs is paused (`pauses`).
HELD_BY_PAUSES = frozenset({_S.QUEUED, _S.GRADING})

#: What the end of STATE_AGE_MAX means.
OVERDUE = MappingProxyType(
    {
        _S.CREATED: (_S.EXPIRED, "upload-not-started"),
        _S.UPLOADING: (_S.EXPIRED, "upload-not-finished"),
        _S.CHECKING: (_S.FAILED, "check-overdue"),
        _S.QUEUED: (_S.FAILED, "queue-overdue"),
        _S.GRADING: (_S.FAILED, "grading-overdue"),
        _S.RANKING: (_S.FAILED, "ranking-overdue"),
    }
)


class Outcome(enum.StrEnum):
    """As in `general_level.v1.TaskOutcome`: what became of one task of one submission."""

    PENDING = "pending"
    SCORED = "scored"
    UNSUPPORTED = "unsupported"
    UNSCORED = "unscored"
    AWAITING_RATINGS = "awaiting-ratings"
    REFUSED = "refused"
    DEAD_LETTER = "dead-letter"
