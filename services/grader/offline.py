"""The score of one task outside the service: a prediction.json and a plain annotation.json in.

It is for operators who check a grade and for those who contribute a task. Nothing is sealed and
nothing is signed; checker, decode box, metric and mapping are those of the service.

Of the answers nothing is in a result, in an error or in a repr.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from general_level.catalogue import Catalogue, Grading, Metric, Task, to_score
from general_level.errors import GeneralLevelError, InvalidRequest, UnknownTask
from general_level.submission import (
    DEFAULT_LIMITS,
    Code,
    Finding,
    FindingSink,
    Predictions,
    parse_predictions,
)
from general_level.submission.answer_forms import form_of
from general_level.submission.check import MAX_ABSENT_IDS_SHOWN
from general_level.submission.layout import PREDICTION_FILE
from services.grader.computing import align, compute, wants_content
from services.grader.decode.columns import Answers
from services.grader.keys import KeyItem
from services.grader.media.table import BINDINGS
from services.grader.networks import HeldNetworks, Networks, NetworkSettings
from services.grader.offline_content import decode
from services.grader.pipeline import is_served
from services.grader.sealing.answers import holds_files
from services.grader.sealing.layout import ANNOTATION_NAME, TaskFolder, TaskNames
from services.grader.sealing.prepare import Annotation, prepare, read_annotation
from services.grader.sealing.report import EXPLANATIONS, Problem, Trouble
from services.grader.weights.errors import WeightsInvalid
from services.kit.ratings import RATINGS_BYTES_MAX, RatingsInvalid

#: Items of an unusable annotation that the error names.
MAX_ITEMS_NAMED: Final = 5


class MetricNotServed(InvalidRequest):
    """This code computes no score of this metric for this task."""

    reason = "METRIC_NOT_SERVED"


class AnswersUnusable(InvalidRequest):
    """The answers cannot be used."""

    reason = "ANSWERS_UNUSABLE"


class RatingsUnusable(InvalidRequest):
    """The ratings cannot be used."""

    reason = "RATINGS_UNUSABLE"


class ScoringFailed(GeneralLevelError):
    """The metric gave no score of these files."""

    reason = "SCORING_FAILED"


@dataclass(frozen=True, slots=True)
class OfflineScore:
    """What came out for one task.

    ``score`` and ``stderr`` are raw, in the metric's unit; ``mapped`` is in 0..100. ``n`` counts
    the items of the answers, ``missing`` those without a usable prediction. Where a finding
    refuses the file, ``score``, ``mapped``, ``stderr`` and ``missing`` are None.
    """

    task_id: str
    metric_id: str
    n: int
    findings: tuple[Finding, ...]
    score: float | None = None
    mapped: float | None = None
    stderr: float | None = None
    missing: int | None = None

    @property
    def refused(self) -> bool:
        """Whether findings refuse the file."""
        return self.score is None


def score_offline(
    catalogue: Catalogue,
    task_id: str,
    predictions: Path,
    answers: Path,
    ratings: Path | None = None,
    networks: Networks | None = None,
) -> OfflineScore:
    """Scores ``predictions`` (see `find_predictions`) against an ``annotation.json`` or its folder.

    ``ratings`` is the file of verdicts, for a task whose metric is rated and for no other;
    ``networks`` serve the metrics that need weights, by default those without any. Media and
    structured answers go through a decode box, with the walls that this machine has.

    Raises UnknownTask, MetricNotServed, AnswersUnusable, RatingsUnusable, ScoringFailed,
    WeightsInvalid where networks lack, and ScoreRefused for a value outside the metric's bounds;
    OSError where a file cannot be read.
    """
    task = catalogue.tasks.get(task_id)
    if task is None:
        raise UnknownTask(task=task_id, catalogue=catalogue.id)
    metric = catalogue.metrics[task.metric_id]
    if not is_served(catalogue, task):
        raise MetricNotServed(metric=metric.id, task=task.id)
    verdicts = _verdicts(metric, ratings)
    key = read_key(catalogue, task, answers)
    item_ids = [item.id for item in key.items]
    sink = FindingSink()
    file = find_predictions(task, predictions)
    given = _checked_answers(task, file, item_ids, sink)
    if not sink.ok:
        return OfflineScore(task.id, metric.id, len(key.items), sink.findings)
    kind, options = task.answer_kind, task.options or {}
    networks = networks or HeldNetworks(NetworkSettings())
    try:
        if file is not None and metric.id in BINDINGS:
            given = decode(task, file.parent, wants_content(metric, kind), sink)
        computed = compute(metric, kind, options, key, given, verdicts, networks)
        result = computed.result
    except RatingsInvalid as error:
        raise RatingsUnusable(str(error), task=task.id) from None
    except WeightsInvalid:
        raise
    except Exception as error:
        # Its message may quote an answer: it ends here.
        raise ScoringFailed(task=task.id, metric=metric.id, error=type(error).__name__) from None
    path = f"{task.archive_path}/{PREDICTION_FILE}"
    for row in computed.unfit_rows:
        sink.add(Code.ANSWER_DOES_NOT_FIT, path, row)
    if result.stderr is not None and not math.isfinite(result.stderr):
        raise ScoringFailed(task=task.id, metric=metric.id, error="standard error not finite")
    return OfflineScore(
        task_id=task.id,
        metric_id=metric.id,
        n=result.n,
        findings=sink.findings,
        score=result.value,
        mapped=to_score(metric, result.value),
        stderr=result.stderr,
        missing=result.missing,
    )


def find_predictions(task: Task, place: Path) -> Path | None:
    """The prediction.json that ``place`` is, holds, or has at the task's path in an archive."""
    if not place.is_dir():
        return place
    for folder in (place, place / task.archive_path):
        if (folder / PREDICTION_FILE).is_file():
            return folder / PREDICTION_FILE
    return None


