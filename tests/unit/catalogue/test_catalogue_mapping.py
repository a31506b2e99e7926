"""Raw values to scores, and who reaches a reference."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from general_level import catalogue
from general_level.catalogue import Direction, Metric, is_legal, reaches, to_score
from general_level.errors import ScoreRefused

METRICS = catalogue.load().metrics
LOWER = [m.id for m in METRICS.values() if m.direction is Direction.LOWER]


@pytest.mark.parametrize("metric_id", LOWER)
def test_a_perfect_zero_is_full_marks_where_lower_is_better(metric_id: str) -> None:
    assert to_score(METRICS[metric_id], 0.0) == 100.0


@pytest.mark.parametrize(
    ("metric_id", "raw", "score"),
    [
        ("accuracy", 21.7, 21.7),
        ("wer", 5.6, 94.4),  # percent; as a fraction it would be -460
        ("wer-speech", 250.0, 0.0),
        ("ms-ssim", -0.2, 40.0),
        ("ms-ssim", 0.0, 50.0),
        ("ms-ssim", 0.542, 77.1),
        ("mos", 1.0, 0.0),
        ("mos", 3.82, 70.5),
        ("mos", 5.0, 100.0),
        ("psnr", 0.0, 0.0),
        ("psnr", 34.56, 100 * math.tanh(1.728)),
        ("fid", 18.7, 100 * math.tanh(25 / 37.4)),
        ("fvd", 71.27, 100 * math.tanh(100 / 142.54)),
        ("mae", 50.0, 100 * math.tanh(0.5)),
        ("rte", 0.55, 100 * math.tanh(0.5 / 1.1)),
        ("chamfer-distance", 5e-324, 100.0),
        ("chamfer-distance", 1e308, 0.0),
        ("clip-score", -3.0, 0.0),
        ("cider", 350.0, 100.0),
    ],
)
def test_scores_by_hand(metric_id: str, raw: float, score: float) -> None:
    assert to_score(METRICS[metric_id], raw) == pytest.approx(score, abs=1e-9)


def test_the_raw_value_decides_where_both_scores_are_full() -> None:
    fid = METRICS["motion-fid"]
    assert to_score(fid, 0.6) == to_score(fid, 0.23) == 100.0
    assert not reaches(fid, 0.6, 0.23)
    assert reaches(fid, 0.2, 0.23)


@pytest.mark.parametrize("metric_id", sorted(METRICS))
def test_a_tie_reaches(metric_id: str) -> None:
    assert reaches(METRICS[metric_id], 1.0, 1.0)


def test_each_direction_has_its_better_side() -> None:
    assert reaches(METRICS["accuracy"], 50.1, 50.0)
    assert not reaches(METRICS["accuracy"], 49.9, 50.0)
    assert reaches(METRICS["mae"], 17.9, 17.91)
    assert not reaches(METRICS["mae"], 17.92, 17.91)


@pytest.mark.parametrize("raw", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("metric_id", ["accuracy", "mae", "psnr"])
def test_what_is_not_finite_is_refused(metric_id: str, raw: float) -> None:
    metric = METRICS[metric_id]
    assert not is_legal(metric, raw)
    with pytest.raises(ScoreRefused):
        to_score(metric, raw)
    with pytest.raises(ScoreRefused):
        reaches(metric, 1.0, raw)


@pytest.mark.parametrize(
    ("metric_id", "raw"),
    [("accuracy", -0.1), ("accuracy", 100.1), ("mae", -1.0), ("mos", 0.0), ("ms-ssim", 1.1)],
)
def test_what_is_out_of_bounds_is_refused(metric_id: str, raw: float) -> None:
    with pytest.raises(ScoreRefused) as caught:
        to_score(METRICS[metric_id], raw)
    assert caught.value.metadata["metric"] == metric_id


def test_rounding_at_a_bound_is_no_offence() -> None:
    assert to_score(METRICS["accuracy"], 100.00000000000001) == 100.0
    assert to_score(METRICS["accuracy"], -1e-15) == 0.0
    assert to_score(METRICS["mos"], 0.9999999999999) == 0.0
    assert reaches(METRICS["accuracy"], 100.0, 100.00000000000001)


def legal_values(metric: Metric) -> st.SearchStrategy[float]:
    low = -1e12 if metric.minimum is None else metric.minimum
    high = 1e12 if metric.maximum is None else metric.maximum
    return st.floats(low, high, allow_nan=False)


METRIC_AND_TWO = st.sampled_from(sorted(METRICS.values(), key=lambda m: m.id)).flatmap(
    lambda metric: st.tuples(st.just(metric), legal_values(metric), legal_values(metric))
)


@given(METRIC_AND_TWO)
def test_a_better_raw_value_never_scores_less(case: tuple[Metric, float, float]) -> None:
    metric, one, two = case
    first, second = to_score(metric, one), to_score(metric, two)
    assert 0.0 <= first <= 100.0
    better, worse = (first, second) if reaches(metric, one, two) else (second, first)
    assert better >= worse
    assert reaches(metric, one, two) or reaches(metric, two, one)


@pytest.mark.parametrize("list_id", ["paper", "workbook"])
def test_every_reference_maps_to_a_score(list_id: str) -> None:
    bench = catalogue.load()
    for task_id, found in bench.references(list_id).references.items():
        assert 0.0 <= to_score(bench.metric_of(task_id), found.score) <= 100.0
