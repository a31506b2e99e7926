"""In what two versions of a benchmark, or two lists of references, differ."""

from __future__ import annotations

from dataclasses import dataclass

from general_level.catalogue.model import Catalogue, Reference, ReferenceList


@dataclass(frozen=True, slots=True)
class ReferenceDifference:
    """A task whose reference is another one; both raw, in the metric's unit."""

    task_id: str
    first: Reference
    second: Reference


@dataclass(frozen=True, slots=True)
class CatalogueDifferences:
    """What the newer of two versions has otherwise; ids in the order of its files.

    ``references`` are by list, of the lists and tasks that both versions have.
    """

    added_tasks: tuple[str, ...]
    removed_tasks: tuple[str, ...]
    other_metrics: tuple[str, ...]
    references: tuple[tuple[str, tuple[ReferenceDifference, ...]], ...]


def compare_lists(first: ReferenceList, second: ReferenceList) -> tuple[ReferenceDifference, ...]:
    """The tasks of both lists with another reference in the second, or another printed figure."""
    return tuple(
        ReferenceDifference(task_id, reference, second.references[task_id])
        for task_id, reference in first.references.items()
        if task_id in second.references and _differ(reference, second.references[task_id])
    )


def _differ(first: Reference, second: Reference) -> bool:
    return first.score != second.score or _figure(first) != _figure(second)


def _figure(reference: Reference) -> float | str:
    """The printed figure: 5.6 is 5.60, and 0.55 is not 55.00."""
    try:
        return float(reference.printed or reference.score)
    except ValueError:
        return reference.printed


def compare_catalogues(older: Catalogue, newer: Catalogue) -> CatalogueDifferences:
    """What was added, taken away, and is graded by another metric or against another reference."""

    def graded(catalogue: Catalogue, task_id: str) -> tuple[str, int]:
        metric = catalogue.metric_of(task_id)
        return metric.id, metric.version

    both = [task_id for task_id in newer.tasks if task_id in older.tasks]
    lists = (
        (list_id, compare_lists(older.reference_lists[list_id], references))
        for list_id, references in newer.reference_lists.items()
        if list_id in older.reference_lists
    )
    return CatalogueDifferences(
        added_tasks=tuple(task_id for task_id in newer.tasks if task_id not in older.tasks),
        removed_tasks=tuple(task_id for task_id in older.tasks if task_id not in newer.tasks),
        other_metrics=tuple(t for t in both if graded(older, t) != graded(newer, t)),
        references=tuple((list_id, found) for list_id, found in lists if found),
    )