@dataclass(frozen=True, slots=True, repr=False)
class PlainKey:
    """The accepted answers of a task as sealing would have them, and the files that they name."""

    items: Sequence[KeyItem]
    media: Mapping[str, bytes]


def read_key(catalogue: Catalogue, task: Task, place: Path) -> PlainKey:
    """The accepted answers, as sealing makes them from an annotation.json.

    Stricter than sealing with unmatched items: one item that could not be sealed refuses the whole,
    since a score over the rest would be of another key. Media of inputs need not be there. Raises
    AnswersUnusable, which names items and never an output.
    """
    file = place / ANNOTATION_NAME if place.is_dir() else place
    if file.name != ANNOTATION_NAME:
        raise AnswersUnusable(f"The file must be called {ANNOTATION_NAME}.", task=task.id)
    annotation = read_annotation(file.parent)
    if annotation is None:
        raise _unusable(task, Trouble.UNREADABLE_ANNOTATION)
    parent = file.parent.resolve()
    folder = TaskFolder(parent, parent.name, task.modality, task.paradigm)
    _check_names(catalogue, task, folder, annotation)
    if not holds_files(task):
        # A file has nothing below it: what lies beside the annotation is not looked at.
        folder = replace(folder, path=parent / ANNOTATION_NAME)
    prepared, problems = prepare(task, folder, _without_inputs(annotation))
    kept_out = [problem for problem in problems if problem.items]
    if kept_out:
        raise _unusable(task, kept_out[0].trouble, kept_out)
    if not prepared.keys:
        raise _unusable(task, Trouble.TASK_WITHOUT_DATA)
    media = {name: (parent / name).read_bytes() for name in sorted(prepared.answer_files)}
    return PlainKey(prepared.keys, media)


def _verdicts(metric: Metric, file: Path | None) -> bytes:
    if metric.grading is not Grading.RATINGS:
        if file is not None:
            raise RatingsUnusable("A grader computes this metric.", metric=metric.id)
        return b""
    if file is None:
        raise RatingsUnusable("This metric is the mean of ratings: give them.", metric=metric.id)
    with file.open("rb") as stream:
        return stream.read(RATINGS_BYTES_MAX + 1)  # one byte more is told as too many


def _check_names(
    catalogue: Catalogue, task: Task, folder: TaskFolder, annotation: Annotation
) -> None:
    """AnswersUnusable where folder or annotation are plainly those of another task."""
    found = TaskNames(catalogue).find(folder, annotation.task)
    if found is Trouble.CONTRADICTING_NAMES:
        raise _unusable(task, found)
    if isinstance(found, Task) and found.id != task.id:
        raise AnswersUnusable(f"They are those of the task {found.id}.", task=task.id)


def _without_inputs(annotation: Annotation) -> Annotation:
    """The annotation with an empty text for every input: only outputs count for a score."""
    data = [
        {**item, "input": ""} if isinstance(item, dict) and item.get("input") is not None else item
        for item in annotation.data
    ]
    return replace(annotation, data=data)


def _unusable(
    task: Task, trouble: Trouble, problems: list[Problem] | None = None
) -> AnswersUnusable:
    metadata: dict[str, object] = {"task": task.id}
    if problems:
        named = [problem.item_id or f"row {problem.row}" for problem in problems]
        metadata |= {"count": len(problems), "items": ", ".join(named[:MAX_ITEMS_NAMED])}
    return AnswersUnusable(f"{trouble.value}: {EXPLANATIONS[trouble]}.", **metadata)


def _checked_answers(
    task: Task, file: Path | None, item_ids: list[str], sink: FindingSink
) -> Answers:
    """The usable rows of a prediction.json; everything else is a finding, as in the gateway."""
    path = f"{task.archive_path}/{PREDICTION_FILE}"
    if file is None:
        sink.add(Code.NO_PREDICTION_FILE, task.archive_path, hint="", expected=path)
        return Answers([], [], [])
    size, limit = file.stat().st_size, DEFAULT_LIMITS.prediction_json_bytes
    if size > limit:
        sink.add(Code.JSON_TOO_LARGE, path, size=size, limit=limit)
        return Answers([], [], [])
    parsed = parse_predictions(
        task.answer_kind, task.options, file.read_bytes(), path=path, sink=sink
    )
    answers = Answers(parsed.ids, parsed.values, parsed.rows)
    clean = sink.ok
    _report_media(task, parsed, file.parent, path, sink)
    _, unknown = align(answers, item_ids)
    id_at = dict(zip(parsed.rows, parsed.ids, strict=True))
    for row in unknown:
        sink.add(Code.UNKNOWN_ID, path, row, id=id_at[row])
    present = frozenset(parsed.ids)
    absent = [item for item in item_ids if item not in present]
    # A row that could not be read is not absent.
    if absent and clean:
        example = ", ".join(absent[:MAX_ABSENT_IDS_SHOWN])
        sink.add(
            Code.ABSENT_IDS, path, None, count=len(absent), total=len(item_ids), example=example
        )
    return answers


def _report_media(
    task: Task, predictions: Predictions, folder: Path, path: str, sink: FindingSink
) -> None:
    """Reports files that rows name and that are absent or empty; raters see to the rest."""
    media_paths = form_of(task.answer_kind, task.options).media_paths
    if media_paths is None:
        return
    for row, value in zip(predictions.rows, predictions.values, strict=True):
        for name in media_paths(value):
            if not (folder / name).is_file():
                sink.add(Code.MEDIA_MISSING, path, row, value=name, hint="")
            elif (folder / name).stat().st_size == 0:
                sink.add(Code.MEDIA_EMPTY, path, row, value=name)
