"""Metrics, skills and tasks from their files, each row checked as it is read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import Final, TypeVar

from general_level.catalogue.model import (
    AnswerKind,
    Direction,
    Grading,
    Metric,
    Modality,
    Paradigm,
    ScoreMapping,
    Skill,
    Task,
)
from general_level.catalogue.tables import Problems, Row, read_csv, read_entries

METRICS_FILE: Final = "metrics.toml"
SKILLS_FILE: Final = "skills.csv"
TASKS_FILE: Final = "tasks.csv"

#: Ids travel in file names, URLs, telemetry labels and ZIP names.
ID: Final = re.compile(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*")
#: A task's folder: ASCII words parted by single spaces or hyphens, so no path and no dot.
_FOLDER: Final = re.compile(r"[A-Za-z0-9]+([ -][A-Za-z0-9]+)*")
_DATE: Final = re.compile(r"\d{4}-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?")
_MAX_FOLDER_CHARS: Final = 100

_METRIC_KEYS: Final = (
    "id",
    "name",
    "direction",
    "unit",
    "mapping",
    "scale",
    "minimum",
    "maximum",
    "grading",
    "version",
    "answer_kinds",
    "definition",
    "source",
    "evidence",
)
_SKILL_COLUMNS: Final = ("id", "name", "modality", "paradigm")
_TASK_COLUMNS: Final = (
    "id",
    "modality",
    "paradigm",
    "skill",
    "name",
    "folder",
    "metric",
    "answer_kind",
    "specialist",
    "workbook_row",
)
_TASK_OPTIONAL: Final = ("short_name", "options", "label_paper", "label_workbook", "aliases")

#: Mappings with a scale, and those that ask for a direction.
_SCALED: Final = (ScoreMapping.TANH, ScoreMapping.TANH_INVERSE)
_LOWER_ONLY: Final = (ScoreMapping.TANH_INVERSE, ScoreMapping.ONE_MINUS_PERCENT)

T = TypeVar("T")


def read_metrics(folder: Traversable, problems: Problems) -> dict[str, Metric]:
    metrics: dict[str, Metric] = {}
    for row in read_entries(folder, METRICS_FILE, "metrics", problems):
        row.known(_METRIC_KEYS)
        direction = row.choice("direction", Direction)
        mapping = row.choice("mapping", ScoreMapping)
        grading = row.choice("grading", Grading)
        kinds = row.choices("answer_kinds", AnswerKind)
        if not kinds:
            row.wrong("answer_kinds is empty")
        if direction is None or mapping is None or grading is None:
            continue
        metric = Metric(
            id=row.text("id"),
            name=row.text("name"),
            direction=direction,
            unit=row.text("unit"),
            mapping=mapping,
            scale=row.number_of("scale"),
            minimum=row.number_of("minimum"),
            maximum=row.number_of("maximum"),
            grading=grading,
            version=row.integer("version"),
            definition=row.text("definition"),
            source=row.text("source"),
            answer_kinds=kinds,
            evidence=row.text("evidence", ""),
        )
        _check_mapping(row, metric)
        insert(row, metrics, metric.id, metric)
    return metrics


def _check_mapping(row: Row, metric: Metric) -> None:
    scaled = metric.mapping in _SCALED
    if scaled and (metric.scale is None or metric.scale <= 0):
        row.wrong(f"mapping {metric.mapping} needs a scale above 0")
    if not scaled and metric.scale is not None:
        row.wrong(f"mapping {metric.mapping} has no scale")
    lower = metric.mapping in _LOWER_ONLY
    if lower is not (metric.direction is Direction.LOWER):
        row.wrong(f"mapping {metric.mapping} does not fit direction {metric.direction}")
    low, high = metric.minimum, metric.maximum
    if low is not None and high is not None and low >= high:
        row.wrong(f"minimum {low} is not below maximum {high}")


def read_skills(folder: Traversable, problems: Problems) -> dict[str, Skill]:
    skills: dict[str, Skill] = {}
    for row in read_csv(folder, SKILLS_FILE, problems, _SKILL_COLUMNS, ("short_name",)):
        modality = row.choice("modality", Modality)
        paradigm = row.choice("paradigm", Paradigm)
        if modality is None or paradigm is None:
            continue
        _check_paradigm(row, modality, paradigm)
        name = row.text("name")
        short = row.text("short_name", name)
        skill = Skill(row.text("id"), name, short, modality, paradigm)
        insert(row, skills, skill.id, skill)
    return skills


def read_tasks(
    folder: Traversable,
    problems: Problems,
    metrics: Mapping[str, Metric],
    skills: Mapping[str, Skill],
) -> dict[str, Task]:
    tasks: dict[str, Task] = {}
    folders: dict[str, str] = {}
    numbers: dict[tuple[Modality, Paradigm, int], str] = {}
    for row in read_csv(folder, TASKS_FILE, problems, _TASK_COLUMNS, _TASK_OPTIONAL):
        task = _task(row)
        if task is None:
            continue
        insert(row, tasks, task.id, task)
        _check_paradigm(row, task.modality, task.paradigm)
        _check_task(row, task, metrics, skills)
        other = folders.setdefault(task.archive_path.casefold(), task.id)
        if other != task.id:
            row.wrong(f"folder {task.folder!r} is already that of {other}")
        key = (task.modality, task.paradigm, task.workbook_row)
        other = numbers.setdefault(key, task.id)
        if other != task.id:
            row.wrong(f"workbook_row {task.workbook_row} is already that of {other}")
    return tasks


def _task(row: Row) -> Task | None:
    modality = row.choice("modality", Modality)
    paradigm = row.choice("paradigm", Paradigm)
    kind = row.choice("answer_kind", AnswerKind)
    if modality is None or paradigm is None or kind is None:
        return None
    name = row.text("name")
    labels = (row.text("label_paper", ""), row.text("label_workbook", ""))
    return Task(
        id=row.text("id"),
        modality=modality,
        paradigm=paradigm,
        skill_id=row.text("skill"),
        name=name,
        short_name=row.text("short_name", name),
        folder=row.text("folder"),
        metric_id=row.text("metric"),
        answer_kind=kind,
        specialist=row.text("specialist"),
        workbook_row=row.integer("workbook_row"),
        aliases=tuple(filter(None, row.text("aliases", "").split("|"))),
        options=_options(row),
        published_labels=labels if any(labels) else (),
    )


def _options(row: Row) -> Mapping[str, str] | None:
    """``k=50;language=python`` as a mapping."""
    cell = row.text("options", "")
    if not cell:
        return None
    pairs = [pair.partition("=") for pair in cell.split(";")]
    if not all(key and sign and value for key, sign, value in pairs):
        row.wrong(f"options must read key=value;key=value, not {cell!r}")
    return MappingProxyType({key: value for key, _, value in pairs})


def _check_task(
    row: Row, task: Task, metrics: Mapping[str, Metric], skills: Mapping[str, Skill]
) -> None:
    skill = skills.get(task.skill_id)
    if skill is None:
        row.wrong(f"unknown skill {task.skill_id!r}")
    elif (skill.modality, skill.paradigm) != (task.modality, task.paradigm):
        row.wrong(f"skill {skill.id} is of {skill.modality} {skill.paradigm}")
    metric = metrics.get(task.metric_id)
    if metric is None:
        row.wrong(f"unknown metric {task.metric_id!r}")
    elif task.answer_kind not in metric.answer_kinds:
        row.wrong(f"metric {metric.id} does not grade answers of kind {task.answer_kind}")
    if not _FOLDER.fullmatch(task.folder) or len(task.folder) > _MAX_FOLDER_CHARS:
        row.wrong(f"folder {task.folder!r} is not words of ASCII letters and digits")


def _check_paradigm(row: Row, modality: Modality, paradigm: Paradigm) -> None:
    if (modality is Modality.LANGUAGE) is not (paradigm is Paradigm.NONE):
        row.wrong(f"paradigm {paradigm} does not fit modality {modality}")


def insert(row: Row, into: dict[str, T], key: str, value: T) -> None:
    if not ID.fullmatch(key):
        row.wrong(f"id {key!r} is not words of letters and digits joined by hyphens")
    if key in into:
        row.wrong(f"duplicate id {key}")
    into.setdefault(key, value)


def date_of(row: Row) -> str:
    """A day or a month, ISO 8601."""
    date = row.text("date")
    if date and not _DATE.fullmatch(date):
        row.wrong(f"date must read YYYY-MM or YYYY-MM-DD, not {date!r}")
    return date
