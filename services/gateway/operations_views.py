"""What operators read, as messages of the contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, Row

from general_level.v1 import operations_pb2 as pb
from general_level.v1 import ranking_pb2
from general_level.wire import to_duration, to_timestamp
from services.gateway import pauses, queue_status, rejudgements
from services.gateway.rejudged import UNSCORED, Rejudged

STATES: Final = {
    state: pb.RejudgementState.Value(f"REJUDGEMENT_STATE_{state.upper()}")
    for state in (*rejudgements.OPEN, rejudgements.APPLIED, rejudgements.CANCELLED)
}
OUTCOMES: Final = {
    outcome: pb.RejudgedOutcome.Value(f"REJUDGED_OUTCOME_{outcome.name}") for outcome in Rejudged
}


def rejudgement_message(connection: Connection, rejudgement_id: str) -> pb.Rejudgement:
    """One rejudgement as it is now; NotFound."""
    row = rejudgements.read(connection, rejudgement_id)
    counts = rejudgements.counts_of(connection, [rejudgement_id])
    return _rejudgement(row, counts[rejudgement_id])


def rejudgement_messages(connection: Connection) -> list[pb.Rejudgement]:
    """The newest ones."""
    rows = rejudgements.list_newest(connection)
    counts = rejudgements.counts_of(connection, [row.rejudgement_id for row in rows])
    return [_rejudgement(row, counts[row.rejudgement_id]) for row in rows]


def rejudgement_details(connection: Connection, rejudgement_id: str) -> pb.GetRejudgementResponse:
    """One with its scores and its preview, if that is there."""
    row = rejudgements.read(connection, rejudgement_id)
    return pb.GetRejudgementResponse(
        rejudgement=rejudgement_message(connection, rejudgement_id),
        scores=[_rejudged(item) for item in rejudgements.items_of(connection, rejudgement_id)],
        preview=None if row.preview is None else pb.RejudgementPreview.FromString(row.preview),
    )


def _rejudgement(row: Row[Any], counts: Mapping[str, int]) -> pb.Rejudgement:
    return pb.Rejudgement(
        rejudgement_id=row.rejudgement_id,
        task_id=row.task_id,
        state=STATES[row.state],
        reason=row.reason,
        operator=row.operator,
        start_time=to_timestamp(row.start_time),
        end_time=None if row.end_time is None else to_timestamp(row.end_time),
        key_version=row.key_version,
        grader_image_digest=row.grader_image_digest,
        pending=counts[Rejudged.PENDING],
        scored=counts[Rejudged.SCORED],
        unscored=sum(counts[outcome] for outcome in UNSCORED),
        ended=counts[Rejudged.ENDED],
        preview_sha256=row.preview_sha256 or "",
    )


def _rejudged(item: Row[Any]) -> pb.RejudgedScore:
    message = pb.RejudgedScore(
        submission_id=item.submission_id,
        outcome=OUTCOMES[Rejudged(item.outcome)],
        old_value=item.old_value,
    )
    if item.outcome == Rejudged.SCORED:
        message.new_value = ranking_pb2.ScoreEntry.FromString(item.entry).value
    elif item.outcome in (Rejudged.PENDING, Rejudged.FAILED):
        message.fault = item.fault or item.last_fault or ""
    return message


def pause_message(pause: pauses.Pause) -> pb.Pause:
    """A pause."""
    return pb.Pause(
        pause_time=to_timestamp(pause.pause_time), reason=pause.reason, operator=pause.operator
    )


def modality_message(status: queue_status.ModalityStatus) -> pb.ModalityStatus:
    """The status of one modality."""
    return pb.ModalityStatus(
        modality=status.modality,
        pause=None if status.pause is None else pause_message(status.pause),
        ready_jobs=status.ready,
        waiting_jobs=status.waiting,
        lacking_jobs=status.lacking,
        leased_jobs=status.leased,
        dead_jobs=status.dead,
        oldest_age=None if status.oldest_age is None else to_duration(status.oldest_age),
        recent_jobs=status.recent,
    )


def dead_letter_message(row: Row[Any], obstacle: str) -> pb.DeadLetter:
    """A row of `dead_letters.list_page` and what keeps it from being requeued."""
    return pb.DeadLetter(
        job_id=row.job_id,
        submission_id=row.submission_id,
        lab_id=row.lab_id,
        task_id=row.task_id,
        modality=row.modality,
        fault=row.fault or "",
        attempts=row.attempt,
        end_time=to_timestamp(row.finish_time),
        obstacle=obstacle,
    )


def audit_message(row: Row[Any]) -> pb.AuditEntry:
    """An entry of the log."""
    return pb.AuditEntry(
        entry_id=row.entry_id,
        record_time=to_timestamp(row.record_time),
        operator=row.operator,
        token_id=row.token_id,
        certificate=row.certificate,
        action=row.action,
        request_id=row.request_id,
        parameters=row.parameters.decode(),
        outcome=row.outcome,
        result=(row.result or b"").decode(),
    )
