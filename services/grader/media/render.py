"""Pictures of point clouds and meshes from all sides, on the CPU, the same for the same solid.

Eight views, 45 degrees apart around the vertical axis y (up, as in glTF), 15 degrees above the
horizon, in parallel projection; the solid fills the unit sphere around the middle of its box. Grey
on white: triangles are flat and lit from above the viewer's left shoulder on whichever side faces
him, points are small discs, lighter the farther they are. What is nearest hides the rest (E.
Catmull's depth buffer, 1974). Without a surface or a point to draw a view is white.

The work is bounded whatever a lab sends, see the limits below.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_Numbers = NDArray[np.float64]
_Integers = NDArray[np.int64]

SIDE: Final = 224  # pixels
VIEWS: Final = 8
ELEVATION: Final = np.deg2rad(15.0)
#: Pixels from the middle of a view to the unit sphere.
RADIUS: Final = 100.0

#: Points that are drawn; of a larger cloud as many, evenly spaced in its order.
MOST_POINTS: Final = 200_000
#: Faces that are drawn. Of a larger mesh the vertices within one pixel's cube become one first.
MOST_FACES: Final = 200_000
#: Rows of triangles, and their pixels, that are drawn in one view: some 40 layers of the whole
#: picture. The faces that come later in the file than these are not drawn.
MOST_SPANS: Final = 2_000_000
MOST_FRAGMENTS: Final = 2_000_000
#: Discs of a cloud: their radius in pixels, up to so many points, and of more.
FEW_POINTS: Final = 20_000
WIDE, NARROW = 2, 1

#: Towards the light from the viewer: right, up, back to him.
_LIGHT: Final = np.array([-0.4, 0.6, 0.7]) / np.linalg.norm([-0.4, 0.6, 0.7])
#: Shades of a face turned away from the light and towards it, of a point near and far; 0 black.
_DARK, _BRIGHT = 0.2, 0.8
_NEAR, _FAR = 0.2, 0.75
_WHITE: Final = 255
_EMPTY: Final = np.iinfo(np.uint64).max
_DEPTHS: Final = 2**31 - 1
#: Doubled areas in square pixels below which a triangle is seen edge-on, and the room for rounding
#: at the ends of a row, in pixels.
_EDGE_ON: Final = 1e-9
_ROUNDING: Final = 1e-9


def render_cloud(points: NDArray[Any]) -> NDArray[np.uint8]:
    """Views uint8 [VIEWS, SIDE, SIDE, 3] of points [n, 3], finite, n at least 1."""
    if len(points) > MOST_POINTS:
        points = points[np.arange(MOST_POINTS) * len(points) // MOST_POINTS]
    placed = in_unit_sphere(points)
    disc = _disc(WIDE if len(placed) <= FEW_POINTS else NARROW)
    return np.stack([_splats(placed @ camera.T, disc) for camera in cameras()])


def render_mesh(vertices: NDArray[Any], faces: NDArray[Any]) -> NDArray[np.uint8]:
    """Views uint8 [VIEWS, SIDE, SIDE, 3] of triangles [f, 3] of vertices [v, 3], finite."""
    used = np.zeros(len(vertices), dtype=np.bool_)
    used[faces] = True
    placed = in_unit_sphere(vertices[used])
    corners = (np.cumsum(used) - 1)[faces]
    if len(corners) > MOST_FACES:
        placed, corners = _clustered(placed, corners)
    if len(corners) > MOST_FACES:
        corners = corners[np.arange(MOST_FACES) * len(corners) // MOST_FACES]
    return np.stack([_triangles((placed @ camera.T)[corners]) for camera in cameras()])


def cameras() -> Iterator[_Numbers]:
    """Per view the directions right, up and towards the viewer, as rows [3, 3]."""
    for azimuth in 2 * np.pi * np.arange(VIEWS) / VIEWS:
        sine, cosine = np.sin(azimuth), np.cos(azimuth)
        high, flat = np.sin(ELEVATION), np.cos(ELEVATION)
        yield np.array(
            [
                [cosine, 0.0, -sine],
                [-high * sine, flat, -high * cosine],
                [flat * sine, high, flat * cosine],
            ]
        )


def in_unit_sphere(points: NDArray[Any]) -> _Numbers:
    """Points [n, 3] around the middle of their box, the farthest at distance 1; 0/0: all at 0."""
    placed = np.asarray(points, dtype=np.float64)
    if not len(placed):
        return placed
    placed = np.asarray(placed - (placed.max(axis=0) + placed.min(axis=0)) / 2)
    largest = np.abs(placed).max()
    if largest > 0:
        placed /= largest  # first, so that no square vanishes
        placed /= np.linalg.norm(placed, axis=1).max()
    return placed


def _clustered(vertices: _Numbers, corners: _Integers) -> tuple[_Numbers, _Integers]:
    """A mesh whose vertices in one cell of a pixel's size became their mean, collapsed faces out.

    J. Rossignac, P. Borrel, "Multi-resolution 3D approximations for rendering", 1993.
    """
    cells = ((vertices + 1) * RADIUS).astype(np.int64)
    width = int(2 * RADIUS) + 1
    codes = (cells[:, 0] * width + cells[:, 1]) * width + cells[:, 2]
    _, cluster = np.unique(codes, return_inverse=True)
    counts = np.bincount(cluster)
    means = [np.bincount(cluster, weights=vertices[:, axis]) / counts for axis in range(3)]
    found = cluster[corners]
    apart = (
        (found[:, 0] != found[:, 1]) & (found[:, 1] != found[:, 2]) & (found[:, 2] != found[:, 0])
    )
    return np.stack(means, axis=1), found[apart]


def _disc(radius: int) -> _Integers:
    """The pixels [m, 2] of a disc around (0, 0)."""
    reach = np.arange(-radius, radius + 1)
    rows, columns = np.meshgrid(reach, reach, indexing="ij")
    inside = rows**2 + columns**2 <= radius**2 + 1
    return np.stack([rows[inside], columns[inside]], axis=1)


def _splats(points: _Numbers, disc: _Integers) -> NDArray[np.uint8]:
    """One view of points [n, 3] in a camera's directions."""
    buffer = _Buffer()
    column = np.floor(SIDE / 2 + RADIUS * points[:, 0]).astype(np.int64)
    row = np.floor(SIDE / 2 - RADIUS * points[:, 1]).astype(np.int64)
    index = np.arange(len(points))
    for down, right in disc.tolist():
        buffer.draw(row + down, column + right, points[:, 2], index)
    return buffer.picture(_NEAR + (_FAR - _NEAR) * (1 - points[:, 2]) / 2)


