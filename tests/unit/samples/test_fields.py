"""Fields, masks and meshes: the way to a file and back, and what others read in them."""

from __future__ import annotations

import numpy as np
import trimesh
from pycocotools import mask as coco_mask

from samples import fields
from samples.tasks import solids, walk
from services.grader.decode.formats.flows import read_depth, read_flow
from services.grader.decode.formats.images import read_panoptic

RNG = np.random.default_rng(0)


def test_flow() -> None:
    flow = RNG.normal(size=(3, 5, 2)).astype(np.float32)
    assert (fields.read_flo(fields.flo(flow)) == flow).all()
    assert (read_flow(fields.flo(flow), ".flo")["flow"] == flow).all()


def test_depth() -> None:
    metres = RNG.uniform(1, 60, size=(4, 6))
    metres[1, 2] = np.nan
    back = fields.read_depth_png(fields.depth_png(metres))
    assert back[1, 2] == 0
    assert np.nanmax(np.abs(np.where(np.isnan(metres), np.nan, back) - metres)) <= 0.0005 + 1e-9
    assert np.allclose(read_depth(fields.depth_png(metres), ".png")["depth"], back)


def test_segments() -> None:
    numbers = RNG.integers(200, size=(4, 6)).astype(np.uint8)
    assert (fields.read_segments_png(fields.segments_png(numbers)) == numbers).all()
    assert (read_panoptic(fields.segments_png(numbers))["pixels"] == numbers).all()


def test_masks() -> None:
    for share in (0.0, 0.3, 1.0):
        mask = RNG.uniform(size=(5, 7)) < share
        runs = fields.mask_runs(mask)
        assert (fields.read_mask_runs(runs) == mask).all()
        compressed = coco_mask.frPyObjects(runs, 5, 7)
        assert compressed == coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))


def test_arrays() -> None:
    array = RNG.normal(size=(3, 4))
    assert np.allclose(fields.read_npy(fields.npy(array)), array, rtol=2**-11)


def test_meshes_are_closed_and_keep_their_form() -> None:
    faces = solids.mesh_faces()
    vertices, back = fields.read_off(fields.off(RNG.normal(size=(faces.max() + 1, 3)), faces))
    assert (back == faces).all()
    sphere = trimesh.Trimesh(vertices, faces, process=False)
    assert sphere.is_watertight
    assert sphere.is_winding_consistent


def test_a_superquadric_lies_on_its_surface() -> None:
    latitude, longitude = RNG.uniform(-1.5, 1.5, 50), RNG.uniform(-3, 3, 50)
    flat, round_ = 0.6, 1.4
    axes = np.array([1.2, 0.7, 0.9])
    x, y, z = np.abs(solids.superquadric(latitude, longitude, (flat, round_), axes) / axes).T
    inside = (x ** (2 / round_) + y ** (2 / round_)) ** (round_ / flat) + z ** (2 / flat)
    assert np.allclose(inside, 1)


def test_a_walk_stands_on_the_ground_and_keeps_its_bones() -> None:
    motion = walk.motion(walk.Walk(rate=2.0, swing=30.0, speed=1.0, size=1.1))
    assert motion.shape == (walk.FRAMES, 263)
    joints = motion[:, 4:67].reshape(-1, 21, 3)
    assert np.allclose(joints[:, [6, 7, 9, 10], 1].min(axis=1), 0)
    # Knee to ankle, both sides: the bone's length, whatever the swing.
    for knee, ankle in ((3, 6), (4, 7)):
        assert np.allclose(np.linalg.norm(joints[:, ankle] - joints[:, knee], axis=1), 0.44)
    # The root walks at the speed that was asked for.
    assert np.allclose(motion[:, 2] * walk.FRAMES_PER_SECOND, 1.0)
    six = motion[:, 67:193].reshape(-1, 21, 3, 2)
    assert np.allclose(np.einsum("tjab,tjac->tjbc", six, six), np.eye(2))
