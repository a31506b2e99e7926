"""From the wire's messages to the client's dataclasses, and back for what a lab sends."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from general_level import wire
from general_level.client import models
from general_level.v1 import catalogue_pb2, leaderboard_pb2, quota_pb2, submission_pb2

if TYPE_CHECKING:
    from general_level.receipts import Receipt

_Word = TypeVar("_Word", models.SubmissionState, models.TaskOutcome, models.QuotaStatus)


def _word(kind: type[_Word], enum_name: str, names: Mapping[int, str], number: int) -> _Word:
    """The word of an enum value; UNSPECIFIED for one that a newer server added."""
    try:
        return kind(names[number].removeprefix(f"{enum_name}_"))
    except (KeyError, ValueError):
        return kind("UNSPECIFIED")


_STATE_NAMES: Mapping[int, str] = {
    int(n): name for name, n in submission_pb2.SubmissionState.items()
}
_OUTCOME_NAMES: Mapping[int, str] = {int(n): name for name, n in submission_pb2.TaskOutcome.items()}
_QUOTA_NAMES: Mapping[int, str] = {int(n): name for name, n in submission_pb2.QuotaStatus.items()}


def state(number: int) -> models.SubmissionState:
    return _word(models.SubmissionState, "SUBMISSION_STATE", _STATE_NAMES, number)


def outcome(number: int) -> models.TaskOutcome:
    return _word(models.TaskOutcome, "TASK_OUTCOME", _OUTCOME_NAMES, number)


def quota_status(number: int) -> models.QuotaStatus:
    return _word(models.QuotaStatus, "QUOTA_STATUS", _QUOTA_NAMES, number)


def _time(message: Message, field: str) -> datetime | None:
    stamp = getattr(message, field)
    return wire.from_timestamp(stamp) if message.HasField(field) else None


def _time_of(stamp: Timestamp) -> datetime:
    return wire.from_timestamp(stamp)


def board(message: catalogue_pb2.Board) -> models.Board:
    return models.Board(
        board_id=message.board_id,
        name=message.name,
        scope=message.scope,
        modalities=tuple(message.modalities),
        task_count=message.task_count,
        highest_level=message.highest_level,
        inputs_bytes=message.inputs_bytes,
    )


def task(message: catalogue_pb2.Task) -> models.Task:
    return models.Task(
        task_id=message.task_id,
        name=message.name,
        modality=message.modality,
        paradigm=message.paradigm,
        skill_id=message.skill_id,
        metric_id=message.metric_id,
        answer_kind=message.answer_kind,
        archive_folder=message.archive_folder,
        reference_score=message.reference_score,
        grading=message.grading,
    )


def key_commitment(message: catalogue_pb2.KeyCommitment) -> models.KeyCommitment:
    return models.KeyCommitment(
        task_id=message.task_id,
        key_version=message.key_version,
        commitment=message.commitment,
        item_count=message.item_count,
        publish_time=_time(message, "publish_time"),
    )


def agreement(message: quota_pb2.GetAgreementResponse) -> models.Agreement:
    return models.Agreement(
        version=message.version,
        text=message.text,
        accepted=message.accepted,
        accept_time=_time(message, "accept_time"),
    )


def quota(message: quota_pb2.GetQuotaResponse) -> models.Quota:
    return models.Quota(
        windows=tuple(
            models.QuotaWindow(w.limit, w.used, w.window_seconds) for w in message.windows
        ),
        holders=tuple(
            models.QuotaHolder(h.submission_id, _time_of(h.hold_time)) for h in message.holders
        ),
        next_slot_time=_time(message, "next_slot_time"),
        pending_submission_id=message.pending_submission_id,
    )


def model_metadata(message: submission_pb2.ModelMetadata) -> models.ModelMetadata:
    return models.ModelMetadata(
        model_name=message.model_name,
        organisation=message.organisation,
        parameter_count=message.parameter_count,
        description=message.description,
        modalities=tuple(message.modalities),
        report_url=message.report_url,
        contact_email=message.contact_email,
        open_weights=message.open_weights if message.HasField("open_weights") else None,
        anonymous=message.anonymous,
    )


def model_metadata_message(metadata: models.ModelMetadata) -> submission_pb2.ModelMetadata:
    return submission_pb2.ModelMetadata(
        model_name=metadata.model_name,
        organisation=metadata.organisation,
        parameter_count=metadata.parameter_count,
        description=metadata.description,
        modalities=metadata.modalities,
        report_url=metadata.report_url,
        contact_email=metadata.contact_email,
        open_weights=metadata.open_weights,
        anonymous=metadata.anonymous,
    )


def finding(message: submission_pb2.Finding) -> models.Finding:
    return models.Finding(
        code=message.code,
        path=message.path,
        row=message.row if message.HasField("row") else None,
        message=message.message,
        remedy=message.remedy,
        warning=message.warning,
    )


def submission(message: submission_pb2.Submission) -> models.Submission:
    progress = message.progress
    return models.Submission(
        submission_id=message.submission_id,
        board_id=message.board_id,
        model=model_metadata(message.model),
        state=state(message.state),
        archive_bytes=message.archive_bytes,
        archive_sha256=message.archive_sha256,
        create_time=_time_of(message.create_time),
        update_time=_time_of(message.update_time),
        state_deadline=_time(message, "state_deadline"),
        timeline=tuple(
            models.TimelineEntry(state(e.state), _time_of(e.entered_time), e.note)
            for e in message.timeline
        ),
        progress=models.Progress(
            tasks_total=progress.tasks_total,
            tasks_done=progress.tasks_done,
            position=progress.position if progress.HasField("position") else None,
            estimated_remaining=(
                progress.estimated_remaining.ToTimedelta()
                if progress.HasField("estimated_remaining")
                else None
            ),
            paused_modalities=tuple(progress.paused_modalities),
        ),
        quota_status=quota_status(message.quota_status),
        findings=tuple(finding(f) for f in message.findings),
        finding_count=message.finding_count,
        failure_reason=message.failure_reason,
        catalogue_id=message.catalogue_id,
        public_name=message.public_name or message.model.model_name,
    )


def task_result(message: submission_pb2.TaskResult) -> models.TaskResult:
    return models.TaskResult(
        task_id=message.task_id,
        metric_id=message.metric_id,
        outcome=outcome(message.outcome),
        value=message.value if message.HasField("value") else None,
        standard_error=message.standard_error if message.HasField("standard_error") else None,
        item_count=message.item_count,
        missing_count=message.missing_count,
        findings=tuple(finding(f) for f in message.findings),
        attempt_count=message.attempt_count,
    )


def receipt(message: submission_pb2.GetReceiptResponse) -> Receipt:
    """As it is written to a file, unverified."""
    # Here and not above: it brings cryptography, which most programs do not need.
    from general_level.receipts import Receipt, SignedStatement  # noqa: PLC0415

    return Receipt(
        submission_id=message.submission_id,
        archive_sha256=message.archive_sha256,
        statements=tuple(SignedStatement(s.task_id, s.envelope) for s in message.statements),
        grader_public_keys=tuple(message.grader_public_keys),
        superseded=tuple(
            SignedStatement(s.task_id, s.envelope) for s in message.superseded_statements
        ),
    )


def _levels(message: leaderboard_pb2.LevelScores) -> models.LevelScores:
    return models.LevelScores(
        s2=message.s2 if message.HasField("s2") else None,
        s3=message.s3 if message.HasField("s3") else None,
        s4=message.s4 if message.HasField("s4") else None,
        s5=message.s5 if message.HasField("s5") else None,
    )


def standing(message: leaderboard_pb2.Standing) -> models.Standing:
    return models.Standing(
        rank=message.rank,
        model_name=message.model_name,
        organisation=message.organisation,
        submission_id=message.submission_id,
        level=message.level,
        scores=_levels(message.scores),
        interval=(
            models.Interval(message.interval.low, message.interval.high)
            if message.HasField("interval")
            else None
        ),
        modalities=tuple(_modality(of) for of in message.modalities),
        supported_tasks=message.supported_tasks,
        winning_tasks=message.winning_tasks,
        indistinguishable_from_previous=message.indistinguishable_from_previous,
        complete_time=_time(message, "complete_time"),
    )


def _modality(message: leaderboard_pb2.ModalityScores) -> models.ModalityScores:
    return models.ModalityScores(
        modality=message.modality,
        scores=_levels(message.scores),
        supported_tasks=message.supported_tasks if message.HasField("supported_tasks") else None,
        task_count=message.task_count if message.HasField("task_count") else None,
        winning_tasks=message.winning_tasks if message.HasField("winning_tasks") else None,
    )


def standings(message: leaderboard_pb2.Standings) -> models.Standings:
    return models.Standings(
        board_id=message.board_id,
        catalogue_id=message.catalogue_id,
        reference_list_id=message.reference_list_id,
        convention=message.convention,
        task_count=message.task_count,
        ledger_position=message.ledger_position,
        compute_time=_time_of(message.compute_time),
        snapshot_sha256=message.snapshot_sha256,
        standings=tuple(standing(s) for s in message.standings),
    )
