"""The published benchmark as our data: what is counted in print, and what is easily got wrong."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from general_level import catalogue
from general_level.catalogue import (
    Catalogue,
    Direction,
    Grading,
    Modality,
    Paradigm,
    Scope,
    ScoreMapping,
)
from services.grader.media.table import BINDINGS
from services.grader.metrics.table import TEXT_METRICS
from services.grader.pipeline import is_served


@pytest.fixture(scope="module")
def bench() -> Catalogue:
    return catalogue.load()


def test_tasks_and_skills_are_as_many_as_published(bench: Catalogue) -> None:
    tasks = Counter((task.modality, task.paradigm) for task in bench.tasks.values())
    skills = Counter((skill.modality, skill.paradigm) for skill in bench.skills.values())
    groups = [
        (modality, paradigm)
        for modality in catalogue.NON_LANGUAGE
        for paradigm in (Paradigm.COMPREHENSION, Paradigm.GENERATION)
    ] + [(Modality.LANGUAGE, Paradigm.NONE)]
    assert [tasks[group] for group in groups] == [271, 45, 126, 46, 24, 20, 30, 22, 115]
    assert [skills[group] for group in groups] == [40, 15, 20, 6, 9, 11, 13, 9, 22]
    assert (len(bench.tasks), len(bench.skills)) == (699, 145)


def test_every_skill_has_a_task(bench: Catalogue) -> None:
    assert {task.skill_id for task in bench.tasks.values()} == set(bench.skills)


def test_the_number_in_an_id_is_the_workbook_row(bench: Catalogue) -> None:
    for task in bench.tasks.values():
        side = "" if task.paradigm is Paradigm.NONE else f"{task.paradigm[0]}-"
        assert task.id == f"{task.modality}-{side}{task.workbook_row:03d}"


def test_rows_of_a_group_have_no_gap(bench: Catalogue) -> None:
    rows: dict[tuple[Modality, Paradigm], list[int]] = {}
    for task in bench.tasks.values():
        rows.setdefault((task.modality, task.paradigm), []).append(task.workbook_row)
    assert all(found == list(range(1, len(found) + 1)) for found in rows.values())


def test_the_lists_differ_in_72_printed_figures_63_of_them_language(bench: Catalogue) -> None:
    paper, workbook = bench.references("paper"), bench.references("workbook")
    different = [
        task
        for task in bench.tasks.values()
        if float(paper.references[task.id].printed) != float(workbook.references[task.id].printed)
    ]
    language = [task for task in different if task.modality is Modality.LANGUAGE]
    higher = [
        task
        for task in language
        if paper.references[task.id].score > workbook.references[task.id].score
    ]
    assert (len(different), len(language), len(higher)) == (72, 63, 61)


def test_every_reference_has_a_source_and_a_date(bench: Catalogue) -> None:
    assert bench.default_reference_list == "paper"
    sources = {
        list_id: {(found.source, found.date) for found in listed.references.values()}
        for list_id, listed in bench.reference_lists.items()
    }
    assert sources == {
        "paper": {("paper, arXiv 2505.04620", "2025-05")},
        "workbook": {("published scorer's workbook, references/sota_result.xlsx", "2024-12")},
    }


@pytest.mark.parametrize(
    ("task_id", "metric", "specialist", "paper", "workbook"),
    [
        ("image-c-001", "accuracy", "CLIP", 21.70, 21.7),
        ("image-c-048", "depth-rms", "AdaBins", 36.40, 36.4),
        ("image-c-164", "mae", "CLIP", 17.91, 17.91),  # Mall: the paper's label is Acc
        ("image-c-209", "matting-mse", "MAM", 28.90, 28.9),
        ("image-c-228", "accuracy", "CaSED", 16.70, 16.7),  # vehicles, numbered 21 of the skill
        ("image-c-229", "accuracy", "CaSED", 20.67, 20.67),  # trash, numbered 20
        ("image-c-234", "accuracy", "CLIP", 77.90, 77.9),  # garbage, numbered 9
        ("image-g-013", "ms-ssim", "FDRNet", 0.54, 0.542),
        ("video-c-010", "contains-accuracy", "Aria", 100.0, 100.0),
        ("video-c-006", "bleu-1-corpus", "Aria", 25.70, 25.7),
        ("audio-g-005", "wer-speech", "USLM", 5.60, 5.6),  # percent, not a fraction
        ("3d-c-012", "ap50-points", "SphericalMask", 81.20, 81.2),
        ("3d-c-013", "rte", "CT-ICP", 0.55, 0.55),  # the paper prints 55.00
        ("3d-g-003", "chamfer-distance", "ConvONet", 4.93e-05, 4.93e-05),
        ("3d-g-021", "chamfer-distance", "open3d", 6540.02, 6540.01724546398),
        ("3d-g-022", "motion-fid", "MoMask", 0.23, 0.228),
        ("language-037", "token-f1", "Flan-T5-Large", 83.33, 3.33),
        ("language-050", "rouge-1", "Flan-T5-Large", 72.83, 2.83),
        ("language-061", "rmse", "TimesFm-1.0-200m", 0.31, 2.31),
        ("language-115", "micro-f1", "Flan-T5-Large", 92.43, 92.43),
    ],
)
def test_rows_that_are_easily_got_wrong(
    bench: Catalogue, task_id: str, metric: str, specialist: str, paper: float, workbook: float
) -> None:
    task = bench.tasks[task_id]
    assert (task.metric_id, task.specialist) == (metric, specialist)
    assert bench.references("paper").references[task_id].score == paper
    assert bench.references("workbook").references[task_id].score == workbook


def test_the_rescaled_figure_keeps_what_was_printed(bench: Catalogue) -> None:
    assert bench.references("paper").references["3d-c-013"].printed == "55.00"


def test_29_tasks_have_different_metrics_in_the_two_sources(bench: Catalogue) -> None:
    families = {
        "ROUGE": "rouge-l",
        "ROUGE-L": "rouge-l",
        "Rouge-L f": "rouge-l",
        "mAP@0.5": "AP50",
        "AP@0.5": "AP50",
        "AP@0.75": "AP75",
        "F1 Score": "F1",
        "F-score": "F1",
        "BLEU": "BLEU-1",
        "BLUE-1": "BLEU-1",
        "BLUE_1": "BLEU-1",
        "BLEU@4": "BLEU-4",
        "ACC": "Acc",
        "S-measure": "Structure measure",
        "m vIoU": "m_vIoU",
        "CLIP score": "CLIPScore",
        "CLIP img score": "CLIPScore",
        "CLIP-Style": "CLIPScore",
        "L1-Dis": "L1 distance",
        "OFS": "Optical Flow Score",
        "AesthScore": "Aesthetic score",
        "MUSIQ score": "MUSIQ",
        "Single-Object Successful Rate": "Suc-Rate",
        "Multi-Object Successful Rate": "Suc-Rate",
        "Successful rate": "Suc-Rate",
        "DINO+ViCLIP+Optical flow+Motion Smooth": "Avg(DINO+CLIP+OFS+MSS)",
        "User preference rates": "UPR",
        "Style-CLAP": "StyleCLAP",
        "RTE ( Relative Translation Error)": "RTE",
        "AMOTA (Average Multi-Object Tracking Accuracy)": "AMOTA",
        "CD (Chamfer Distance)": "CD",
    }
    different = [
        task.id
        for task in bench.tasks.values()
        if len({families.get(label, label) for label in task.published_labels}) == 2
    ]
    assert len(different) == 29, different


def test_a_metric_is_automatic_exactly_where_graders_compute_it(bench: Catalogue) -> None:
    automatic = {
        metric.id for metric in bench.metrics.values() if metric.grading is Grading.AUTOMATIC
    }
    ratings = {metric.id for metric in bench.metrics.values() if metric.grading is Grading.RATINGS}
    assert automatic == TEXT_METRICS.keys() | BINDINGS.keys()
    assert ratings == {"gpt-score", "mos", "user-preference"}


def test_no_task_is_without_a_scorer(bench: Catalogue) -> None:
    counted = Counter(bench.metric_of(task_id).grading for task_id in bench.tasks)
    assert counted == {Grading.AUTOMATIC: 693, Grading.RATINGS: 6}
    assert all(is_served(bench, task) for task in bench.tasks.values())


@pytest.mark.parametrize(
    ("metric_id", "mapping", "scale"),
    [
        ("mae", ScoreMapping.TANH_INVERSE, 50.0),
        ("depth-rms", ScoreMapping.TANH_INVERSE, 50.0),
        ("mse", ScoreMapping.TANH_INVERSE, 5.0),
        ("matting-mse", ScoreMapping.TANH_INVERSE, 5.0),
        ("rmse", ScoreMapping.TANH_INVERSE, 5.0),
        ("shadow-rmse", ScoreMapping.TANH_INVERSE, 5.0),
        ("normal-rmse", ScoreMapping.TANH_INVERSE, 5.0),
        ("abs-rel", ScoreMapping.TANH_INVERSE, 0.1),
        ("epe", ScoreMapping.TANH_INVERSE, 1.0),
        ("fid", ScoreMapping.TANH_INVERSE, 25.0),
        ("motion-fid", ScoreMapping.TANH_INVERSE, 25.0),
        ("fvd", ScoreMapping.TANH_INVERSE, 100.0),
        ("fad", ScoreMapping.TANH_INVERSE, 10.0),
        ("matting-sad", ScoreMapping.TANH_INVERSE, 10.0),
        ("rte", ScoreMapping.TANH_INVERSE, 0.5),
        ("chamfer-distance", ScoreMapping.TANH_INVERSE, 1.0),
        ("mcd", ScoreMapping.TANH_INVERSE, 5.0),
        ("psnr", ScoreMapping.TANH, 20.0),
        ("video-psnr", ScoreMapping.TANH, 20.0),
        ("wer", ScoreMapping.ONE_MINUS_PERCENT, None),
        ("wer-speech", ScoreMapping.ONE_MINUS_PERCENT, None),
        ("ms-ssim", ScoreMapping.SIGNED_UNIT, None),
        ("mos", ScoreMapping.OPINION, None),
    ],
)
def test_mappings_are_the_published_ones(
    bench: Catalogue, metric_id: str, mapping: ScoreMapping, scale: float | None
) -> None:
    metric = bench.metrics[metric_id]
    assert (metric.mapping, metric.scale) == (mapping, scale)


def test_every_other_metric_is_a_percentage_where_higher_is_better(bench: Catalogue) -> None:
    rest = [m for m in bench.metrics.values() if m.mapping is ScoreMapping.IDENTITY]
    assert {(m.unit, m.direction) for m in rest} == {("percent", Direction.HIGHER)}
    assert len(rest) == len(bench.metrics) - 23


def test_boards_by_scope(bench: Catalogue) -> None:
    counted = Counter(board.scope for board in bench.boards.values())
    assert counted == {Scope.A: 2, Scope.B: 7, Scope.C: 10, Scope.D: 145}
    levels = {(b.scope, len(b.modalities), b.highest_level) for b in bench.boards.values()}
    assert levels == {
        (Scope.A, 5, 5),
        (Scope.B, 1, 4),
        (Scope.B, 2, 5),
        (Scope.C, 1, 3),
        (Scope.D, 1, 3),
    }


@pytest.mark.parametrize(
    ("board_id", "tasks"),
    [
        ("A-full", 699),
        ("A-quick", 145),
        ("B-image", 316),
        ("B-video", 172),
        ("B-audio", 44),
        ("B-3d", 52),
        ("B-image-text", 431),
        ("B-video-text", 287),
        ("B-audio-text", 159),
        ("C-image-comprehension", 271),
        ("C-image-generation", 45),
        ("C-video-comprehension", 126),
        ("C-video-generation", 46),
        ("C-audio-comprehension", 24),
        ("C-audio-generation", 20),
        ("C-3d-comprehension", 30),
        ("C-3d-generation", 22),
        ("C-text-comprehension", 97),
        ("C-text-generation", 18),
        ("D-I-C-17", 40),
        ("D-D-C-12", 7),
        ("D-L-9", 4),
    ],
)
def test_tasks_of_a_board(bench: Catalogue, board_id: str, tasks: int) -> None:
    assert len(bench.boards[board_id].task_ids) == tasks


def test_the_quick_board_has_the_first_task_of_every_skill(bench: Catalogue) -> None:
    quick = [bench.tasks[task_id] for task_id in bench.boards["A-quick"].task_ids]
    assert [task.skill_id for task in quick] == list(bench.skills)
    for task in quick:
        mates = bench.boards[f"D-{task.skill_id}"].task_ids
        assert task.id == mates[0]


def test_the_two_text_boards_part_the_language_tasks(bench: Catalogue) -> None:
    understood = bench.boards["C-text-comprehension"]
    made = bench.boards["C-text-generation"]
    language = [t.id for t in bench.tasks.values() if t.modality is Modality.LANGUAGE]
    assert sorted(understood.task_ids + made.task_ids) == sorted(language)
    assert understood.paradigm is Paradigm.COMPREHENSION
    assert made.paradigm is Paradigm.GENERATION


def test_paradigms_of_boards(bench: Catalogue) -> None:
    assert bench.boards["C-3d-generation"].paradigm is Paradigm.GENERATION
    assert bench.boards["D-I-G-3"].paradigm is Paradigm.GENERATION
    assert bench.boards["D-L-9"].paradigm is Paradigm.NONE
    assert bench.boards["B-audio"].paradigm is Paradigm.NONE


def test_d_boards_part_the_tasks(bench: Catalogue) -> None:
    parts = [b.task_ids for b in bench.boards.values() if b.scope is Scope.D]
    assert sorted(task_id for part in parts for task_id in part) == sorted(bench.tasks)


def test_folders_are_safe_on_every_file_system(bench: Catalogue) -> None:
    folders = [task.archive_path.casefold() for task in bench.tasks.values()]
    assert len(set(folders)) == 699
    for task in bench.tasks.values():
        assert re.fullmatch(r"[A-Za-z0-9]+([ -][A-Za-z0-9]+)*", task.folder)
    assert bench.tasks["language-096"].archive_path == "nlp/Gene Protein Named Entity Recognition"
    assert bench.tasks["3d-c-024"].folder == "3D Situated Question Answering on What"


def test_slips_of_the_pen_are_corrected_and_still_known(bench: Catalogue) -> None:
    sarcasm = bench.tasks["video-c-124"]
    assert sarcasm.name == "Multimodal Sarcasm Detection"
    assert "Multimodal SarcaS-measure Detection" in sarcasm.aliases
    assert bench.skills["I-G-3"].name == "Image Denoising"


def test_options_where_the_answer_or_the_metric_needs_one(bench: Catalogue) -> None:
    def options(task_id: str) -> object:
        return bench.tasks[task_id].options

    for task in bench.tasks.values():
        if task.metric_id in ("recall-at-k", "scene-graph-recall"):
            assert task.options == {"k": "50"}
        if task.metric_id == "micro-f1":
            assert task.options == {"separator": "<p>"}
        if task.metric_id == "codebleu":
            assert task.options == {"language": "python"}
    assert options("language-050") == {"tokens": "characters"}
    assert options("image-c-046") == {"tokens": "characters"}
