"""The catalogue `sample`: complete, and in General-Bench's own words."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from general_level.catalogue import (
    NON_LANGUAGE,
    AnswerKind,
    Catalogue,
    Grading,
    Modality,
    Paradigm,
    Scope,
    load,
)
from samples.registry import TASKS
from samples.specialists import SPECIALISTS
from services.grader.pipeline import is_served
from services.grader.weights.manifest import load_manifest

#: What is added to the definition of a metric that is planned here and not in General-Bench.
WAITS = "Waits for the weights of its network: shown as unscored until a grader has them."


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
        same = replace(general.metrics[metric.id], evidence="")
        if metric.grading is Grading.PLANNED:
            same = replace(same, grading=Grading.PLANNED, definition=f"{same.definition} {WAITS}")
        assert metric == same


def test_every_kind_of_answer_is_asked_for(catalogue: Catalogue) -> None:
    assert {task.answer_kind for task in catalogue.tasks.values()} == set(AnswerKind)
    graded = {
        task.answer_kind
        for task in catalogue.tasks.values()
        if catalogue.metric_of(task.id).grading is Grading.AUTOMATIC
    }
    # Its one metric in General-Bench needs a network.
    assert set(AnswerKind) - graded == {AnswerKind.MOTION}


def test_only_metrics_of_networks_wait_and_one_in_each_modality(catalogue: Catalogue) -> None:
    manifest = load_manifest()
    for metric in catalogue.metrics.values():
        assert (metric.grading is Grading.PLANNED) is bool(manifest.needed_by(metric.id))
    waiting = [
        task.modality
        for task in catalogue.tasks.values()
        if catalogue.metric_of(task.id).grading is Grading.PLANNED
    ]
    assert sorted(waiting) == sorted(NON_LANGUAGE)


def test_a_grader_serves_every_other_task(catalogue: Catalogue) -> None:
    for task in catalogue.tasks.values():
        planned = catalogue.metric_of(task.id).grading is Grading.PLANNED
        assert is_served(catalogue, task) is not planned


def test_one_task_is_rated(catalogue: Catalogue) -> None:
    gradings = Counter(catalogue.metric_of(task_id).grading for task_id in catalogue.tasks)
    assert gradings[Grading.RATINGS] == 1


def test_every_task_has_a_maker_and_a_specialist(catalogue: Catalogue) -> None:
    assert list(TASKS) == list(catalogue.tasks) == list(SPECIALISTS)
