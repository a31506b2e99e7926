"""The arrays of one catalogue, one reference list and some boards: what a recomputation needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from general_level.catalogue.model import Board, Catalogue
from services.ranker.formulas.boards import BoardArrays, build_boards
from services.ranker.formulas.mapping import TaskArrays


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """``column`` gives each task's column; ``tasks`` and ``boards`` are the arrays over them."""

    column: Mapping[str, int]
    tasks: TaskArrays
    boards: BoardArrays


def build_plan(
    catalogue: Catalogue, reference_list_id: str | None, boards: Sequence[Board]
) -> Plan:
    """Arrays for all tasks of a catalogue, in its order; models and references join by task id.

    KeyError for an unknown reference list; CatalogueError for an inconsistent board.
    """
    references = catalogue.references(reference_list_id).references
    tasks = list(catalogue.tasks.values())
    metrics = [catalogue.metrics[task.metric_id] for task in tasks]
    groups: dict[tuple[str, str], int] = {}
    arrays = TaskArrays.build(
        ids=[task.id for task in tasks],
        reference=[references[task.id].score for task in tasks],
        direction=[metric.direction for metric in metrics],
        mapping=[metric.mapping for metric in metrics],
        scale=[metric.scale for metric in metrics],
        group=[groups.setdefault((t.modality, t.paradigm), len(groups)) for t in tasks],
    )
    return Plan(
        column={task.id: index for index, task in enumerate(tasks)},
        tasks=arrays,
        boards=build_boards(boards, catalogue.tasks),
    )
