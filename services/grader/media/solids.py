"""Point clouds and meshes of answers and keys: as points for distances, as renders for CLIP."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.grader.decode.values import Mesh
from services.grader.media.accepted import all_accepted, firsts
from services.grader.media.binding import MediaJob
from services.grader.media.key_reader import KeyReader
from services.grader.media.pictures import read_seen
from services.grader.media.prompts import text
from services.grader.media.render import render_cloud, render_mesh
from services.grader.metrics.shape.surface import sample_surface

Cloud = NDArray[np.float64]
Columns = tuple[Any, ...]

#: Points on a mesh, of answer and key alike: J. J. Park et al., "DeepSDF", CVPR 2019. Nearest
#: neighbours of a bad answer cost up to the square of their number.
SURFACE_POINTS: Final = 30_000
#: Points of a cloud that are compared; of a larger one as many, evenly spaced in its order.
MOST_POINTS: Final = 100_000


def points_of(solid: NDArray[Any] | Mesh) -> Cloud:
    """A cloud's points, or points spread evenly over a mesh: float64 [points, 3]."""
    if isinstance(solid, Mesh):
        return sample_surface(solid.vertices, solid.faces.astype(np.int64), SURFACE_POINTS)
    return thinned(solid, MOST_POINTS).astype(np.float64)


def views_of(solid: NDArray[Any] | Mesh) -> NDArray[np.uint8]:
    """Renders of a cloud or a mesh, uint8 [views, height, width, 3]."""
    if isinstance(solid, Mesh):
        return render_mesh(solid.vertices, solid.faces)
    return render_cloud(solid)


def thinned(points: NDArray[Any], count: int) -> NDArray[Any]:
    """``count`` of the points [n, 3], evenly spaced in their order; all where they are no more."""
    if len(points) <= count:
        return points
    return points[np.arange(count) * len(points) // count]


def read_points(key: KeyReader, value: object) -> Cloud:
    """The points of a path's cloud or mesh; the task says which."""
    return points_of(key.answer(value))


def beside_shape(job: MediaJob) -> Columns:
    """Points of answers and of the key."""
    return job.answered(points_of), job.expected(read_points)


def with_texts(job: MediaJob) -> Columns:
    """Renders and their texts."""
    return job.answered(views_of), firsts(job, text)


def with_pictures(job: MediaJob) -> Columns:
    """Renders and all pictures of each object."""
    return job.answered(views_of), all_accepted(job, read_seen)
