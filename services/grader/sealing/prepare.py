"""One task folder of the benchmark, sorted: what labs get, what is sealed, what is wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from general_level.catalogue import Task
from general_level.catalogue.limits import MAX_ITEM_ID_CHARS, MAX_ITEMS_PER_TASK
from general_level.dsse import strict_json
from services.grader.keys import KeyItem
from services.grader.sealing.answers import NoAnswer, WrongAnswer, accepted_answers, holds_files
from services.grader.sealing.layout import ANNOTATION_NAME, TaskFolder, files_below
from services.grader.sealing.media import named_files
from services.grader.sealing.proof import can_score, prove
from services.grader.sealing.report import Problem, Trouble

MAX_ANNOTATION_BYTES: Final = 1024 * 1024 * 1024

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_FIELDS: Final = {"task", "type", "data"}
_ITEM_FIELDS: Final = {"id", "input", "output"}


@dataclass(frozen=True, slots=True, repr=False)
class Annotation:
    """A decoded annotation.json: its names and its items as they are, answers among them."""

    task: str
    type: str
    data: list[Any]
    unknown_fields: tuple[str, ...]


@dataclass(slots=True, repr=False)
class PreparedTask:
    """A task that can be sealed. ``inputs`` and ``keys`` are [n], aligned, in the file's order.

    ``input_files`` and ``answer_files`` are relative to the folder. Its repr shows no content.
    """

    task: Task
    folder: TaskFolder
    annotation_task: str
    annotation_type: str
    inputs: list[dict[str, Any]] = field(default_factory=list)
    keys: list[KeyItem] = field(default_factory=list)
    input_files: set[str] = field(default_factory=set)
    answer_files: set[str] = field(default_factory=set)

    def __repr__(self) -> str:
        return f"PreparedTask({self.task.id}, {len(self.keys)} items)"


def read_annotation(folder: Path) -> Annotation | None:
    """The annotation of a task folder; None where it is absent or has another form."""
    path = folder / ANNOTATION_NAME
    try:
        if path.is_symlink() or path.stat().st_size > MAX_ANNOTATION_BYTES:
            return None
        content = strict_json(path.read_bytes().removeprefix(_BYTE_ORDER_MARK))
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or not isinstance(content.get("data"), list):
        return None
    names = [content.get("task", ""), content.get("type", "")]
    if not all(isinstance(name, str) for name in names):
        return None
    unknown = tuple(sorted(content.keys() - _FIELDS))
    return Annotation(names[0], names[1], content["data"], unknown)


def prepare(
    task: Task, folder: TaskFolder, annotation: Annotation
) -> tuple[PreparedTask, list[Problem]]:
    """Sorts the items of one task folder; every item is in the result or in a problem."""
    return _Preparation(task, folder, annotation).run()


class _Preparation:
    def __init__(self, task: Task, folder: TaskFolder, annotation: Annotation) -> None:
        self._task = task
        self._folder = folder
        self._annotation = annotation
        self._result = PreparedTask(task, folder, annotation.task, annotation.type)
        self._problems: list[Problem] = []
        self._named: set[str] = set()  # by any item, also by one that is kept out
        self._seen: set[str] = set()

    def run(self) -> tuple[PreparedTask, list[Problem]]:
        for name in self._annotation.unknown_fields:
            self._report(Trouble.UNKNOWN_FIELD, path=name)
        unknown: set[str] = set()
        for row, item in enumerate(self._annotation.data):
            if isinstance(item, dict):
                unknown |= item.keys() - _ITEM_FIELDS
            self._take(row, item)
        for name in sorted(unknown):
            self._report(Trouble.UNKNOWN_FIELD, path=f"data[].{name}")
        if self._has_files and not self._is_key():
            self._report(Trouble.KEY_WITHOUT_SCORE, items=len(self._result.keys))
            self._result.inputs, self._result.keys = [], []
        for path in sorted(self._result.input_files & self._result.answer_files):
            self._report(Trouble.ANSWER_FILE_IS_INPUT, path=path)
        for path in files_below(self._folder.path):
            if path != ANNOTATION_NAME and path not in self._named:
                self._report(Trouble.UNUSED_FILE, path=path)
        return self._result, self._problems

    def _take(self, row: int, item: object) -> None:
        """Puts one item into the result, or says why not: at most one problem keeps it out."""
        if not isinstance(item, Mapping) or row >= MAX_ITEMS_PER_TASK:
            self._keep_out(Trouble.BAD_ITEM, row=row)
            return
        item_id = _item_id(item.get("id"))
        if item_id is None:
            self._keep_out(Trouble.BAD_ID, row=row)
            return
        inputs = named_files(self._folder.path, item.get("input"))
        outputs = named_files(self._folder.path, item.get("output") if self._has_files else None)
        self._named |= inputs.found | outputs.found | inputs.unsafe | outputs.unsafe
        if item_id in self._seen:
            self._keep_out(Trouble.DUPLICATE_ID, item_id, row=row)
            return
        self._seen.add(item_id)
        trouble: Trouble | None = None
        references: list[Any] = []
        if item.get("input") is None:
            trouble = Trouble.NO_INPUT
        elif not _is_text(item["input"]):
            trouble = Trouble.BAD_ITEM
        elif inputs.unsafe or outputs.unsafe:
            trouble = Trouble.UNSAFE_PATH
        elif inputs.missing:
            trouble = Trouble.MISSING_MEDIA
        elif outputs.missing:
            trouble = Trouble.MISSING_ANSWER_FILE
        else:
            references, trouble = self._accepted(item.get("output"), frozenset(outputs.found))
        if trouble:
            missing = inputs.missing if trouble is Trouble.MISSING_MEDIA else ()
            self._keep_out(trouble, item_id, row=row, path=", ".join(sorted(missing)))
            return
        self._result.inputs.append({"id": item_id, "input": item["input"]})
        self._result.keys.append(KeyItem(item_id, references))
        self._result.input_files |= inputs.found
        self._result.answer_files |= outputs.found

    def _accepted(self, output: object, files: frozenset[str]) -> tuple[list[Any], Trouble | None]:
        """The accepted answers of an output, each proved; or why there are none."""
        try:
            references = accepted_answers(self._task, output)
            if self._has_files:
                prove(self._task, references, self._folder.path, files)
        except NoAnswer:
            return [], Trouble.NO_OUTPUT
        except WrongAnswer:
            return [], Trouble.WRONG_OUTPUT_TYPE
        return references, None

    def _is_key(self) -> bool:
        files = frozenset(self._result.answer_files)
        return can_score(self._task, self._result.keys, self._folder.path, files)

    @property
    def _has_files(self) -> bool:
        return holds_files(self._task)

    def _keep_out(self, trouble: Trouble, item_id: str = "", *, row: int, path: str = "") -> None:
        self._report(trouble, item_id=item_id, row=row, path=path, items=1)

    def _report(
        self,
        trouble: Trouble,
        *,
        item_id: str = "",
        row: int | None = None,
        path: str = "",
        items: int = 0,
    ) -> None:
        self._problems.append(
            Problem(
                trouble=trouble,
                folder=self._folder.relative,
                task_id=self._task.id,
                item_id=item_id,
                row=row,
                path=path,
                items=items,
            )
        )


def _item_id(value: object) -> str | None:
    """The id as a string; None for what is neither an integer nor a short printable text."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str) and 0 < len(value) <= MAX_ITEM_ID_CHARS and value.isprintable():
        return value
    return None


def _is_text(value: object) -> bool:
    """Whether JSON of it is valid UTF-8: a lone surrogate is not."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
