"""Solids by formula: the parts of things, normals, the side that is not seen, and a surface."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from samples.example import Example, Floats, Media, Question, Split, generator
from samples.fields import Faces, off
from samples.media import xyz
from samples.tasks.space import SOLIDS, rotation

PART_POINTS = 96
NORMAL_POINTS = 256
HALF_POINTS = 64  # points that are seen of a solid
MESH_POINTS = 96
#: Directions of a mesh's vertices: circles of latitude between the poles, and meridians.
MESH_CIRCLES, MESH_MERIDIANS = 9, 16

_COUNTS = {Split.TRAIN: 100, Split.TEST: 40}

#: Part of a thing: from its number of points and random numbers to points, z upward from 0 to 1.
_Part = Callable[[int, np.random.Generator], Floats]


def _tube(radius: float, low: float, high: float, top: float | None = None) -> _Part:
    """The side of a cylinder, or of a cone's stump with the radius ``top`` at its upper end."""

    def points(count: int, rng: np.random.Generator) -> Floats:
        share, angle = rng.uniform(size=count), rng.uniform(0, 2 * np.pi, count)
        at = radius + share * ((radius if top is None else top) - radius)
        return np.stack(
            [at * np.cos(angle), at * np.sin(angle), low + share * (high - low)], axis=1
        )

    return points


def _disc(radius: float, height: float) -> _Part:
    def points(count: int, rng: np.random.Generator) -> Floats:
        angle, at = rng.uniform(0, 2 * np.pi, count), radius * np.sqrt(rng.uniform(size=count))
        return np.stack([at * np.cos(angle), at * np.sin(angle), np.full(count, height)], axis=1)

    return points


def _legs(reach: float, high: float) -> _Part:
    def points(count: int, rng: np.random.Generator) -> Floats:
        leg = np.pi / 4 + np.pi / 2 * rng.integers(4, size=count)
        middle = reach * np.stack([np.cos(leg), np.sin(leg)], axis=1)
        return np.column_stack(
            [middle + rng.normal(0, 0.02, (count, 2)), rng.uniform(0, high, count)]
        )

    return points


#: The parts of each thing; classes are numbered over all things, in this order.
THINGS: dict[str, tuple[_Part, ...]] = {
    "table": (_legs(0.45, 0.7), _disc(0.6, 0.72)),
    "lamp": (_disc(0.3, 0.02), _tube(0.03, 0.0, 0.6), _tube(0.4, 0.55, 1.0, 0.15)),
    "rocket": (_tube(0.35, 0.0, 0.2, 0.2), _tube(0.2, 0.15, 0.75), _tube(0.2, 0.7, 1.0, 0.0)),
}
FIRST_PART = {"table": 0, "lamp": 2, "rocket": 5}


def part_labels(split: Split) -> list[Example]:
    """Points on an upright thing, turned about its axis and stretched; the part of each point."""
    rng = generator("3d-c-004", split)
    prompt = (
        "Which part is each point of? Table: 0 legs, 1 top; lamp: 2 base, 3 pole, 4 shade; "
        "rocket: 5 fins, 6 body, 7 tip."
    )
    names = list(THINGS)
    examples = []
    for _ in range(_COUNTS[split]):
        name = names[rng.integers(len(names))]
        parts = THINGS[name]
        chosen = np.sort(rng.integers(len(parts), size=PART_POINTS))
        clouds = [part(int((chosen == at).sum()), rng) for at, part in enumerate(parts)]
        points = np.concatenate(clouds) * rng.uniform(0.7, 1.4, size=3)
        angle = rng.uniform(0, 2 * np.pi)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        points[:, :2] = points[:, :2] @ turn.T
        points += rng.normal(0, 0.02, points.shape)
        order = np.argsort(points[:, 2], kind="stable")
        labels = (chosen + FIRST_PART[name])[order].tolist()
        question = Question({"question": prompt, "thing": name}, {"points": xyz(points[order])})
        examples.append(Example(question, labels, {"points": ".xyz"}))
    return examples


def _normals(name: str, points: Floats) -> Floats:
    """Normals, of any length, of the unit solid's surface at its points [n, 3]."""
    x, y, z = points.T
    radius = np.hypot(x, y)
    if name == "torus":
        ring = points.copy()
        ring[:, :2] *= ((radius - 1) / radius)[:, None]
        return ring
    if name == "cube":
        side = np.abs(points).argmax(axis=1)
        return np.asarray(np.where(np.arange(3) == side[:, None], points, 0.0))
    if name == "cylinder":
        flat = np.abs(z) > 1 - 1e-9
        return np.stack([np.where(flat, 0, x), np.where(flat, 0, y), np.where(flat, z, 0)], axis=1)
    if name == "cone":
        # The side falls by 2 over a radius of 1.
        flat = z < -1 + 1e-9
        steep = np.where(radius > 0, 2 / np.where(radius > 0, radius, 1), 0.0)
        return np.stack(
            [np.where(flat, 0, steep * x), np.where(flat, 0, steep * y), np.where(flat, -1, 1)],
            axis=1,
        )
    return points.copy()


