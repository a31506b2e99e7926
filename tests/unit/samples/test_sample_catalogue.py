"""The catalogue `sample`: complete, and in General-Bench's own words."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from general_level.catalogue import (
    NON_LANGUAGE,
    Catalogue,
    Grading,
    Modality,
    Paradigm,
    Scope,
    load,
)
from samples.registry import TASKS
from samples.specialists import SPECIALISTS


def test_every_modality_and_paradigm_has_at_least_two_tasks_and_language_four(
    catalogue: Catalogue,
) -> None:
    counts = Counter((task.modality, task.paradigm) for task in catalogue.tasks.values())
    language = counts.pop((Modality.LANGUAGE, Paradigm.NONE))
    assert language >= 4
    wanted = {(m, p) for m in NON_LANGUAGE for p in Paradigm if p is not Paradigm.NONE}
    assert set(counts) == wanted
    assert min(counts.values()) >= 2


def test_boards_are_those_of_general_bench_with_skills_of_its_own(catalogue: Catalogue) -> None:
    general = load()
    kept = {board.id for board in general.boards.values() if board.scope is not Scope.D}
    assert {b.id for b in catalogue.boards.values() if b.scope is not Scope.D} == kept
    assert not catalogue.skills.keys() & general.skills.keys()
    assert len(catalogue.boards["A-quick"].task_ids) < len(catalogue.boards["A-full"].task_ids)


def test_every_metric_means_what_it_means_in_general_bench(catalogue: Catalogue) -> None:
    general = load()
    for metric in catalogue.metrics.values():
        assert metric == replace(general.metrics[metric.id], evidence="")


def test_one_task_is_rated_and_one_has_no_scorer_yet(catalogue: Catalogue) -> None:
    gradings = Counter(catalogue.metric_of(task_id).grading for task_id in catalogue.tasks)
    assert gradings[Grading.RATINGS] == 1
    assert gradings[Grading.PLANNED] == 1


def test_every_task_has_a_maker_and_a_specialist(catalogue: Catalogue) -> None:
    assert list(TASKS) == list(catalogue.tasks) == list(SPECIALISTS)
