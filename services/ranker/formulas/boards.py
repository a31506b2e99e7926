"""Which tasks are summed for which board: sparse membership matrices, built once per catalogue.

A *cell* is one mean over tasks: the comprehension tasks of one modality on one board, its
generation tasks, all tasks of a scope C or D board, or the language tasks of a board.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from general_level.catalogue.model import NON_LANGUAGE, Board, Modality, Paradigm, Scope, Task
from general_level.errors import CatalogueError
from services.ranker.formulas.mapping import Floats

#: Scopes whose boards have one paradigm: S2 and S3 are plain means over all their tasks.
PLAIN_SCOPES = (Scope.C, Scope.D)


@dataclass(frozen=True, slots=True)
class ModalityCells:
    """The two cells of one modality on a board with both paradigms; None: no such task there."""

    modality: Modality
    comprehension: int | None
    generation: int | None


@dataclass(frozen=True, slots=True)
class BoardCells:
    """Where the means of one board are.

    ``plain`` is set for scopes C and D; otherwise ``modalities`` holds one pair per non-language
    modality, and ``language`` the cell for S5 where the board has one.
    """

    board_id: str
    highest_level: int
    plain: int | None
    modalities: tuple[ModalityCells, ...]
    language: int | None


@dataclass(frozen=True, slots=True, eq=False)
class BoardArrays:
    """All boards as matrices: ``cells [cells, tasks]`` and ``members [boards, tasks]`` of 0 and 1.

    The products are sparse and add the tasks of a cell in catalogue order for every model alike:
    a dense product may add in another order at the edge of a block, and equal models would differ
    in the last bit.
    """

    boards: tuple[BoardCells, ...]
    cells: Any
    cell_sizes: Floats
    members: Any
    board_sizes: Floats

    def cell_sums(self, values: Floats) -> Floats:
        """Sums over each cell ``[cells, models]`` of values ``[models, tasks]``."""
        return np.asarray(self.cells @ np.ascontiguousarray(values.T))

    def cell_means(self, values: Floats) -> Floats:
        """Means over each cell, ``[cells, models]``."""
        return self.cell_sums(values) / self.cell_sizes[:, None]

    def board_sums(self, values: Floats) -> Floats:
        """Sums over each board's tasks ``[boards, models]`` of values ``[models, tasks]``."""
        return np.asarray(self.members @ np.ascontiguousarray(values.T))


def build_boards(boards: Sequence[Board], tasks: Mapping[str, Task]) -> BoardArrays:
    """Membership matrices of boards; columns follow the order of ``tasks``.

    CatalogueError for a board without tasks or with a task that ``tasks`` does not hold.
    """
    column = {task_id: index for index, task_id in enumerate(tasks)}
    rows: list[list[int]] = []

    def cell(members: Sequence[Task]) -> int | None:
        if not members:
            return None
        rows.append(sorted(column[task.id] for task in members))
        return len(rows) - 1

    described = []
    board_rows = []
    for board in boards:
        members = _tasks_of(board, tasks)
        board_rows.append(sorted(column[task.id] for task in members))
        described.append(_describe(board, members, cell))
    return BoardArrays(
        boards=tuple(described),
        cells=_membership(rows, len(column)),
        cell_sizes=np.asarray([len(row) for row in rows], dtype=np.float64),
        members=_membership(board_rows, len(column)),
        board_sizes=np.asarray([len(row) for row in board_rows], dtype=np.float64),
    )


def _describe(board: Board, members: Sequence[Task], cell: Any) -> BoardCells:
    if board.scope in PLAIN_SCOPES:
        return BoardCells(board.id, board.highest_level, cell(members), (), None)

    def part(modality: Modality, paradigm: Paradigm) -> int | None:
        found: int | None = cell(
            [task for task in members if task.modality is modality and task.paradigm is paradigm]
        )
        return found

    pairs = tuple(
        ModalityCells(
            modality,
            part(modality, Paradigm.COMPREHENSION),
            part(modality, Paradigm.GENERATION),
        )
        for modality in _modalities_of(board)
    )
    language = cell([task for task in members if task.modality is Modality.LANGUAGE])
    return BoardCells(board.id, board.highest_level, None, pairs, language)


def _modalities_of(board: Board) -> tuple[Modality, ...]:
    # Scope A divides by all four modalities, whichever tasks its selection holds.
    if board.scope is Scope.A:
        return NON_LANGUAGE
    present = tuple(modality for modality in NON_LANGUAGE if modality in board.modalities)
    if not present:
        raise CatalogueError("a board with levels above 3 needs a modality", board=board.id)
    return present


def _tasks_of(board: Board, tasks: Mapping[str, Task]) -> list[Task]:
    if not board.task_ids:
        raise CatalogueError("a board without tasks", board=board.id)
    missing = [task_id for task_id in board.task_ids if task_id not in tasks]
    if missing:
        raise CatalogueError(
            f"board {board.id} names {missing[0]}, which is no task", board=board.id
        )
    return [tasks[task_id] for task_id in board.task_ids]


def _membership(rows: Sequence[Sequence[int]], columns: int) -> Any:
    indices = np.asarray([column for row in rows for column in row], dtype=np.int32)
    starts = np.cumsum([0, *(len(row) for row in rows)]).astype(np.int32)
    ones = np.ones(len(indices), dtype=np.float64)
    return sparse.csr_array((ones, indices, starts), shape=(len(rows), columns))
