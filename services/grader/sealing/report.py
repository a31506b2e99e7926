"""What a sealing run could and could not match, as data and as a table; never an answer."""

from __future__ import annotations

import enum
from collections import Counter
from typing import Final

import msgspec

#: Columns of the printed table are cut to this width.
MAX_COLUMN_CHARS: Final = 60
#: Examples of items that one row of the printed table names; the report lists all.
SHOWN_ITEMS: Final = 3


class Trouble(enum.StrEnum):
    """Why something of the benchmark folder is not sealed, or needs a look."""

    UNKNOWN_FOLDER = "unknown-folder"
    AMBIGUOUS_FOLDER = "ambiguous-folder"
    CONTRADICTING_NAMES = "contradicting-names"
    TASK_TWICE = "task-twice"
    TASK_WITHOUT_DATA = "task-without-data"
    UNREADABLE_ANNOTATION = "unreadable-annotation"
    UNKNOWN_FIELD = "unknown-field"
    BAD_ITEM = "bad-item"
    BAD_ID = "bad-id"
    DUPLICATE_ID = "duplicate-id"
    NO_INPUT = "no-input"
    NO_OUTPUT = "no-output"
    WRONG_OUTPUT_TYPE = "wrong-output-type"
    KEY_WITHOUT_SCORE = "key-without-score"
    MISSING_MEDIA = "missing-media"
    MISSING_ANSWER_FILE = "missing-answer-file"
    UNSAFE_PATH = "unsafe-path"
    ANSWER_FILE_IS_INPUT = "answer-file-is-input"
    UNUSED_FILE = "unused-file"


EXPLANATIONS: Final = {
    Trouble.UNKNOWN_FOLDER: "no task of the catalogue has this name",
    Trouble.AMBIGUOUS_FOLDER: "several tasks of the catalogue have this name",
    Trouble.CONTRADICTING_NAMES: "the folder and the annotation name different tasks",
    Trouble.TASK_TWICE: "another folder is the same task",
    Trouble.TASK_WITHOUT_DATA: "the catalogue has this task, the benchmark no item of it",
    Trouble.UNREADABLE_ANNOTATION: "annotation.json is missing or has another form",
    Trouble.UNKNOWN_FIELD: "a field besides id, input and output is not handed to labs",
    Trouble.BAD_ITEM: "the item is no object of strict JSON",
    Trouble.BAD_ID: "the id is no integer and no printable text",
    Trouble.DUPLICATE_ID: "an item before has this id; the first one counts",
    Trouble.NO_INPUT: "the item has no input",
    Trouble.NO_OUTPUT: "the item has no output",
    Trouble.WRONG_OUTPUT_TYPE: "the output is not what the task's metric compares with",
    Trouble.KEY_WITHOUT_SCORE: "the outputs together hold nothing that the metric can measure",
    Trouble.MISSING_MEDIA: "the input names a file that is not there",
    Trouble.MISSING_ANSWER_FILE: "the output names a file that is not there",
    Trouble.UNSAFE_PATH: "the path leaves the task's folder, or is a link or the annotation",
    Trouble.ANSWER_FILE_IS_INPUT: "an output's file is also an input, so labs will see it",
    Trouble.UNUSED_FILE: "no input and no output names this file",
}


class Problem(msgspec.Struct, frozen=True):
    """One thing to look at.

    ``folder`` is relative to the benchmark; ``path`` names a file or a field; ``item_id`` is empty
    where the id is the problem, then ``row`` (0-based) tells the place. ``items`` is how many items
    are kept out of the bundle by it.
    """

    trouble: Trouble
    folder: str = ""
    task_id: str = ""
    item_id: str = ""
    row: int | None = None
    path: str = ""
    items: int = 0


class SealedTask(msgspec.Struct, frozen=True):
    """One task that is in the bundle."""

    task_id: str
    folder: str
    item_count: int
    input_files: int
    answer_files: int


class SealReport(msgspec.Struct, frozen=True):
    """The whole account: ``items_seen`` is ``items_sealed`` plus the items of the problems."""

    catalogue_id: str
    key_version: str
    written: bool
    items_seen: int
    items_sealed: int
    board_ids: list[str]
    tasks: list[SealedTask]
    problems: list[Problem]

    @property
    def complete(self) -> bool:
        """Whether everything of the folder and of the catalogue found its place."""
        return not self.problems

    def to_json(self) -> bytes:
        """The report file."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"

    def table(self) -> str:
        """The problems grouped by kind and folder, for people; empty where there are none."""
        groups: dict[tuple[Trouble, str], list[Problem]] = {}
        for problem in self.problems:
            # Tasks without data have no folder of their own: one row for all of them.
            groups.setdefault((problem.trouble, problem.folder), []).append(problem)
        rows = [("problem", "where", "count", "for example")]
        for (trouble, folder), group in sorted(groups.items()):
            names = [_name(problem) for problem in group]
            examples = ", ".join([name for name in names if name][:SHOWN_ITEMS])
            rows.append((trouble.value, folder or "-", str(len(group)), examples))
        if len(rows) == 1:
            return ""
        rows = [tuple(cell[:MAX_COLUMN_CHARS] for cell in row) for row in rows]  # type: ignore[misc]
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
        found = Counter(problem.trouble for problem in self.problems)
        lines += ["", *(f"{trouble.value}: {EXPLANATIONS[trouble]}" for trouble in sorted(found))]
        return "\n".join(lines)


def _name(problem: Problem) -> str:
    if problem.item_id:
        return f"item {problem.item_id}"
    if problem.row is not None:
        return f"row {problem.row}"
    return problem.path or problem.task_id
