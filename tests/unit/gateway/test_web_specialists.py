"""The specialists' means on the boards, against numbers computed by hand from the catalogue."""

from __future__ import annotations

import math
from statistics import fmean

import pytest

from general_level.catalogue import load
from services.gateway.web.specialists import Specialists

CATALOGUE = load()
SPECIALISTS = Specialists(CATALOGUE)


def test_the_mean_of_a_skill_is_that_of_its_references_as_scores() -> None:
    # Percentages are scores as they are: the references of the skill's tasks, as published.
    board = CATALOGUE.boards["D-I-C-1"]
    metrics = {CATALOGUE.metric_of(task_id).unit for task_id in board.task_ids}
    assert metrics == {"percent"}
    references = CATALOGUE.references().references
    expected = fmean(references[task_id].score for task_id in board.task_ids)
    assert SPECIALISTS.mean("D-I-C-1") == pytest.approx(expected)


def test_a_reference_becomes_a_score_by_its_metric_s_mapping() -> None:
    references = CATALOGUE.references().references
    by_hand = {
        "fid": lambda x: 100 * math.tanh(25 / (2 * x)),
        "epe": lambda x: 100 * math.tanh(1 / (2 * x)),
        "psnr": lambda x: 100 * math.tanh(x / 20),
        "wer-speech": lambda x: 100 - x,
        "mos": lambda x: 100 * (x - 1) / 4,
    }
    seen = set()
    for task in CATALOGUE.tasks.values():
        formula = by_hand.get(task.metric_id)
        if formula is not None and references[task.id].score > 0:
            expected = min(100.0, max(0.0, formula(references[task.id].score)))
            assert SPECIALISTS.score(task.id) == pytest.approx(expected), task.id
            seen.add(task.metric_id)
    assert seen == set(by_hand)


def test_every_board_has_a_mean_by_every_list() -> None:
    for board_id in CATALOGUE.boards:
        for list_id in CATALOGUE.reference_lists:
            assert 0 < SPECIALISTS.mean(board_id, list_id) <= 100
    # A list that a later catalogue brings: the default stands in.
    assert SPECIALISTS.mean("A-full", "unknown") == SPECIALISTS.mean("A-full")
    assert SPECIALISTS.mean("A-full", "workbook") != SPECIALISTS.mean("A-full", "paper")
