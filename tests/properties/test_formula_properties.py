"""What must hold for every model, whatever its scores."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from general_level import catalogue as catalogues
from general_level.catalogue.model import Board, Scope
from services.ranker.formulas.conventions import Convention
from services.ranker.formulas.levels import BoardScores, score_boards
from services.ranker.formulas.plan import Plan, build_plan
from services.ranker.formulas.ranking import rank_models

EXAMPLES = settings(max_examples=25, deadline=None)
SEEDS = st.integers(0, 2**32 - 1)


@cache
def boards() -> list[Board]:
    found = list(catalogues.load().boards.values())
    # Scope D is one shape 145 times: a tenth of it is enough here.
    return [b for i, b in enumerate(found) if b.scope is not Scope.D or i % 10 == 0]


@cache
def plan() -> Plan:
    return build_plan(catalogues.load(), None, boards())


def models(seed: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Legal random raw values around the references, with gaps and standard errors."""
    random = np.random.default_rng(seed)
    catalogue = catalogues.load()
    reference = plan().tasks.reference
    low, high = (
        np.array([np.nan if v is None else v for v in bounds], dtype=float)
        for bounds in zip(
            *((m.minimum, m.maximum) for m in map(catalogue.metric_of, catalogue.tasks)),
            strict=True,
        )
    )
    raw = reference * random.normal(1.0, 0.4, (count, len(reference)))
    raw = np.where(random.random(raw.shape) < 0.05, reference, raw)
    raw = np.fmin(np.fmax(raw, low), high)
    supported = random.random(raw.shape) < random.random((count, 1))
    error = np.abs(raw) * 0.05
    return np.where(supported, raw, np.nan), supported, np.where(supported, error, np.nan)


def score(raw, supported, error, using: Plan | None = None) -> list[BoardScores]:
    of = using or plan()
    return score_boards(
        raw,
        supported,
        error,
        tasks=of.tasks,
        boards=of.boards,
        convention=Convention.GENERAL_LEVEL,
    )


@EXAMPLES
@given(seed=SEEDS)
def test_bounds_and_order_of_the_levels(seed):
    for board in score(*models(seed, 3)):
        for estimate in board.scores.values():
            low, high = estimate.interval()
            assert (estimate.point >= 0).all()
            assert (estimate.point <= 100 + 1e-9).all()
            assert (low <= estimate.point + 1e-9).all()
            assert (high >= estimate.point - 1e-9).all()
            assert (estimate.variance >= 0).all()
        for lower, upper in zip(board.scores, list(board.scores)[1:], strict=False):
            gap = board.scores[lower].point - board.scores[upper].point
            assert (gap >= -1e-9).all(), (board.board_id, lower, upper)
        for scores in board.by_modality.values():
            # A harmonic mean is at most the arithmetic one.
            assert (scores[4].point <= scores[3].point + 1e-9).all()
        assert (board.level_low <= board.level).all()
        assert (board.level <= board.level_high).all()
        assert (board.level <= board.highest_level).all()
        assert (board.wins <= board.supported).all()
        assert (board.supported <= board.tasks).all()


@EXAMPLES
@given(seed=SEEDS, task=st.integers(0, 698), step=st.floats(0.001, 50.0))
def test_improving_one_task_never_lowers_a_score(seed, task, step):
    raw, supported, error = models(seed, 1)
    metric = list(map(catalogues.load().metric_of, catalogues.load().tasks))[task]
    better = raw.copy()
    now = raw[0, task] if supported[0, task] else plan().tasks.reference[task]
    better[0, task] = now + step * plan().tasks.sign[task]
    if metric.maximum is not None:
        better[0, task] = min(better[0, task], metric.maximum)
    if metric.minimum is not None:
        better[0, task] = max(better[0, task], metric.minimum)
    now_supported = supported.copy()
    now_supported[0, task] = True
    for before, after in zip(
        score(raw, supported, error), score(better, now_supported, error), strict=True
    ):
        for level, estimate in before.scores.items():
            assert after.scores[level].point[0] >= estimate.point[0] - 1e-9
        assert after.level[0] >= before.level[0]


@EXAMPLES
@given(seed=SEEDS, others=st.integers(1, 40))
def test_other_models_and_their_order_change_nothing_bit_for_bit(seed, others):
    raw, supported, error = models(seed, others + 1)
    order = np.random.default_rng(seed).permutation(others + 1)
    place = int(np.flatnonzero(order == 0)[0])
    alone = score(raw[:1], supported[:1], error[:1])
    among = score(raw[order], supported[order], error[order])
    for one, many in zip(alone, among, strict=True):
        for level, estimate in one.scores.items():
            assert many.scores[level].point[place] == estimate.point[0]
            assert many.scores[level].variance[place] == estimate.variance[0]
        assert many.level[place] == one.level[0]


@EXAMPLES
@given(seed=SEEDS)
def test_the_order_of_tasks_changes_nothing_that_is_printed(seed):
    raw, supported, error = models(seed, 2)
    catalogue = catalogues.load()
    ids = list(catalogue.tasks)
    order = np.random.default_rng(seed).permutation(len(ids))
    shuffled = {ids[i]: catalogue.tasks[ids[i]] for i in order}
    other = build_plan(replace(catalogue, tasks=shuffled), None, boards())
    for here, there in zip(
        score(raw, supported, error),
        score(raw[:, order], supported[:, order], error[:, order], other),
        strict=True,
    ):
        for level, estimate in here.scores.items():
            assert there.scores[level].point == pytest.approx(estimate.point, rel=1e-12, abs=1e-12)


@EXAMPLES
@given(seed=SEEDS)
def test_equal_models_share_a_rank_and_ranks_follow_the_order(seed):
    raw, supported, error = models(seed, 5)
    doubled = [np.concatenate([array, array]) for array in (raw, supported, error)]
    for board in score(*doubled):
        ranking = rank_models(board, np.arange(10))
        rank = dict(zip(ranking.order.tolist(), ranking.rank.tolist(), strict=True))
        for model in range(5):
            assert rank[model] == rank[model + 5]
        given_ranks = [r for r in ranking.rank.tolist() if r]
        assert given_ranks == sorted(given_ranks)
        # Competition ranking: a rank is one more than the number of models ahead of it.
        assert all(r == 1 + sum(o < r for o in given_ranks) for r in given_ranks)


@EXAMPLES
@given(seed=SEEDS)
def test_the_matrix_products_equal_means_taken_task_by_task(seed):
    raw, supported, error = models(seed, 1)
    catalogue = catalogues.load()
    references = catalogue.references().references
    values = {
        task_id: catalogues.to_score(catalogue.metric_of(task_id), float(raw[0, column]))
        for task_id, column in plan().column.items()
        if supported[0, column]
    }
    kept = {
        task_id: value
        for task_id, value in values.items()
        if catalogues.reaches(
            catalogue.metric_of(task_id),
            float(raw[0, plan().column[task_id]]),
            references[task_id].score,
        )
    }
    for board, found in zip(boards(), score(raw, supported, error), strict=True):
        if board.scope in (Scope.C, Scope.D):
            for level, of in ((2, values), (3, kept)):
                mean = sum(of.get(task_id, 0.0) for task_id in board.task_ids) / len(board.task_ids)
                assert found.scores[level].point[0] == pytest.approx(mean, abs=1e-9)
        assert found.wins[0] == sum(task_id in kept for task_id in board.task_ids)
        assert found.supported[0] == sum(task_id in values for task_id in board.task_ids)
