"""The Chamfer distance against torch and point-cloud-utils; points on a mesh's surface."""

import warnings

import numpy as np
import pytest

from services.grader.metrics.shape.chamfer import ChamferForm, chamfer, chamfer_distance
from services.grader.metrics.shape.surface import sample_surface

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # deprecations inside the oracles, not ours
    import point_cloud_utils
    import torch


def clouds(seed, count=3, points=200):
    generator = np.random.default_rng(seed)
    return [generator.normal(size=(points + 10 * index, 3)) for index in range(count)]


def by_torch(first, second, norm, points, directions, scale):
    table = torch.cdist(
        torch.from_numpy(first),
        torch.from_numpy(second),
        compute_mode="donot_use_mm_for_euclid_dist",
    )
    sides = [table.min(dim=1).values, table.min(dim=0).values]
    if norm == "squared":
        sides = [side**2 for side in sides]
    pooled = sum(getattr(side, points)().item() for side in sides)
    return scale * (pooled / 2 if directions == "mean" else pooled)


@pytest.mark.parametrize("norm", ["euclidean", "squared"])
@pytest.mark.parametrize("points", ["mean", "sum"])
@pytest.mark.parametrize(("directions", "scale"), [("sum", 1.0), ("mean", 1000.0)])
def test_every_form_is_torchs(norm, points, directions, scale):
    options = {"norm": norm, "points": points, "directions": directions, "scale": scale}
    predictions, references = clouds(0), clouds(1, points=150)

    result = chamfer(predictions, references, **options)

    expected = [
        by_torch(first, second, **options)
        for first, second in zip(predictions, references, strict=True)
    ]
    np.testing.assert_allclose(result.per_sample, expected, rtol=1e-12)
    assert result.value == pytest.approx(np.mean(expected))


def test_the_standard_form_is_point_cloud_utils():
    first, second = clouds(2, 2)

    assert chamfer_distance(first, second) == pytest.approx(
        point_cloud_utils.chamfer_distance(first, second), abs=1e-12
    )


@pytest.mark.parametrize("points", ["mean", "sum"])
def test_points_in_one_place_count_each(points):
    generator = np.random.default_rng(5)
    many = np.concatenate([np.zeros((5000, 3)), generator.normal(size=(7, 3))])
    few = generator.normal(size=(300, 3))
    form = ChamferForm("euclidean", points)

    for first, second in ((many, few), (few, many)):
        expected = by_torch(first, second, "euclidean", points, "sum", 1.0)
        assert chamfer_distance(first, second, form) == pytest.approx(expected, rel=1e-12)


def test_two_points_by_hand():
    first, second = np.array([[0.0, 0, 0], [1, 0, 0]]), np.array([[0.0, 0, 3]])

    assert chamfer_distance(first, second) == pytest.approx((3 + np.sqrt(10)) / 2 + 3)
    assert chamfer_distance(first, second, ChamferForm("squared")) == pytest.approx(9.5 + 9)


@pytest.mark.parametrize("absent", [None, np.empty((0, 3))])
@pytest.mark.parametrize("norm", ["euclidean", "squared"])
def test_a_missing_cloud_costs_the_largest_diagonal_both_ways(absent, norm):
    references = clouds(3, 2)

    result = chamfer([absent, references[1]], references, norm=norm)

    diagonal = max(np.linalg.norm(np.ptp(cloud, axis=0)) for cloud in references)
    assert result.per_sample[0] == pytest.approx(2 * diagonal ** (2 if norm == "squared" else 1))
    assert result.per_sample[1] == 0
    assert result.missing == 1


def test_a_missing_cloud_costs_the_largest_answered_distance_where_that_is_more():
    references = clouds(4, 2)

    result = chamfer([None, references[1] + 1e3], references)

    assert result.per_sample[0] == result.per_sample[1]


def test_an_absurd_cloud_cannot_overflow_the_score():
    reference = clouds(5, 1)[0]

    result = chamfer([np.full((2, 3), 1e308)], [reference], norm="squared", points="sum")

    assert 1e100 < result.value < np.inf


def test_what_is_no_cloud_is_refused():
    cloud = clouds(6, 1)[0]
    with pytest.raises(ValueError, match="has points"):
        chamfer([cloud], [cloud[:0]])
    with pytest.raises(ValueError, match="finite"):
        chamfer([np.full((1, 3), np.nan)], [cloud])
    with pytest.raises(ValueError, match=r"\[points, 3\]"):
        chamfer([cloud[:, :2]], [cloud])


# --- surfaces ---------------------------------------------------------------------------------

SQUARE = np.array([[0.0, 0, 0], [2, 0, 0], [2, 1, 0], [0, 1, 0]]), np.array([[0, 1, 2], [0, 2, 3]])


def test_points_spread_evenly_over_the_surface():
    points = sample_surface(*SQUARE, 4000)

    assert points.shape == (4000, 3)
    assert (points[:, 2] == 0).all()
    assert ((points >= 0) & (points <= [2, 1, 0])).all()
    counts, _, _ = np.histogram2d(points[:, 0], points[:, 1], bins=(4, 2), range=((0, 2), (0, 1)))
    np.testing.assert_allclose(counts, 500, rtol=0.2)


def test_a_large_triangle_gets_its_share_and_one_without_area_none():
    vertices = np.array([[0.0, 0, 0], [3, 0, 0], [0, 1, 0], [0, 0, 9], [1, 0, 9], [0, 1, 9]])
    faces = np.array([[0, 1, 2], [3, 4, 5], [0, 0, 1]])

    points = sample_surface(vertices, faces, 1000)

    assert (points[:, 2] == 0).sum() == 750


def test_the_same_mesh_gives_the_same_points():
    np.testing.assert_array_equal(sample_surface(*SQUARE, 50), sample_surface(*SQUARE, 50))
    assert not np.array_equal(sample_surface(*SQUARE, 50), sample_surface(*SQUARE, 50, seed=1))


def test_a_mesh_without_area_gives_its_vertices_and_an_empty_one_nothing():
    vertices = SQUARE[0][:2]
    none = np.empty((0, 3), dtype=np.int64)

    np.testing.assert_array_equal(sample_surface(vertices, none, 3), vertices[[0, 1, 0]])
    assert sample_surface(np.empty((0, 3)), none, 3).shape == (0, 3)
    with pytest.raises(ValueError, match="vertices"):
        sample_surface(vertices, np.array([[0, 1, 2]]), 3)
