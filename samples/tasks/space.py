"""3D: solids and throws by formula, depth from a real stereo photograph."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from samples import sources
from samples.example import Bytes, Example, Floats, Media, Question, Split, generator, rounded
from samples.fields import depth_png
from samples.media import png, xyz

SOLID_POINTS = 64
PATCH_SIDE = 24  # pixels of the left picture's patch
SEARCH_PIXELS = 64  # how far left the right picture is shown
GRID_SIDE = 8  # samples of a depth surface
GRID_STEP = 3  # pixels between them
THROW_GIVEN = 10
THROW_PREDICTED = 5

_MOST_UNKNOWN = 0.2  # share of a patch's pixels


def _sphere(u: Floats, v: Floats) -> Floats:
    z, angle = 2 * u - 1, 2 * np.pi * v
    radius = np.sqrt(1 - z**2)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)


def _cube(u: Floats, v: Floats) -> Floats:
    side = np.floor(6 * u).astype(int) % 6
    a, b = 2 * (6 * u % 1) - 1, 2 * v - 1
    points = np.empty((len(u), 3))
    for axis in range(3):
        on = side // 2 == axis
        points[on, axis] = np.where(side[on] % 2, 1.0, -1.0)
        points[on, (axis + 1) % 3], points[on, (axis + 2) % 3] = a[on], b[on]
    return points


def _cylinder(u: Floats, v: Floats) -> Floats:
    angle = 2 * np.pi * v
    # A third of the area is the two ends.
    radius = np.where(u < 1 / 3, np.sqrt(3 * u), 1.0)
    z = np.where(u < 1 / 3, np.where(v < 0.5, -1.0, 1.0), 3 * (u - 1 / 3) - 1)
    return np.stack([radius * np.cos(4 * angle), radius * np.sin(4 * angle), z], axis=1)


def _cone(u: Floats, v: Floats) -> Floats:
    angle = 2 * np.pi * v
    radius = np.sqrt((3 * u) % 1)
    z = np.where(u < 1 / 3, -1.0, 1 - 2 * radius)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)


def _torus(u: Floats, v: Floats) -> Floats:
    a, b = 2 * np.pi * u, 2 * np.pi * v
    radius = 1 + 0.4 * np.cos(b)
    return np.stack([radius * np.cos(a), radius * np.sin(a), 0.4 * np.sin(b)], axis=1)


#: From two columns of uniform numbers to points on the surface.
SOLIDS: dict[str, Callable[[Floats, Floats], Floats]] = {
    "sphere": _sphere,
    "cube": _cube,
    "cylinder": _cylinder,
    "cone": _cone,
    "torus": _torus,
}


def rotation(rng: np.random.Generator) -> Floats:
    """A random rotation [3, 3]: Q of a QR decomposition, with the signs that make it uniform."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return np.asarray(q if np.linalg.det(q) > 0 else -q)


def _solid(rng: np.random.Generator) -> tuple[str, Floats, Floats]:
    """A solid's name, its points [64, 3] turned and stretched, and the three stretch factors."""
    names = list(SOLIDS)
    name = names[rng.integers(len(names))]
    stretch = rng.uniform(0.7, 1.3, size=3)
    points = SOLIDS[name](rng.uniform(size=SOLID_POINTS), rng.uniform(size=SOLID_POINTS))
    return name, (points * stretch) @ rotation(rng).T, stretch


def solid_recognition(split: Split) -> list[Example]:
    """Points on a turned, stretched solid; the label is its name."""
    rng = generator("3d-c-001", split)
    prompt = f"Which solid do these points lie on: {', '.join(SOLIDS)}?"
    examples = []
    for _ in range(500 if split is Split.TRAIN else 80):
        name, points, _ = _solid(rng)
        noisy = points + rng.normal(0, 0.05, points.shape)
        question = Question({"question": prompt}, {"points": xyz(noisy)})
        examples.append(Example(question, name, {"points": ".xyz"}))
    return examples


def stereo_disparity(split: Split) -> list[Example]:
    """A patch and the strip of the other eye's picture; the number is the patch's disparity."""
    scene = sources.stereo(split)
    rng = generator("3d-c-002", split)
    prompt = (
        "The left picture's patch lies in the right picture's strip some pixels further left. "
        "By how many pixels (its centre, 0 is the strip's right end)?"
    )
    height, width = scene.left.shape
    examples: list[Example] = []
    while len(examples) < (300 if split is Split.TRAIN else 60):
        y = int(rng.integers(height - PATCH_SIDE))
        x = int(rng.integers(SEARCH_PIXELS, width - PATCH_SIDE))
        middle = scene.disparity[y + 8 : y + 16, x + 8 : x + 16]
        if np.isnan(middle).any() or np.ptp(middle) > 2:
            continue  # an edge in depth has no one disparity
        media = {
            "left": png(_cut(scene.left, y, x, PATCH_SIDE)),
            "right": png(_cut(scene.right, y, x - SEARCH_PIXELS, PATCH_SIDE + SEARCH_PIXELS)),
        }
        answer = rounded([float(np.median(middle))], 2)[0]
        question = Question({"question": prompt}, media)
        examples.append(Example(question, answer, {"left": ".png", "right": ".png"}))
    return examples


