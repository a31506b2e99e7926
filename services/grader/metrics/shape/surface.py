"""Points on the surface of a mesh, the same ones for the same mesh."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def sample_surface(
    vertices: NDArray[np.float64], faces: NDArray[np.int64], count: int, *, seed: int = 0
) -> NDArray[np.float64]:
    """``count`` points [count, 3] spread evenly by area over triangles.

    ``vertices`` [v, 3], ``faces`` [f, 3] of vertex indices. Each triangle gets its share of points
    by stratified positions along the summed areas, each at a uniform place in it (R. Osada et al.,
    "Shape distributions", 2002) from a generator of this ``seed``: no clock, no global state. 0/0:
    a mesh without area gives its vertices in turn, one without vertices no points. Raises
    ValueError for a face that names no vertex.
    """
    corners = np.asarray(vertices, dtype=np.float64).reshape(-1, 3)
    triangles = np.asarray(faces, dtype=np.int64).reshape(-1, 3)
    if len(triangles) and (triangles.min() < 0 or triangles.max() >= len(corners)):
        raise ValueError("a face is three of the mesh's vertices")
    if len(corners) == 0 or count <= 0:
        return np.empty((0, 3))
    origin, second, third = (corners[triangles[:, side]] for side in range(3))
    areas = np.linalg.norm(np.cross(second - origin, third - origin), axis=1) / 2
    ends = np.cumsum(areas)
    if len(ends) == 0 or not ends[-1] > 0:
        return corners[np.arange(count) % len(corners)]
    generator = np.random.Generator(np.random.PCG64(seed))
    place = (np.arange(count) + generator.random(count)) / count * ends[-1]
    chosen = np.minimum(np.searchsorted(ends, place, side="right"), len(ends) - 1)
    along, across = np.sqrt(generator.random(count)), generator.random(count)
    weights = np.stack([1 - along, along * (1 - across), along * across], axis=1)
    return np.asarray(np.einsum("nc,ncd->nd", weights, corners[triangles[chosen]]))
