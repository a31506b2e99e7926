"""From a catalogue's folder to a ``Catalogue``, or to everything that is wrong with the folder.

A folder holds ``catalogue.toml`` (title, date, reference lists, expected counts),
``metrics.toml``, ``boards.toml``, ``skills.csv``, ``tasks.csv``, ``references/<list>.csv`` and,
where there is any, ``acknowledgements.csv``. The format is described in
``docs/developers/catalogue.md``.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from general_level.catalogue import boards
from general_level.catalogue.acknowledgements import read_acknowledgements
from general_level.catalogue.entries import (
    ID,
    date_of,
    insert,
    read_metrics,
    read_skills,
    read_tasks,
)
from general_level.catalogue.mapping import is_legal
from general_level.catalogue.model import (
    Board,
    Catalogue,
    Metric,
    Reference,
    ReferenceList,
    Skill,
    Task,
)
from general_level.catalogue.tables import (
    WHOLE_FILE,
    Problems,
    Row,
    read_csv,
    read_entries,
    read_toml,
)

CATALOGUE_FILE: Final = "catalogue.toml"
BOARDS_FILE: Final = "boards.toml"
REFERENCES_FOLDER: Final = "references"
_HEAD_KEYS: Final = (
    "id",
    "title",
    "date",
    "default_reference_list",
    "reference_lists",
    "follows",
    "expects",
)
_REFERENCE_COLUMNS: Final = ("task", "score", "source", "date")


def load(folder: Path | None = None, *, name: str = "general-bench") -> Catalogue:
    """The catalogue in ``folder``, or the package's own of this ``name``; read once per process.

    Raises CatalogueError with all problems at once: ``file``, ``row`` and ``problem`` of the
    first, and ``problems`` with a line for each.
    """
    return _load_folder(folder.resolve()) if folder is not None else _load_named(name)


@functools.cache
def _load_folder(folder: Path) -> Catalogue:
    return read(folder)


@functools.cache
def _load_named(name: str) -> Catalogue:
    return read(files("general_level.catalogue") / "data" / name)


def read(folder: Traversable) -> Catalogue:
    """Like ``load``, but always from the files."""
    problems = Problems()
    head = Row(CATALOGUE_FILE, WHOLE_FILE, read_toml(folder, CATALOGUE_FILE, problems), problems)
    metrics = read_metrics(folder, problems)
    skills = read_skills(folder, problems)
    tasks = read_tasks(folder, problems, metrics, skills)
    lists = _reference_lists(folder, problems, metrics, tasks)
    all_boards: dict[str, Board] = {}
    for row in read_entries(folder, BOARDS_FILE, "boards", problems):
        for board in boards.resolve(row, tasks, skills):
            insert(row, all_boards, board.id, board)
    head.known(_HEAD_KEYS)
    default = head.text("default_reference_list")
    if default and default not in lists:
        head.wrong(f"default_reference_list {default} is not a reference list")
    catalogue = Catalogue(
        id=head.text("id"),
        title=head.text("title"),
        date=date_of(head),
        metrics=MappingProxyType(metrics),
        skills=MappingProxyType(skills),
        tasks=MappingProxyType(tasks),
        boards=MappingProxyType(all_boards),
        reference_lists=MappingProxyType(lists),
        default_reference_list=default,
        acknowledgements=read_acknowledgements(folder, problems, {*tasks, *skills}),
        follows=_follows(head),
    )
    _check_expected(head, catalogue)
    problems.raise_if_any()
    return catalogue


def _follows(head: Row) -> str:
    """The name of the version before, which must be one of the package's own."""
    name = head.text("follows", "")
    if name and not (
        ID.fullmatch(name) and (files("general_level.catalogue") / "data" / name).is_dir()
    ):
        head.wrong(f"follows names {name!r}, which is no shipped catalogue")
        return ""
    return name


def _reference_lists(
    folder: Traversable,
    problems: Problems,
    metrics: Mapping[str, Metric],
    tasks: Mapping[str, Task],
) -> dict[str, ReferenceList]:
    lists: dict[str, ReferenceList] = {}
    for row in read_entries(folder, CATALOGUE_FILE, "reference_lists", problems):
        row.known(("id", "title", "date"))
        list_id = row.text("id")
        if not ID.fullmatch(list_id):
            row.wrong(f"id {list_id!r} is not words of letters and digits joined by hyphens")
            continue
        found = _references(folder, problems, list_id, metrics, tasks)
        listed = ReferenceList(list_id, row.text("title"), date_of(row), MappingProxyType(found))
        insert(row, lists, list_id, listed)
    return lists


def _references(
    folder: Traversable,
    problems: Problems,
    list_id: str,
    metrics: Mapping[str, Metric],
    tasks: Mapping[str, Task],
) -> dict[str, Reference]:
    file = f"{REFERENCES_FOLDER}/{list_id}.csv"
    references: dict[str, Reference] = {}
    for row in read_csv(folder, file, problems, _REFERENCE_COLUMNS, ("printed",)):
        task = tasks.get(row.text("task"))
        if task is None:
            row.wrong(f"unknown task {row.text('task')!r}")
            continue
        if task.id in references:
            row.wrong(f"second reference of task {task.id}")
            continue
        if not row.text("score"):
            continue
        score = row.number_of("score")
        if score is None:
            continue
        metric = metrics.get(task.metric_id)
        if metric is not None and not is_legal(metric, score):
            row.wrong(f"reference {score} is outside the bounds of metric {metric.id}")
        source, printed = row.text("source"), row.text("printed", "")
        references[task.id] = Reference(task.id, score, source, date_of(row), printed)
    for task_id in tasks:
        if task_id not in references:
            problems.add(file, WHOLE_FILE, f"no reference of task {task_id}")
    return references


def _check_expected(head: Row, catalogue: Catalogue) -> None:
    """What ``[expects]`` says against what is there; a count that it omits is not checked."""
    expects = head.cells.get("expects", {})
    if not isinstance(expects, dict):
        head.wrong("expects must be a table")
        return
    group: Callable[[Task | Skill], str] = lambda item: f"{item.modality}/{item.paradigm}"  # noqa: E731
    totals: dict[str, int] = {
        "tasks": len(catalogue.tasks),
        "skills": len(catalogue.skills),
        "metrics": len(catalogue.metrics),
        "boards": len(catalogue.boards),
    }
    parts: dict[str, Iterable[str]] = {
        "tasks_of": map(group, catalogue.tasks.values()),
        "skills_of": map(group, catalogue.skills.values()),
        "boards_of": (board.scope for board in catalogue.boards.values()),
    }
    for key, expected in expects.items():
        if key in totals:
            _compare(head, key, expected, totals[key])
        elif key in parts and isinstance(expected, dict):
            counted: Mapping[Any, int] = Counter(parts[key])
            for part in sorted({*expected, *counted}):
                _compare(head, f"{key} {part}", expected.get(part, 0), counted.get(part, 0))
        else:
            head.wrong(f"unknown expectation {key}")


def _compare(head: Row, what: str, expected: object, found: int) -> None:
    if expected != found:
        head.wrong(f"expects {what} = {expected}, found {found}")