def stereo_depth(split: Split) -> list[Example]:
    """A patch and the other eye's strip, as for the disparity; the depth of each pixel."""
    scene = sources.stereo(split)
    rng = generator("3d-c-003", split)
    prompt = (
        "How far is each pixel of the left picture's patch? Depth in metres is "
        f"{sources.FOCAL_PIXELS * sources.BASELINE_M:.2f} / (disparity in pixels + "
        f"{sources.PRINCIPAL_PIXELS}). Answer with a PNG of 16 bits in millimetres."
    )
    height, width = scene.left.shape
    examples: list[Example] = []
    while len(examples) < (100 if split is Split.TRAIN else 40):
        y = int(rng.integers(height - PATCH_SIDE))
        x = int(rng.integers(SEARCH_PIXELS, width - PATCH_SIDE))
        disparity = scene.disparity[y : y + PATCH_SIDE, x : x + PATCH_SIDE]
        if np.isnan(disparity).mean() > _MOST_UNKNOWN:
            continue
        media = {
            "left": png(_cut(scene.left, y, x, PATCH_SIDE)),
            "right": png(_cut(scene.right, y, x - SEARCH_PIXELS, PATCH_SIDE + SEARCH_PIXELS)),
        }
        answer = Media(depth_png(sources.depth_of(disparity)), ".png")
        question = Question({"question": prompt}, media)
        examples.append(Example(question, answer, {"left": ".png", "right": ".png"}))
    return examples


def _cut(whole: Bytes, y: int, x: int, width: int) -> Bytes:
    return np.ascontiguousarray(whole[y : y + PATCH_SIDE, x : x + width])


def surface_completion(split: Split) -> list[Example]:
    """The left half of a real depth surface as points; the series is the right half's depths."""
    disparity = sources.stereo(split).disparity
    rng = generator("3d-g-001", split)
    half = GRID_SIDE // 2
    prompt = f"Complete the surface: the {GRID_SIDE} x {half} depths of its right half, row by row."
    reach = GRID_SIDE * GRID_STEP
    examples: list[Example] = []
    while len(examples) < (400 if split is Split.TRAIN else 60):
        y, x = (int(rng.integers(size - reach)) for size in disparity.shape)
        grid = disparity[y : y + reach : GRID_STEP, x : x + reach : GRID_STEP]
        if np.isnan(grid).any() or np.ptp(grid) < 1:
            continue
        rows, columns = np.mgrid[:GRID_SIDE, :half]
        points = np.stack([columns.ravel(), rows.ravel(), grid[:, :half].ravel()], axis=1)
        question = Question({"question": prompt}, {"points": xyz(points.astype(np.float64))})
        answer = rounded(grid[:, half:].ravel(), 2)
        examples.append(Example(question, answer, {"points": ".xyz"}))
    return examples


def fly(place: Floats, speed: Floats, count: int) -> Floats:
    """Places [count, 3] in decimetres, every 0.1 s, of a ball with drag that bounces.

    ``place`` is the first of them, ``speed`` in decimetres per second.
    """
    step, gravity, drag = 0.1, 98.1, 0.004  # s, dm/s², 1/dm
    place, speed = place.astype(np.float64), speed.astype(np.float64)
    places = np.empty((count, 3))
    for at in places:
        at[:] = place
        pull = -drag * np.linalg.norm(speed) * speed - np.array([0, 0, gravity])
        speed = speed + step * pull
        place = place + step * speed
        if place[2] < 0:
            place[2], speed[2] = -place[2], -0.75 * speed[2]
    return places


def throw_continuation(split: Split) -> list[Example]:
    """Ten measured places of a thrown ball; the series is the next five, x y z each."""
    rng = generator("3d-g-002", split)
    prompt = (
        "The points are a ball's places every 0.1 s, in decimetres, z upwards, the ground at 0. "
        "Give x, y and z of its next 5 places."
    )
    examples = []
    for _ in range(500 if split is Split.TRAIN else 60):
        place = np.array([*rng.uniform(-20, 20, 2), rng.uniform(5, 20)])
        speed = np.array([*rng.uniform(-60, 60, 2), rng.uniform(0, 50)])
        places = fly(place, speed, THROW_GIVEN + THROW_PREDICTED)
        seen = places[:THROW_GIVEN] + rng.normal(0, 0.3, (THROW_GIVEN, 3))
        question = Question({"question": prompt}, {"points": xyz(seen)})
        answer = rounded(places[THROW_GIVEN:].ravel(), 2)
        examples.append(Example(question, answer, {"points": ".xyz"}))
    return examples