def _triangles(corners: _Numbers) -> NDArray[np.uint8]:
    """One view of triangles [f, 3 corners, 3] in a camera's directions."""
    buffer = _Buffer()
    spans = _spans(SIDE / 2 + RADIUS * corners[:, :, 0], SIDE / 2 - RADIUS * corners[:, :, 1])
    lengths = spans.last - spans.first + 1
    kept = np.searchsorted(np.cumsum(lengths), MOST_FRAGMENTS, side="right")
    of_span = np.repeat(np.arange(kept), lengths[:kept])
    face, row = spans.face[of_span], spans.row[of_span]
    column = spans.first[of_span] + _count_up(lengths[:kept])
    buffer.draw(row, column, _depths(corners, face, row, column), face)
    return buffer.picture(_shades(corners))


@dataclass(frozen=True, slots=True)
class _Spans:
    """Rows of triangles: the pixels ``first`` to ``last`` of ``row`` belong to ``face``."""

    face: _Integers
    row: _Integers
    first: _Integers
    last: _Integers


def _spans(x: _Numbers, y: _Numbers) -> _Spans:
    """The rows of triangles with corners [f, 3] in pixels; a pixel is in if its middle is."""
    area = (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (x[:, 2] - x[:, 0]) * (y[:, 1] - y[:, 0])
    top, bottom = _within(y.min(axis=1), y.max(axis=1))
    heights = np.where(np.abs(area) > _EDGE_ON, np.maximum(bottom - top + 1, 0), 0)
    kept = np.searchsorted(np.cumsum(heights), MOST_SPANS, side="right")
    heights = heights[:kept]
    face = np.repeat(np.arange(kept), heights)
    row = top[face] + _count_up(heights)
    low, high = np.full(len(face), -np.inf), np.full(len(face), np.inf)
    turn = np.sign(area)[face]
    for start, end in ((0, 1), (1, 2), (2, 0)):
        # The inside of an edge is where rise * (column - x) <= run * (row - y).
        rise = turn * (y[:, end] - y[:, start])[face]
        run = turn * (x[:, end] - x[:, start])[face]
        right_side = run * (row + 0.5 - y[face, start])
        with np.errstate(divide="ignore", invalid="ignore"):
            crossing = x[face, start] + right_side / rise
        high = np.where(rise > 0, np.minimum(high, crossing), high)
        low = np.where(rise < 0, np.maximum(low, crossing), low)
        low = np.where((rise == 0) & (right_side < 0), np.inf, low)
    first, last = _within(low, high)
    some = first <= last
    return _Spans(face[some], row[some], first[some], last[some])


def _within(low: _Numbers, high: _Numbers) -> tuple[_Integers, _Integers]:
    """The first and the last pixel of a side whose middles lie from low to high."""
    first = np.clip(np.ceil(low - 0.5 - _ROUNDING), 0, SIDE)
    last = np.clip(np.floor(high - 0.5 + _ROUNDING), -1, SIDE - 1)
    return first.astype(np.int64), last.astype(np.int64)


def _count_up(lengths: _Integers) -> _Integers:
    """0, 1, … for each of ``lengths``, one after the other."""
    return np.asarray(np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths))