def surface_normals(split: Split) -> list[Example]:
    """Points on a turned, stretched solid; the surface's normal at each."""
    rng = generator("3d-c-005", split)
    prompt = "Give the normal of the surface at each of these points, three numbers a line."
    names = list(SOLIDS)
    examples = []
    for _ in range(60 if split is Split.TRAIN else 30):
        name = names[rng.integers(len(names))]
        unit = SOLIDS[name](rng.uniform(size=NORMAL_POINTS), rng.uniform(size=NORMAL_POINTS))
        stretch, turn = rng.uniform(0.7, 1.3, size=3), rotation(rng)
        points = (unit * stretch) @ turn.T
        normals = (_normals(name, unit) / stretch) @ turn.T
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        question = Question({"question": prompt}, {"points": xyz(points)})
        answer = Media(xyz(normals), ".xyz")
        examples.append(Example(question, answer, {"points": ".xyz"}))
    return examples


def solid_completion(split: Split) -> list[Example]:
    """The points of a solid that face the viewer; the cloud is points of all its surface."""
    rng = generator("3d-g-003", split)
    prompt = (
        "These are the points of a solid in front of the plane z = 0, on which its middle lies. "
        "Give points of all its surface."
    )
    names = list(SOLIDS)
    examples = []
    for _ in range(_COUNTS[split]):
        name = names[rng.integers(len(names))]
        stretch, turn = rng.uniform(0.7, 1.3, size=3), rotation(rng)

        def surface(
            count: int, name: str = name, stretch: Floats = stretch, turn: Floats = turn
        ) -> Floats:
            unit = SOLIDS[name](rng.uniform(size=count), rng.uniform(size=count))
            return np.asarray((unit * stretch) @ turn.T)

        whole, seen = surface(2 * HALF_POINTS), surface(8 * HALF_POINTS)
        seen = seen[seen[:, 2] > 0][:HALF_POINTS]
        question = Question({"question": prompt}, {"points": xyz(seen)})
        examples.append(Example(question, Media(xyz(whole), ".xyz"), {"points": ".xyz"}))
    return examples


def _power(values: Floats, exponent: float) -> Floats:
    return np.asarray(np.sign(values) * np.abs(values) ** exponent)


def superquadric(
    latitude: Floats, longitude: Floats, exponents: tuple[float, float], axes: Floats
) -> Floats:
    """Points [n, 3] of a superquadric (A. H. Barr, IEEE Computer Graphics 1(1), 1981)."""
    flat, round_ = exponents
    across = _power(np.cos(latitude), flat)
    unit = [
        across * _power(np.cos(longitude), round_),
        across * _power(np.sin(longitude), round_),
        _power(np.sin(latitude), flat),
    ]
    return np.stack(unit, axis=1) * axes


def mesh_faces() -> Faces:
    """The triangles of a mesh over circles of latitude, its last two vertices the poles."""
    faces: list[tuple[int, int, int]] = []
    south, north = MESH_CIRCLES * MESH_MERIDIANS, MESH_CIRCLES * MESH_MERIDIANS + 1
    last = (MESH_CIRCLES - 1) * MESH_MERIDIANS
    for at in range(MESH_MERIDIANS):
        following = (at + 1) % MESH_MERIDIANS
        faces += [(south, following, at), (north, last + at, last + following)]
        for circle in range(MESH_CIRCLES - 1):
            a, b = circle * MESH_MERIDIANS + at, circle * MESH_MERIDIANS + following
            faces += [(a, b, b + MESH_MERIDIANS), (a, b + MESH_MERIDIANS, a + MESH_MERIDIANS)]
    return np.array(faces)


def surface_mesh(split: Split) -> list[Example]:
    """Noisy points on a solid between box, ellipsoid and double pyramid; its surface as a mesh."""
    rng = generator("3d-g-004", split)
    prompt = "Give the closed surface through these points as a mesh of triangles."
    faces = mesh_faces()
    circles = np.linspace(-np.pi / 2, np.pi / 2, MESH_CIRCLES + 2)[1:-1]
    meridians = np.arange(MESH_MERIDIANS) * 2 * np.pi / MESH_MERIDIANS
    latitude, longitude = (part.ravel() for part in np.meshgrid(circles, meridians, indexing="ij"))
    examples = []
    for _ in range(80 if split is Split.TRAIN else 10):
        flat, round_ = (float(value) for value in rng.uniform(0.3, 1.8, size=2))
        axes = rng.uniform(0.5, 1.5, size=3)
        shape = superquadric(latitude, longitude, (flat, round_), axes)
        poles = np.array([[0, 0, -axes[2]], [0, 0, axes[2]]])
        points = superquadric(
            np.arcsin(rng.uniform(-1, 1, MESH_POINTS)),
            rng.uniform(-np.pi, np.pi, MESH_POINTS),
            (flat, round_),
            axes,
        )
        points += rng.normal(0, 0.01, points.shape)
        answer = Media(off(np.concatenate([shape, poles]), faces), ".off")
        question = Question({"question": prompt}, {"points": xyz(points)})
        examples.append(Example(question, answer, {"points": ".xyz"}))
    return examples
