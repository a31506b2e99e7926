"""The Fréchet distance against scipy's matrix root and closed forms, and what missing costs."""

import numpy as np
import pytest
import scipy.linalg

from services.grader.metrics.features.distances import empty_distance, fad, fid, fvd, motion_fid
from services.grader.metrics.features.statistics import (
    FeatureStatistics,
    frechet_distance,
    frechet_to,
    merge,
    statistics_of,
)
from tests.unit.metrics.generation.networks import as_they_are


def rows(seed, n, d, shift=0.0):
    generator = np.random.default_rng(seed)
    mixing = generator.normal(size=(d, d)) / np.sqrt(d)
    return generator.normal(size=(n, d)) @ mixing + shift


def by_matrix_root(first, second):
    root = scipy.linalg.sqrtm(first.covariance @ second.covariance).real
    apart = first.mean - second.mean
    return apart @ apart + np.trace(first.covariance + second.covariance - 2 * root)


@pytest.mark.parametrize(("n", "d"), [(200, 8), (300, 64), (65, 64)])
def test_the_distance_is_that_of_scipys_matrix_root(n, d):
    first, second = statistics_of(rows(1, n, d)), statistics_of(rows(2, n + 30, d, 0.3))

    assert frechet_distance(first, second) == pytest.approx(by_matrix_root(first, second), abs=1e-9)


def test_the_distance_of_diagonal_gaussians_is_the_closed_form():
    generator = np.random.default_rng(3)
    means, variances = generator.normal(size=(2, 40)), generator.uniform(0.01, 9, size=(2, 40))
    first, second = (
        FeatureStatistics(mean, np.diag(variance), 99)
        for mean, variance in zip(means, variances, strict=True)
    )

    expected = ((means[0] - means[1]) ** 2).sum() + (
        (np.sqrt(variances[0]) - np.sqrt(variances[1])) ** 2
    ).sum()

    assert frechet_distance(first, second) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("n", [2, 20, 63, 64, 65, 200])
def test_both_sizes_of_the_eigenvalue_problem_agree(n):
    features, reference = rows(4, n, 64), statistics_of(rows(5, 500, 64, 0.2))

    whole = frechet_distance(statistics_of(features), reference)

    assert frechet_to(features, reference) == pytest.approx(whole, abs=1e-8)


def test_fewer_rows_than_dimensions_on_both_sides_are_finite_and_the_limit():
    first, second = rows(6, 12, 50), rows(7, 20, 50)

    value = frechet_distance(statistics_of(first), statistics_of(second))

    # With a little of the identity added the matrix root exists again.
    ridge = 1e-9 * np.eye(50)
    near = [
        FeatureStatistics(s.mean, s.covariance + ridge, s.n)
        for s in (statistics_of(first), statistics_of(second))
    ]
    assert value == pytest.approx(by_matrix_root(*near), abs=1e-3)
    assert frechet_distance(statistics_of(first), statistics_of(first)) == pytest.approx(
        0, abs=1e-9
    )


def test_one_row_has_no_spread():
    reference = statistics_of(rows(8, 40, 5))
    row = rows(9, 1, 5)

    apart = row[0] - reference.mean
    assert frechet_to(row, reference) == pytest.approx(
        apart @ apart + np.trace(reference.covariance)
    )


def test_merged_statistics_are_those_of_all_rows():
    parts = [rows(seed, n, 9, seed) for seed, n in ((10, 1), (11, 7), (12, 30))]
    whole = statistics_of(np.concatenate(parts))

    merged = merge(merge(*map(statistics_of, parts[:2])), statistics_of(parts[2]))

    np.testing.assert_allclose(merged.mean, whole.mean, atol=1e-12)
    np.testing.assert_allclose(merged.covariance, whole.covariance, atol=1e-12)
    assert merged.n == 38


def test_statistics_do_not_show_their_numbers():
    shown = repr(statistics_of(rows(13, 10, 3)))

    assert shown == "FeatureStatistics(d=3, n=10)"


@pytest.mark.parametrize(
    ("metric", "network"),
    [
        (fid, "inception_pool"),
        (fvd, "video_resnet"),
        (fad, "audio_embedding"),
        (motion_fid, "motion_embedding"),
    ],
)
def test_the_set_metrics_are_the_distance_of_their_networks_features(metric, network):
    features, reference = rows(14, 30, 6), statistics_of(rows(15, 80, 6, 0.5))

    result = metric(list(features), reference, **{network: as_they_are})

    assert result.value == pytest.approx(by_matrix_root(statistics_of(features), reference))
    assert (result.n, result.missing) == (30, 0)
    assert result.per_sample is None
    assert result.stderr is None


def test_missing_items_count_for_their_share():
    features, reference = list(rows(16, 8, 4)), statistics_of(rows(17, 50, 4, 0.2))
    answered = fid(features[:6], reference, inception_pool=as_they_are).value
    empty = empty_distance(reference)

    result = fid([*features[:6], None, None], reference, inception_pool=as_they_are)

    assert empty > answered
    assert result.value == pytest.approx(0.75 * answered + 0.25 * empty)
    assert result.missing == 2
    assert fid([None, None], reference, inception_pool=as_they_are).value == pytest.approx(empty)


def test_missing_items_never_make_a_bad_set_better():
    far, reference = list(rows(18, 4, 4, 50.0)), statistics_of(rows(19, 50, 4))
    answered = fid(far[:3], reference, inception_pool=as_they_are).value

    assert fid([*far[:3], None], reference, inception_pool=as_they_are).value == pytest.approx(
        answered
    )


def test_what_no_network_may_give_is_refused():
    reference = statistics_of(rows(20, 10, 3))
    for wrong in (np.zeros((1, 3)), np.zeros(3), np.full((2, 3), np.nan)):
        with pytest.raises(ValueError, match="extractor"):
            fid([np.zeros(3)] * 2, reference, inception_pool=lambda media, w=wrong: w)
    with pytest.raises(ValueError, match="reference's d"):
        frechet_to(np.zeros((2, 4)), reference)
    with pytest.raises(ValueError, match="finite"):
        FeatureStatistics(np.zeros(2), np.full((2, 2), np.nan), 3)
