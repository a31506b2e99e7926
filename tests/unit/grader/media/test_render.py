"""Renders: against rays through every pixel, against closed forms, and without surprises."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from services.grader.media import render
from services.grader.media.render import (
    RADIUS,
    SIDE,
    VIEWS,
    cameras,
    in_unit_sphere,
    render_cloud,
    render_mesh,
)

WHITE = 255


def box(*sides: float) -> tuple[NDArray[Any], NDArray[Any]]:
    mesh: Any = trimesh.creation.box(sides)
    return np.array(mesh.vertices), np.array(mesh.faces)


def ball(subdivisions: int) -> tuple[NDArray[Any], NDArray[Any]]:
    mesh: Any = trimesh.creation.icosphere(subdivisions=subdivisions)
    return np.array(mesh.vertices), np.array(mesh.faces)


def by_rays(
    corners: NDArray[np.float64], pixels: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The face that a ray along the view hits first in each pixel (row, column), -1 for none.

    T. Möller, B. Trumbore, "Fast, minimum storage ray/triangle intersection", 1997. The second says
    where the answer is clear: no edge within a hundredth of a pixel, no other face as near.
    """
    x = (pixels[:, 1] + 0.5 - SIDE / 2) / RADIUS
    y = (SIDE / 2 - pixels[:, 0] - 0.5) / RADIUS
    start = np.stack([x, y, np.full(len(x), 5.0)], 1)[:, None]
    origin, first, second = corners[:, 0], corners[:, 1], corners[:, 2]
    along, across = first - origin, second - origin
    ray = np.array([0.0, 0.0, -1.0])
    normal = np.cross(ray, across)
    determinant = (along * normal).sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        offset = start - origin
        u = (offset * normal).sum(-1) / determinant
        turned = np.cross(offset, along)
        v = (turned @ ray) / determinant
        distance = (turned * across).sum(-1) / determinant
        margin = np.minimum(np.minimum(u, v), 1 - u - v)
    hit = np.where(margin >= 0, distance, np.inf)
    nearest = np.where(np.isfinite(hit).any(1), hit.argmin(1), -1)
    ordered = np.sort(np.minimum(hit, 1e9), axis=1)
    apart = np.where(ordered[:, 0] < 1e9, ordered[:, 1] - ordered[:, 0], 1.0)
    clear = (np.abs(margin) > 1e-2).all(1) & ~(apart < 1e-6)
    return nearest, clear


@pytest.mark.parametrize("seed", range(4))
def test_every_pixel_shows_the_face_that_a_ray_hits_first(seed: int) -> None:
    random = np.random.default_rng(seed)
    vertices = random.normal(size=(12, 3))
    faces = np.array([random.permutation(12)[:3] for _ in range(9)])
    used = np.unique(faces)
    placed = np.zeros_like(vertices)
    placed[used] = in_unit_sphere(vertices[used])
    pixels = random.integers(0, SIDE, (4000, 2))
    views = render_mesh(vertices, faces)
    for view, camera in zip(views, cameras(), strict=True):
        corners = (placed @ camera.T)[faces]
        face, clear = by_rays(corners, pixels)
        shades = np.append(np.rint(render._shades(corners) * WHITE), WHITE)
        seen = view[pixels[:, 0], pixels[:, 1], 0]
        assert clear.mean() > 0.4
        np.testing.assert_array_equal(seen[clear], shades[face][clear])


def test_a_ball_is_a_disc_from_every_side() -> None:
    for view in render_mesh(*ball(5)):
        covered = (view[:, :, 0] < WHITE).sum()
        assert covered == pytest.approx(np.pi * RADIUS**2, rel=2e-3)
        assert (view[:, :, 0] < WHITE)[SIDE // 2, SIDE // 2]


def test_a_box_shows_its_front_and_its_lid_lit_by_the_lamp() -> None:
    front = render_mesh(*box(1, 1, 1))[0][:, :, 0]
    levels = sorted(set(front.ravel().tolist()) - {WHITE})
    # The camera stands in front and looks down by 15 degrees: two sides, of known slant.
    lamp = np.array([-0.4, 0.6, 0.7]) / np.linalg.norm([-0.4, 0.6, 0.7])
    sine, cosine = np.sin(np.deg2rad(15)), np.cos(np.deg2rad(15))
    lit = [np.array([0, -sine, cosine]) @ lamp, np.array([0, cosine, sine]) @ lamp]
    assert levels == sorted(round(255 * (0.2 + 0.6 * share)) for share in lit)
    edge = 2 * RADIUS / np.sqrt(3)
    face, lid = ((front == level).sum() for level in np.rint(255 * (0.2 + 0.6 * np.array(lit))))
    assert face == pytest.approx(edge**2 * cosine, rel=0.01)
    assert lid == pytest.approx(edge**2 * sine, rel=0.02)
    # The lid is above the front.
    rows = np.arange(SIDE)[:, None] * np.ones(SIDE)
    assert rows[front == levels[1]].max() < rows[front == levels[0]].max()


def test_a_quarter_turn_of_the_solid_is_two_views_on() -> None:
    vertices, faces = box(1, 2, 3)
    turned = vertices[:, [2, 1, 0]] * [-1, 1, 1]  # x to z: a quarter turn around y
    first, second = render_mesh(vertices, faces), render_mesh(turned, faces)
    for view in range(VIEWS):
        left, right = first[view], second[(view - 2) % VIEWS]
        assert (left != right).mean() < 2e-3


def test_where_and_how_large_a_solid_is_does_not_show() -> None:
    vertices, faces = ball(2)
    np.testing.assert_array_equal(
        render_mesh(vertices, faces), render_mesh(vertices * 1024 + 4096, faces)
    )
    # Vertices that no face uses are not part of it.
    np.testing.assert_array_equal(
        render_mesh(vertices, faces), render_mesh(np.concatenate([vertices, [[9, 9, 9]]]), faces)
    )


def test_what_is_nearer_hides_the_rest() -> None:
    # Two squares, the nearer one half as wide; seen from the back the wide one hides it.
    square = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], float)
    vertices = np.concatenate([square * [1, 1, 0], square * 0.5 + [0, 0, 0.5]])
    tilted = vertices.copy()
    tilted[4:, 2] += 0.2 * tilted[4:, 0]  # of another shade
    faces = np.array([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]])
    views = render_mesh(tilted, faces)[:, :, :, 0]
    assert len(set(views[0].ravel().tolist())) == 3
    assert len(set(views[4].ravel().tolist())) == 2


