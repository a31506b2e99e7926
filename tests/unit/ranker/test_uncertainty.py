"""Intervals in closed form against a seeded simulation of re-measured scores."""

from __future__ import annotations

import numpy as np
import pytest

from general_level.catalogue.model import Direction, ScoreMapping
from services.ranker.formulas.conventions import Convention, apply_convention
from services.ranker.formulas.estimates import Estimate, harmonic_mean, weighted
from services.ranker.formulas.levels import score_boards
from services.ranker.formulas.mapping import TaskArrays
from services.ranker.formulas.plan import build_plan
from services.ranker.formulas.uncertainty import moments

DRAWS = 20_000
#: On standard errors. Those of 20,000 draws are themselves sure to 0.5 %; the rest is what the
#: straightened mappings and the harmonic mean leave.
RELATIVE_TOLERANCE = 0.05
CONVENTION = Convention.GENERAL_LEVEL


def test_moments_of_one_kept_score_match_a_simulation():
    # Identity, reference 50, standard error 4: from far below to far above the reference.
    measured = np.array([[30.0, 46.0, 50.0, 53.0, 70.0]])
    count = measured.shape[1]
    tasks = TaskArrays.build(
        ids=[f"t-{column}" for column in range(count)],
        reference=[50.0] * count,
        direction=[Direction.HIGHER] * count,
        mapping=[ScoreMapping.IDENTITY] * count,
        scale=[None] * count,
        group=[0] * count,
    )
    supported = np.ones_like(measured, dtype=bool)
    scored = apply_convention(measured, supported, tasks, CONVENTION)
    found = moments(measured, np.full_like(measured, 4.0), scored, tasks)
    draws = np.random.default_rng(1).normal(measured, 4.0, (200_000, count))
    kept = np.where(draws >= 50.0, draws, 0.0)
    assert found.expected_kept[0] == pytest.approx(kept.mean(axis=0), abs=0.2)
    assert found.variance_kept[0] == pytest.approx(kept.var(axis=0), rel=0.01, abs=0.01)
    assert found.reach[0] == pytest.approx((draws >= 50.0).mean(axis=0), abs=0.005)


@pytest.fixture(scope="module")
def simulated(published_bench):
    """One model near every reference of the real catalogue, and its re-measured boards."""
    ids = ("A-full", "B-image", "B-audio-text", "C-video-comprehension", "C-3d-generation")
    boards = [published_bench.boards[board_id] for board_id in ids]
    plan = build_plan(published_bench, None, boards)
    random = np.random.default_rng(20250504)
    reference = plan.tasks.reference
    measured = (reference * random.normal(1.0, 0.05, len(reference)))[None, :]
    error = np.abs(measured) * 0.04
    mapping = {"tasks": plan.tasks, "boards": plan.boards, "convention": CONVENTION}
    supported = np.ones_like(measured, dtype=bool)
    closed = score_boards(measured, supported, error, **mapping)
    draws: dict[tuple[int, int], list[np.ndarray]] = {}
    levels: list[list[np.ndarray]] = [[] for _ in boards]
    for _ in range(DRAWS // 2000):
        raw = random.normal(measured, error, (2000, len(reference)))
        present = np.ones_like(raw, dtype=bool)
        for row, board in enumerate(
            score_boards(raw, present, np.full_like(raw, np.nan), **mapping)
        ):
            levels[row].append(board.level)
            for level, score in board.scores.items():
                draws.setdefault((row, level), []).append(score.point)
    return closed, {key: np.concatenate(of) for key, of in draws.items()}, levels


def test_standard_errors_match_the_simulation(simulated):
    closed, draws, _ = simulated
    assert len(draws) == 4 + 3 + 4 + 2 + 2
    for (row, level), drawn in draws.items():
        score = closed[row].scores[level]
        label = f"{closed[row].board_id} S{level}"
        assert score.standard_error[0] == pytest.approx(drawn.std(), rel=RELATIVE_TOLERANCE), label
        # The curves of the mappings, which are taken as straight, are worth 0.06 points.
        assert abs(score.expected[0] - drawn.mean()) < 0.1 * drawn.std() + 0.06, label


def test_intervals_hold_95_percent_and_the_printed_score(simulated):
    closed, draws, _ = simulated
    for (row, level), drawn in draws.items():
        score = closed[row].scores[level]
        low, high = (float(end[0]) for end in score.interval())
        assert low <= score.point[0] <= high
        assert ((drawn >= low) & (drawn <= high)).mean() > 0.93, (closed[row].board_id, level)


def test_level_intervals_hold_95_percent(simulated):
    closed, _, levels = simulated
    for board, drawn in zip(closed, levels, strict=True):
        seen = np.concatenate(drawn)
        held = (seen >= board.level_low[0]) & (seen <= board.level_high[0])
        assert held.mean() >= 0.95, board.board_id


def test_the_harmonic_mean_of_two_certain_scores_is_certain():
    nothing = np.zeros(3)
    left = Estimate(np.array([0.0, 0.0, 30.0]), np.array([0.0, 0.0, 30.0]), nothing)
    right = Estimate(np.array([0.0, 50.0, 60.0]), np.array([0.0, 50.0, 60.0]), nothing)
    mean = harmonic_mean(left, right)
    assert mean.point.tolist() == [0.0, 0.0, 40.0]
    assert mean.variance.tolist() == [0.0, 0.0, 0.0]


def test_a_product_of_independent_scores_has_the_exact_variance():
    score = Estimate(np.array([40.0]), np.array([40.0]), np.array([9.0]))
    language = Estimate(np.array([50.0]), np.array([50.0]), np.array([400.0]))
    found = weighted(score, language)
    assert found.point[0] == pytest.approx(20.0)
    # 9 · 0.5² + 40² · 0.04 + 9 · 0.04
    assert found.variance[0] == pytest.approx(2.25 + 64.0 + 0.36)
