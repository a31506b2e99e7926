"""Read task scores of several models from a CSV file, with every fault named by its row.

Two sets of columns are understood. By our task ids: ``model,task,score`` and optionally ``n`` and
``stderr``. By the published tables: ``model,modality,paradigm,workbook_row,score``; these three
keys join, never a task's name, which the sources spell differently. Other columns are ignored.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from general_level.catalogue.mapping import is_legal
from general_level.catalogue.model import Catalogue
from general_level.errors import InvalidRequest
from services.ranker.formulas.conventions import Convention
from services.ranker.standings import ModelEntry, TaskScore

#: The largest file that is read, in bytes; 1,000 models of 699 tasks are about 60 MB.
MAX_FILE_BYTES = 256 * 1024 * 1024
#: How many faults are reported before reading stops.
MAX_FINDINGS = 20

#: How the published tables name the modality and the paradigm of language tasks.
SPELLINGS = {"nlp": "language"}
NO_PARADIGM = ("nlp", "none", "language", "")

#: A file states no times, so all its models are of one instant.
FILE_TIME = "1970-01-01T00:00:00+00:00"

OWN_COLUMNS = ("model", "task", "score")
PUBLISHED_COLUMNS = ("model", "modality", "paradigm", "workbook_row", "score")


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault: a stable code, the line of the file (1 is the header), and what to do."""

    code: str
    row: int
    message: str


class ScoresFileRejected(InvalidRequest):
    """The file of scores has faults."""

    reason = "SCORES_FILE_REJECTED"

    def __init__(self, path: Path, findings: list[Finding]) -> None:
        self.path = path
        self.findings = tuple(findings)
        lines = (f"{path}:{found.row}: {found.code}: {found.message}" for found in findings)
        super().__init__("\n" + "\n".join(lines), code=findings[0].code, row=findings[0].row)