def _depths(
    corners: _Numbers, face: _Integers, row: _Integers, column: _Integers
) -> NDArray[np.float64]:
    """How near to the viewer the planes of ``face`` are at the middles of pixels."""
    origin = corners[:, 0]
    normal = np.cross(corners[:, 1] - origin, corners[:, 2] - origin)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope_x, slope_y = normal[:, 0] / normal[:, 2], normal[:, 1] / normal[:, 2]
    right = (column + 0.5 - SIDE / 2) / RADIUS - origin[face, 0]
    up = (SIDE / 2 - row - 0.5) / RADIUS - origin[face, 1]
    depth = origin[face, 2] - slope_x[face] * right - slope_y[face] * up
    # Rounding may leave a steep triangle's own range.
    ends = corners[:, :, 2]
    return np.asarray(np.clip(depth, ends.min(axis=1)[face], ends.max(axis=1)[face]))


def _shades(corners: _Numbers) -> _Numbers:
    """Per triangle the shade of its side that faces the viewer."""
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(normal, axis=1)
    towards = np.where(normal[:, 2] < 0, -1.0, 1.0) * (normal @ _LIGHT)
    lit = np.divide(towards, length, out=np.zeros_like(length), where=length > 0)
    return np.asarray(_DARK + (_BRIGHT - _DARK) * np.clip(lit, 0.0, 1.0))


class _Buffer:
    """Per pixel what was drawn nearest; of equally near ones that of the lower index."""

    def __init__(self) -> None:
        self._nearest = np.full(SIDE * SIDE, _EMPTY, dtype=np.uint64)

    def draw(self, row: _Integers, column: _Integers, depth: _Numbers, index: _Integers) -> None:
        """Fragments at ``depth`` -1..1, larger is nearer; those outside the view are left out."""
        inside = (row >= 0) & (row < SIDE) & (column >= 0) & (column < SIDE)
        far = np.rint((1 - np.clip(depth[inside], -1, 1)) / 2 * _DEPTHS).astype(np.uint64)
        keys = far << np.uint64(32) | index[inside].astype(np.uint64)
        np.minimum.at(self._nearest, (row * SIDE + column)[inside], keys)

    def picture(self, shades: _Numbers) -> NDArray[np.uint8]:
        """The view, uint8 [SIDE, SIDE, 3], from the shade 0..1 of each index."""
        drawn = self._nearest != _EMPTY
        index = (self._nearest[drawn] & np.uint64(2**32 - 1)).astype(np.int64)
        grey = np.full(SIDE * SIDE, _WHITE, dtype=np.uint8)
        grey[drawn] = np.rint(shades[index] * _WHITE).astype(np.uint8)
        return np.repeat(grey.reshape(SIDE, SIDE, 1), 3, axis=2)
