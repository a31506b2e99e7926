"""Results, signed statements and standings from the scores that a test supplies."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from general_level.catalogue import Board, Catalogue, Grading, is_legal, reaches, to_score
from general_level.errors import ScoreRefused, UnknownTask
from general_level.public_name import shown_model
from general_level.statements import GraderInfo, ScoreStatement, member_subjects
from general_level.submission.check import CheckedTask
from general_level.submission.members import open_member
from general_level.testing.records import Record
from general_level.testing.signing import Signer
from general_level.v1 import leaderboard_pb2, submission_pb2
from general_level.wire import to_timestamp

#: What the statements say about the program that made the scores.
GRADER: Final = GraderInfo(
    image_digest="sha256:" + hashlib.sha256(b"fake gateway").hexdigest(),
    device="cpu",
    version="fake",
)

#: The version of every task's answers.
KEY_VERSION: Final = "fake-1"

ScoreFunction = Callable[[str, str], float | None]
"""Gives the raw value of (submission id, task id), or None to leave it to the table."""


@dataclass(slots=True)
class Scores:
    """The raw values that the test wants, by task; the reference score where it wants nothing."""

    catalogue: Catalogue
    by_task: dict[str, tuple[float, float | None]] = field(default_factory=dict)
    function: ScoreFunction | None = None

    def set(self, task_id: str, value: float, standard_error: float | None) -> None:
        """UnknownTask; ScoreRefused for a value that the metric cannot have."""
        if task_id not in self.catalogue.tasks:
            raise UnknownTask(task_id=task_id)
        self._refuse_illegal(task_id, value)
        self.by_task[task_id] = (value, standard_error)

    def of(self, submission_id: str, task_id: str) -> tuple[float, float | None] | None:
        """Value and standard error; None where only a person could give them and none did."""
        value = self.function(submission_id, task_id) if self.function is not None else None
        if value is not None:
            self._refuse_illegal(task_id, value)
            return value, None
        if task_id in self.by_task:
            return self.by_task[task_id]
        if self.catalogue.metric_of(task_id).grading is not Grading.AUTOMATIC:
            return None
        return self.catalogue.references().references[task_id].score, None

    def _refuse_illegal(self, task_id: str, value: float) -> None:
        if not math.isfinite(value) or not is_legal(self.catalogue.metric_of(task_id), value):
            raise ScoreRefused(task_id=task_id)


def commitment_of(task_id: str) -> str:
    """The commitment that the fake publishes for a task's answers, of which it has none."""
    return hashlib.sha256(f"fake answers of {task_id}".encode()).hexdigest()


def grade(
    record: Record,
    task_id: str,
    scores: Scores,
    signer: Signer,
    known_items: int | None,
    now: datetime,
) -> tuple[submission_pb2.TaskResult, submission_pb2.SignedStatement | None]:
    """The result of one task, and its signed statement if it has a value.

    ``known_items`` is the number of the task's items; None takes the number of answers for it.
    """
    assert record.report is not None
    metric = scores.catalogue.metric_of(task_id)
    result = submission_pb2.TaskResult(task_id=task_id, metric_id=metric.id)
    task = record.report.tasks.get(task_id)
    if task is None:
        result.outcome = submission_pb2.TASK_OUTCOME_UNSUPPORTED
        return result, None
    result.item_count = known_items or max(1, task.item_count)
    result.missing_count = task.missing_id_count
    score = scores.of(record.submission_id, task_id)
    if score is None:
        result.outcome = (
            submission_pb2.TASK_OUTCOME_AWAITING_RATINGS
            if metric.grading is Grading.RATINGS
            else submission_pb2.TASK_OUTCOME_UNSCORED
        )
        return result, None
    result.outcome = submission_pb2.TASK_OUTCOME_SCORED
    result.attempt_count = 1
    value, standard_error = score
    result.value = value
    if standard_error is not None:
        result.standard_error = standard_error
    statement = ScoreStatement(
        submission_id=record.submission_id,
        task_id=task_id,
        catalogue_id=scores.catalogue.id,
        metric_id=metric.id,
        metric_version=metric.version,
        value=value,
        standard_error=standard_error,
        item_count=result.item_count,
        missing_count=result.missing_count,
        key_version=KEY_VERSION,
        key_commitment=commitment_of(task_id),
        grader=GRADER,
        scored_time=now,
        archive_sha256=record.message.archive_sha256,
        members=member_subjects(
            scores.catalogue.tasks[task_id].archive_path, _member_digests(record, task)
        ),
    )
    envelope = signer.envelope(statement)
    return result, submission_pb2.SignedStatement(task_id=task_id, envelope=envelope)


def _member_digests(record: Record, task: CheckedTask) -> dict[str, str]:
    digests = {}
    with record.path.open("rb") as file:
        for member in task.members:
            digest = hashlib.sha256()
            for data in open_member(file, member):
                digest.update(data)
            digests[member.path] = digest.hexdigest()
    return digests


@dataclass(frozen=True, slots=True)
class Placement:
    """The level and the scores of a model, as the test wants them on the boards."""

    level: int
    scores: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class _Row:
    record: Record
    placement: Placement
    mean: float
    wins: int

    @property
    def key(self) -> tuple[float, ...]:
        score = self.placement.scores.get(f"s{self.placement.level}", 0.0)
        return (-self.placement.level, -score, -self.mean)


def standings(
    board: Board,
    records: Iterable[Record],
    catalogue: Catalogue,
    placements: Mapping[str, Placement],
    now: datetime,
) -> leaderboard_pb2.Standings:
    """The board: by supplied level, then its score, then the mean of the tasks' mapped scores.

    The mean counts an unsupported task as 0. No level is computed: that is the ranker's work.
    """
    rows = sorted((_row(board, r, catalogue, placements) for r in records), key=lambda row: row.key)
    message = leaderboard_pb2.Standings(
        board_id=board.id,
        catalogue_id=catalogue.id,
        reference_list_id=catalogue.default_reference_list,
        convention="general-level",
        task_count=len(board.task_ids),
        ledger_position=sum(len(row.record.statements) + 1 for row in rows),
        compute_time=to_timestamp(now),
    )
    rank = 1
    for place, row in enumerate(rows, start=1):
        if place > 1 and row.key != rows[place - 2].key:
            rank = place
        message.standings.append(_standing(rank, row))
    content = b"".join(s.SerializeToString(deterministic=True) for s in message.standings)
    message.snapshot_sha256 = hashlib.sha256(content).hexdigest()
    return message


def _row(
    board: Board, record: Record, catalogue: Catalogue, placements: Mapping[str, Placement]
) -> _Row:
    references = catalogue.references().references
    total = 0.0
    wins = 0
    for result in record.results:
        if result.HasField("value"):
            metric = catalogue.metrics[result.metric_id]
            total += to_score(metric, result.value)
            wins += reaches(metric, result.value, references[result.task_id].score)
    placement = placements.get(record.message.model.model_name, Placement(0, {}))
    return _Row(record, placement, total / len(board.task_ids), wins)


def _standing(rank: int, row: _Row) -> leaderboard_pb2.Standing:
    message = row.record.message
    model = shown_model(row.record.lab_id, message.model)
    return leaderboard_pb2.Standing(
        rank=rank,
        model_name=model.model_name,
        organisation=model.organisation,
        submission_id=message.submission_id,
        level=row.placement.level,
        scores=leaderboard_pb2.LevelScores(**row.placement.scores),
        supported_tasks=len(row.record.statements),
        winning_tasks=row.wins,
        complete_time=message.update_time,
    )