class _Fault(Exception):
    """A fault of the row at hand."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(slots=True)
class _Reader:
    catalogue: Catalogue
    convention: Convention
    find_task: Callable[[Mapping[str, str]], str]
    models: dict[str, dict[str, TaskScore]] = field(default_factory=dict)

    def take(self, row: Mapping[str, str | None]) -> None:
        if None in row or None in row.values():
            raise _Fault("WRONG_NUMBER_OF_COLUMNS", "the row and the header differ in length")
        cells = {name: (cell or "").strip() for name, cell in row.items()}
        if not cells["model"]:
            raise _Fault("MODEL_MISSING", "give the model's name")
        task_id = self.find_task(cells)
        scores = self.models.setdefault(cells["model"], {})
        if task_id in scores:
            raise _Fault("DUPLICATE_SCORE", f"{cells['model']} has a score of {task_id} already")
        scores[task_id] = TaskScore(
            value=self._value(cells["score"], task_id),
            n=_count(cells.get("n", "")),
            stderr=_error(cells.get("stderr", "")),
        )

    def _value(self, text: str, task_id: str) -> float:
        value = _number(text, "score")
        published = self.convention is Convention.PUBLISHED_2024_12
        if math.isinf(value) and not published:
            raise _Fault(
                "INFINITE_SCORE",
                "an infinity is how the published tables print unsupported: leave the row out, "
                f"or use the convention {Convention.PUBLISHED_2024_12}",
            )
        # A printed zero or infinity means unsupported there and need not be a legal value.
        unsupported = published and (value == 0.0 or math.isinf(value))
        metric = self.catalogue.metric_of(task_id)
        if not unsupported and not is_legal(metric, value):
            raise _Fault(
                "SCORE_OUT_OF_RANGE",
                f"{value} of {task_id}: {metric.name} is from {_bound(metric.minimum)} to "
                f"{_bound(metric.maximum)} ({metric.unit})",
            )
        return value


def read_scores(
    path: Path, catalogue: Catalogue, board_id: str, convention: Convention
) -> list[ModelEntry]:
    """One entry per model, in the file's order, as if each was submitted to ``board_id``.

    Raises ScoresFileRejected with up to ``MAX_FINDINGS`` faults; OSError where the file cannot be
    read.
    """
    rows = csv.DictReader(io.StringIO(_text(path), newline=""), strict=True)
    findings: list[Finding] = []
    reader = _Reader(catalogue, convention, _task_finder(path, rows.fieldnames or (), catalogue))
    try:
        for row in rows:
            try:
                reader.take(row)
            except _Fault as fault:
                findings.append(Finding(fault.code, rows.line_num, str(fault)))
                if len(findings) == MAX_FINDINGS:
                    break
    except csv.Error as error:
        findings.append(Finding("NOT_CSV", rows.line_num + 1, str(error)))
    if not reader.models and not findings:
        findings.append(Finding("NO_SCORES", 1, "the file has a header and no rows"))
    if findings:
        raise ScoresFileRejected(path, findings)
    return [
        ModelEntry(
            submission_id=model,
            model_name=model,
            organisation="",
            submitted_board_id=board_id,
            completed_at=FILE_TIME,
            scores=scores,
        )
        for model, scores in reader.models.items()
    ]


def _text(path: Path) -> str:
    if path.stat().st_size > MAX_FILE_BYTES:
        message = f"at most {MAX_FILE_BYTES} bytes are read"
        raise ScoresFileRejected(path, [Finding("FILE_TOO_LARGE", 1, message)])
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start) + 1
        raise ScoresFileRejected(path, [Finding("NOT_UTF8", row, "save it as UTF-8")]) from None


def _task_finder(
    path: Path, columns: object, catalogue: Catalogue
) -> Callable[[Mapping[str, str]], str]:
    names = set(columns) if isinstance(columns, (list, tuple)) else set()
    if names.issuperset(OWN_COLUMNS):
        return lambda cells: _by_id(cells["task"], catalogue)
    if names.issuperset(PUBLISHED_COLUMNS):
        keys = {
            (str(task.modality), str(task.paradigm), task.workbook_row): task.id
            for task in catalogue.tasks.values()
        }
        return lambda cells: _by_workbook_row(cells, keys)
    message = f"the header needs {','.join(OWN_COLUMNS)} or {','.join(PUBLISHED_COLUMNS)}"
    raise ScoresFileRejected(path, [Finding("COLUMNS_MISSING", 1, message)])


def _by_id(task_id: str, catalogue: Catalogue) -> str:
    if task_id not in catalogue.tasks:
        raise _Fault("UNKNOWN_TASK", f"{task_id!r} is no task of {catalogue.id}")
    return task_id


def _by_workbook_row(cells: Mapping[str, str], keys: Mapping[tuple[str, str, int], str]) -> str:
    modality = cells["modality"].casefold()
    paradigm = cells["paradigm"].casefold()
    key = (
        SPELLINGS.get(modality, modality),
        "none" if paradigm in NO_PARADIGM else paradigm,
        _count(cells["workbook_row"]) or 0,
    )
    if key not in keys:
        shown = ", ".join(cells[name] for name in ("modality", "paradigm", "workbook_row"))
        raise _Fault("UNKNOWN_TASK", f"no task is at {shown}")
    return keys[key]


def _number(text: str, column: str) -> float:
    # The published tables print U+221E; float() knows "inf" in every case.
    try:
        value = float(text.replace("∞", "inf"))
    except ValueError:
        raise _Fault("NOT_A_NUMBER", f"{text!r} in column {column}") from None
    if math.isnan(value):
        raise _Fault("NOT_A_NUMBER", f"NaN in column {column}: leave an unsupported task out")
    return value


def _count(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit()):
        raise _Fault("NOT_A_COUNT", f"{text!r} is not a whole number from 0")
    return int(text)


def _error(text: str) -> float | None:
    if not text:
        return None
    value = _number(text, "stderr")
    if value < 0.0 or math.isinf(value):
        raise _Fault("NOT_AN_ERROR", f"{text!r}: a standard error is finite and not negative")
    return value


def _bound(value: float | None) -> str:
    return "no bound" if value is None else f"{value:g}"
