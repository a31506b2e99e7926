"""From the selectors of ``boards.toml`` to boards with their tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from general_level.catalogue.model import Board, Modality, Paradigm, Scope, Skill, Task
from general_level.catalogue.tables import Row

#: The levels that a board can award: level 1 is a specialist's, and there is none above 5.
LEVELS: Final = range(2, 6)

_KEYS: Final = (
    "id",
    "name",
    "scope",
    "paradigm",
    "highest_level",
    "modalities",
    "paradigms",
    "skills",
    "first_of_each_skill",
    "for_each",
)


def resolve(row: Row, tasks: Mapping[str, Task], skills: Mapping[str, Skill]) -> Iterator[Board]:
    """The board of one entry, or one board per skill where it says ``for_each = "skill"``."""
    row.known(_KEYS)
    for_each = row.text("for_each", "")
    if not for_each:
        board = _board(row, tasks, skills, None)
        if board is not None:
            yield board
    elif for_each == "skill":
        of_skill: dict[str, dict[str, Task]] = {skill_id: {} for skill_id in skills}
        for task in tasks.values():
            of_skill.get(task.skill_id, {})[task.id] = task
        for skill in skills.values():
            board = _board(row, of_skill[skill.id], skills, skill)
            if board is not None:
                yield board
    else:
        row.wrong(f'for_each must be "skill", not {for_each!r}')


def _board(
    row: Row, tasks: Mapping[str, Task], skills: Mapping[str, Skill], skill: Skill | None
) -> Board | None:
    board_id, name = row.text("id"), row.text("name")
    if skill is not None:
        board_id = board_id.replace("{skill}", skill.id)
        name = name.replace("{skill_name}", skill.name)
    scope = row.choice("scope", Scope)
    highest = row.integer("highest_level")
    if highest not in LEVELS:
        row.wrong(f"highest_level must be {LEVELS[0]} to {LEVELS[-1]}, not {highest}")
    selected = _select(row, tasks, skills)
    if not selected:
        row.wrong(f"the selectors of board {board_id} match no task")
    if scope is None or not selected:
        return None
    present = {task.modality for task in selected}
    return Board(
        id=board_id,
        name=name,
        scope=scope,
        task_ids=tuple(task.id for task in selected),
        modalities=tuple(modality for modality in Modality if modality in present),
        paradigm=_paradigm(row, scope, selected),
        skill_id=skill.id if skill else None,
        highest_level=highest,
    )


def _select(row: Row, tasks: Mapping[str, Task], skills: Mapping[str, Skill]) -> list[Task]:
    modalities = row.choices("modalities", Modality)
    paradigms = row.choices("paradigms", Paradigm)
    named = row.words("skills")
    for unknown in (name for name in named if name not in skills):
        row.wrong(f"unknown skill {unknown}")
    selected = [
        task
        for task in tasks.values()
        if ("modalities" not in row.cells or task.modality in modalities)
        and ("paradigms" not in row.cells or task.paradigm in paradigms)
        and ("skills" not in row.cells or task.skill_id in named)
    ]
    _each_matches(row, selected)
    first = row.cells.get("first_of_each_skill", False)
    if not isinstance(first, bool):
        row.wrong(f"first_of_each_skill must be true or false, not {first!r}")
    if first is True:
        firsts: dict[str, Task] = {}
        for task in selected:
            firsts.setdefault(task.skill_id, task)
        return list(firsts.values())
    return selected


def _each_matches(row: Row, selected: list[Task]) -> None:
    """Every word of a selector must bring a task: a word that brings none is a slip."""
    present: dict[str, set[str]] = {
        "modalities": {task.modality for task in selected},
        "paradigms": {task.paradigm for task in selected},
        "skills": {task.skill_id for task in selected},
    }
    if not selected:
        return
    for key, found in present.items():
        for word in row.words(key):
            if word not in found:
                row.wrong(f"{key} {word!r} matches no task")


def _paradigm(row: Row, scope: Scope, selected: list[Task]) -> Paradigm:
    """As declared; otherwise the one paradigm of a C or D board's tasks."""
    declared = row.choice("paradigm", Paradigm, Paradigm.NONE)
    if "paradigm" in row.cells:
        return declared or Paradigm.NONE
    paradigms = {task.paradigm for task in selected}
    if scope in (Scope.A, Scope.B) or len(paradigms) > 1:
        return Paradigm.NONE
    return paradigms.pop()
