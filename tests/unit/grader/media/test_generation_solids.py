"""Clouds and meshes of answers: distances of their points, and what their renders show."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray

from general_level.catalogue.model import AnswerKind
from services.grader.decode.values import Mesh
from services.grader.media.solids import MOST_POINTS, SURFACE_POINTS, points_of, thinned
from tests.unit.grader.media.generation_jobs import (
    Served,
    colour_words,
    filled,
    mean_colour,
    npy,
    ply,
    png,
    score,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # deprecations inside the oracle, not ours
    import point_cloud_utils  # type: ignore[import-untyped]

CLOUD, MESH = AnswerKind.POINT_CLOUD, AnswerKind.MESH
NETWORKS = Served({"clip_image": mean_colour, "clip_text": colour_words})


def ball(radius: float) -> bytes:
    mesh: Any = trimesh.creation.icosphere(subdivisions=4, radius=radius)
    return ply(mesh.vertices, mesh.faces)


def points(seed: int, count: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=(count, 3))


def test_the_distance_of_clouds_is_point_cloud_utils() -> None:
    made, true = points(0, 300), points(1, 200)
    result, unfit = score(
        "chamfer-distance",
        ["made.npy", None, "true.ply"],
        [["true.npy"]] * 3,
        files={"made.npy": npy(made), "true.ply": ply(true)},
        key_files={"true.npy": npy(true)},
        kind=CLOUD,
    )
    assert result.per_sample is not None
    assert result.per_sample[0] == pytest.approx(point_cloud_utils.chamfer_distance(made, true))
    assert result.per_sample[2] == pytest.approx(0, abs=1e-6)
    assert (result.missing, unfit) == (1, set())


def test_options_choose_the_form_of_the_distance() -> None:
    files = {
        "a.npy": npy(np.array([[0.0, 0, 0], [1, 0, 0]])),
        "b.npy": npy(np.array([[0.0, 0, 3]])),
    }
    options = {"norm": "squared", "points": "sum", "directions": "mean", "scale": "10"}
    result, _ = score(
        "chamfer-distance", ["a.npy"], [["b.npy"]], files=files, key_files=files, kind=CLOUD,
        options=options,
    )  # fmt: skip
    assert result.value == pytest.approx(10 * ((9 + 10) + 9) / 2)


def test_two_balls_are_twice_their_radii_apart() -> None:
    result, _ = score(
        "chamfer-distance",
        ["two.ply", "one.ply"],
        [["one.ply"], ["one.ply"]],
        files={"two.ply": ball(2.0), "one.ply": ball(1.0)},
        key_files={"one.ply": ball(1.0)},
        kind=MESH,
    )
    assert result.per_sample is not None
    assert result.per_sample[0] == pytest.approx(2.0, rel=5e-3)
    assert result.per_sample[1] == 0.0


def test_a_mesh_is_compared_by_so_many_points_and_a_cloud_by_its_own() -> None:
    triangle = Mesh(np.eye(3, dtype=np.float32), np.array([[0, 1, 2]], np.int32))
    on_surface = points_of(triangle)
    assert on_surface.shape == (SURFACE_POINTS, 3)
    np.testing.assert_allclose(on_surface.sum(axis=1), 1.0, atol=1e-12)
    cloud = points(2, 50).astype(np.float32)
    np.testing.assert_array_equal(points_of(cloud), cloud)
    assert points_of(np.zeros((MOST_POINTS + 1, 3), np.float32)).shape == (MOST_POINTS, 3)
    counted = np.repeat(np.arange(10)[:, None], 3, axis=1)
    assert thinned(counted, 4)[:, 0].tolist() == [0, 2, 5, 7]


def test_renders_are_told_from_white_and_from_other_shades() -> None:
    files = {"a.ply": ball(3.0), "b.npy": npy(points(3, 500))}
    for kind, path in ((MESH, "a.ply"), (CLOUD, "b.npy")):
        by_text, _ = score(
            "render-clip-text",
            [path, None],
            [["white"], ["white"]],
            files=files,
            networks=NETWORKS,
            kind=kind,
        )
        assert by_text.per_sample is not None
        # Grey on white has the colour of white whatever its brightness.
        np.testing.assert_allclose(by_text.per_sample, [100, -100], atol=1e-9)
        by_picture, _ = score(
            "render-clip-image",
            [path],
            [["white.png", "red.png"]],
            files=files,
            key_files={"white.png": png(filled("white")), "red.png": png(filled("red"))},
            networks=NETWORKS,
            kind=kind,
        )
        assert by_picture.value == pytest.approx((100 + 100 / np.sqrt(3)) / 2)


@pytest.mark.parametrize("metric_id", ["chamfer-distance", "render-clip-text", "render-clip-image"])
@pytest.mark.parametrize("kind", [CLOUD, MESH])
def test_nothing_that_a_lab_can_send_raises(metric_id: str, kind: AnswerKind) -> None:
    same = np.ones((4, 3))
    line = np.linspace(0, 1, 12).reshape(4, 3)
    huge = np.array([[-1e15, 0, 0], [1e15, 1e15, 0], [0, 0, 1e-9], [0, 1, 1e15]])
    faces = np.array([[0, 1, 2], [0, 0, 0], [3, 2, 1], [0, 1, 2]])
    solids = {"same": same, "line": line, "huge": huge, "dot": same[:1]}
    files = {f"{name}.npy": npy(cloud) for name, cloud in solids.items()}
    if kind is MESH:
        files = {f"{name}.ply": ply(cloud, faces % len(cloud)) for name, cloud in solids.items()}
    reference = {"chamfer-distance": "true", "render-clip-text": "white"}.get(metric_id, "a.png")
    key_files = {
        "true": b"",
        "true.npy": npy(points(4, 40)),
        "true.ply": ball(1.0),
        "a.png": png(filled("blue")),
    }
    if reference == "true":
        reference = "true.ply" if kind is MESH else "true.npy"
    result, unfit = score(
        metric_id,
        [*files, None],
        [[reference]] * (len(files) + 1),
        files=files,
        key_files=key_files,
        networks=NETWORKS,
        kind=kind,
    )
    assert np.isfinite(result.value)
    assert (result.missing, unfit) == (1, set())
