"""Errors of numbers and series, and what a missing item costs."""

import numpy as np
import pytest

from services.grader.metrics.numbers.errors import LARGEST_ERROR, mae, mse, rmse


def test_a_perfect_submission_has_error_0():
    for metric in (mae, mse, rmse):
        result = metric([1.0, [2.0, 3.0]], [[1.0], [[2.0, 3.0]]])

        assert result.value == 0
        assert result.stderr == 0


def test_series_errors_are_means_over_their_elements():
    predictions, references = [[1.0, 2.0, 3.0], [0.0]], [[[1.0, 2.0, 6.0]], [[2.0]]]

    assert mae(predictions, references).value == pytest.approx((1 + 2) / 2)
    assert mse(predictions, references).value == pytest.approx((3 + 4) / 2)
    assert rmse(predictions, references).value == pytest.approx(np.sqrt(3.5))
    np.testing.assert_allclose(rmse(predictions, references).per_sample, [np.sqrt(3), 2])


def test_the_closest_reference_counts():
    assert mae([5.0], [[1.0, 4.0]]).value == 1


def test_rmse_stderr_follows_by_the_delta_method():
    predictions, references = [1.0, 2.0, 5.0], [[2.0], [2.0], [2.0]]
    squared = mse(predictions, references)

    result = rmse(predictions, references)

    assert result.stderr == pytest.approx(squared.stderr / (2 * result.value))


def test_a_missing_item_costs_the_range_of_the_references():
    result = mae([1.0, None, 4.0], [[1.0], [3.0], [5.0]])

    np.testing.assert_array_equal(result.per_sample, [0, 4, 1])
    assert result.missing == 1


def test_a_missing_item_costs_the_largest_error_where_that_is_more():
    np.testing.assert_array_equal(mae([100.0, None], [[1.0], [3.0]]).per_sample, [99, 99])


def test_equal_references_cost_their_size_and_at_least_1():
    assert mae([None, 7.0], [[7.0], [7.0]]).per_sample[0] == 7
    assert mae([None, 0.0], [[0.0], [0.0]]).per_sample[0] == 1
    assert mae([None, None], [[-0.5], [-0.5]]).value == 1


def test_a_series_of_another_length_counts_as_missing():
    result = mae([[1.0], [], [1.0, 2.0]], [[[1.0, 2.0]], [[1.0, 2.0]], [[1.0, 2.0]]])

    assert result.missing == 2
    np.testing.assert_array_equal(result.per_sample, [1, 1, 0])


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), [1.0, float("-inf")]])
@pytest.mark.parametrize("metric", [mae, mse, rmse])
def test_numbers_that_are_not_finite_are_refused(metric, bad):
    with pytest.raises(ValueError, match="finite"):
        metric([bad], [[1.0]])
    with pytest.raises(ValueError, match="finite"):
        metric([1.0], [[bad]])


def test_a_reference_without_numbers_is_refused():
    with pytest.raises(ValueError, match="at least one number"):
        mae([1.0], [[[]]])


def test_a_table_is_no_series():
    with pytest.raises(ValueError, match="1-d"):
        mae([np.zeros((2, 2))], [[np.zeros(2)]])


@pytest.mark.parametrize("metric", [mae, mse, rmse])
def test_an_absurd_answer_cannot_overflow_the_score(metric):
    result = metric([1e308, -1e308, None], [[1.0], [1e308], [0.0]])

    assert LARGEST_ERROR <= result.value < float("inf")
    assert np.isfinite(result.stderr)
