"""A submission as a lab reads it: rows turned into messages of the contract."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from general_level.public_name import shown_model
from general_level.v1 import submission_pb2 as pb
from general_level.wire import to_timestamp
from services.gateway import findings, leases, quotas, submissions
from services.gateway.states import FINAL, Outcome, State
from services.gateway.storage.tables import task_results

STATES = {state: pb.SubmissionState.Value(f"SUBMISSION_STATE_{state.name}") for state in State}
FINAL_STATES = frozenset(STATES[state] for state in FINAL)
OUTCOMES = {outcome: pb.TaskOutcome.Value(f"TASK_OUTCOME_{outcome.name}") for outcome in Outcome}
#: Findings of all tasks in one answer; each has at most some 1.4 kB, an answer 32 MiB.
RESULT_FINDINGS_MAX: Final = 10_000
_QUOTA = {
    quotas.RESERVE: pb.QUOTA_STATUS_RESERVED,
    quotas.COMMIT: pb.QUOTA_STATUS_COMMITTED,
    quotas.REFUND: pb.QUOTA_STATUS_REFUNDED,
}


def submission_view(
    connection: Connection, now: datetime, row: Row[Any], *, in_list: bool = False
) -> pb.Submission:
    """One submission with its timeline, progress and findings.

    In a list it has no findings, only their number: 1,000 of each would not fit into one answer.
    """
    state = State(row.state)
    model = pb.ModelMetadata.FromString(row.model)
    progress = pb.Progress(tasks_total=row.tasks_total, tasks_done=row.tasks_done)
    if state in (State.QUEUED, State.GRADING):
        place = leases.position_and_estimate(connection, now, row.submission_id)
        if place.position is not None:
            progress.position = place.position
        if place.estimated_remaining is not None:
            progress.estimated_remaining.FromTimedelta(place.estimated_remaining)
        progress.paused_modalities.extend(place.paused_modalities)
    return pb.Submission(
        submission_id=row.submission_id,
        board_id=row.board_id,
        model=model,
        state=STATES[state],
        archive_bytes=row.archive_bytes,
        archive_sha256=row.archive_sha256,
        create_time=to_timestamp(row.create_time),
        update_time=to_timestamp(row.update_time),
        state_deadline=(
            to_timestamp(row.state_deadline)
            if row.state_deadline is not None
            and state not in FINAL
            and not progress.paused_modalities
            else None
        ),
        timeline=[
            pb.TimelineEntry(
                state=STATES[State(entry.state)],
                entered_time=to_timestamp(entry.enter_time),
                note=entry.note,
            )
            for entry in submissions.read_timeline(connection, row.submission_id)
        ],
        progress=progress,
        quota_status=_QUOTA[quotas.status(connection, row.submission_id)],
        findings=[] if in_list else findings.to_protos(row.findings),
        finding_count=row.finding_count,
        failure_reason=row.failure_reason,
        catalogue_id=row.catalogue_id,
        public_name=shown_model(row.lab_id, model).model_name,
    )


def task_results_view(connection: Connection, row: Row[Any]) -> list[pb.TaskResult]:
    """What became of each task; values only once the submission is published.

    Where tasks have more than `RESULT_FINDINGS_MAX` findings together, each shows the same number
    of its first ones.
    """
    published = row.state == State.PUBLISHED
    rows = connection.execute(
        select(task_results)
        .where(task_results.c.submission_id == row.submission_id)
        .order_by(task_results.c.task_id)
    ).all()
    with_findings = sum(result.findings is not None for result in rows)
    each = RESULT_FINDINGS_MAX // max(1, with_findings)
    return [_result(result, published=published, findings_max=each) for result in rows]


def _result(row: Row[Any], *, published: bool, findings_max: int) -> pb.TaskResult:
    outcome = Outcome(row.outcome)
    shown = published and outcome is Outcome.SCORED
    return pb.TaskResult(
        task_id=row.task_id,
        metric_id=row.metric_id,
        outcome=OUTCOMES[outcome],
        value=row.value if shown else None,
        standard_error=row.standard_error if shown else None,
        item_count=row.item_count if shown else 0,
        missing_count=row.missing_count if shown else 0,
        findings=findings.to_protos(row.findings)[:findings_max],
        attempt_count=row.attempt_count,
    )