def test_points_are_discs_and_the_nearer_are_darker() -> None:
    # Of three points the first is nearest from the front, the second from the back.
    points = np.array([[-1.0, 0, 1], [1, 0, -1], [0, 0, 0]])
    views = render_cloud(points)[:, :, :, 0]
    front, back = views[0], views[4]
    assert len(set(front.ravel().tolist())) == 4
    left, right = front[:, : SIDE // 3], front[:, -SIDE // 3 :]
    assert left.min() < right.min()
    assert (left < WHITE).sum() == (right < WHITE).sum() == 21
    # Seen from behind, the camera above looks on the far end of the first.
    assert back[:, -SIDE // 3 :].min() > back[:, : SIDE // 3].min()
    one = render_cloud(points[:1])
    assert ((one < WHITE).sum(axis=(1, 2, 3)) == 21 * 3).all()


def test_a_dense_cloud_covers_what_its_mesh_covers() -> None:
    mesh: Any = trimesh.creation.torus(1.0, 0.4)
    cloud, _ = trimesh.sample.sample_surface(mesh, 150_000, seed=3)
    solid = render_mesh(np.array(mesh.vertices), np.array(mesh.faces)) < WHITE
    dense = render_cloud(np.array(cloud)) < WHITE
    assert (solid & ~dense).sum() == 0
    # Discs of a pixel's radius reach over the edge, all around and inside.
    assert (dense & ~solid).mean() < 0.03


def test_a_mesh_of_too_many_faces_looks_as_before() -> None:
    # A wave of 300,000 small faces against the same of 45,000.
    def wave(count: int) -> NDArray[np.uint8]:
        at = np.linspace(-1, 1, count)
        x, y = (side.ravel() for side in np.meshgrid(at, at))
        number = np.arange(count * count).reshape(count, count)
        a, b, c, d = (
            part.ravel()
            for part in (number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:])
        )
        faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
        return render_mesh(np.stack([x, y, 0.3 * np.sin(4 * x)], 1), faces)

    fine, coarse = wave(390).astype(int), wave(150).astype(int)
    assert ((fine < WHITE) != (coarse < WHITE)).mean() < 0.01
    assert np.abs(fine - coarse).mean() < 4
    assert ((fine < WHITE).sum() / (coarse < WHITE).sum()) == pytest.approx(1, abs=0.03)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_mesh_raises_and_each_has_the_same_views_twice(data: st.DataObject) -> None:
    number = st.one_of(
        st.sampled_from([0.0, 1.0, -1.0, 1e15, -1e15, 1e-300, 0.5]), st.floats(-10, 10)
    )
    rows = data.draw(st.lists(st.tuples(number, number, number), min_size=1, max_size=6))
    corner = st.integers(0, len(rows) - 1)
    triangles = data.draw(st.lists(st.tuples(corner, corner, corner), min_size=1, max_size=6))
    vertices, faces = np.array(rows), np.array(triangles, dtype=np.int32)
    views = render_mesh(vertices, faces)
    assert views.shape == (VIEWS, SIDE, SIDE, 3)
    assert views.dtype == np.uint8
    np.testing.assert_array_equal(views, render_mesh(vertices, faces))
    cloud = render_cloud(vertices.astype(np.float32))
    assert cloud.shape == views.shape
    assert (cloud < WHITE).any(axis=(1, 2, 3)).all()


def test_the_work_of_one_view_is_bounded() -> None:
    # Layers that each cover a view's whole width: those that come first are drawn, the others not.
    strip = np.array([[-1, -0.1, 0], [1, -0.1, 0], [0, 0.1, 0]], float)
    count = 4_000
    layers = strip + np.linspace(0, 1e-3, count)[:, None, None] * [0, 0, 1]
    lone = np.array([[[-0.1, 0.9, 0], [0.1, 0.9, 0], [0, 1, 0]]])
    faces = np.arange(3 * (count + 1)).reshape(-1, 3)
    first = render_mesh(np.concatenate([lone, layers]).reshape(-1, 3), faces)[0] < WHITE
    last = render_mesh(np.concatenate([layers, lone]).reshape(-1, 3), faces)[0] < WHITE
    assert first[: SIDE // 2].any()
    assert not last[: SIDE // 2].any()
    assert last[SIDE // 2 :].any()
