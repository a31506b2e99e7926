"""Frames between frames: closed forms of translation, edges, and the metric on top."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from services.grader.device import Device
from services.grader.metrics.motion.stillness import motion_smoothness, smoothness
from services.grader.models.extractors import Extractors
from services.grader.models.halfway import halfway
from services.grader.models.raft import open_raft
from services.grader.weights.folder import WeightsFolder

Frame = NDArray[np.uint8]


def texture(height: int, width: int) -> Frame:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)


def view(scene: Frame, right: int, down: int, size: tuple[int, int] = (24, 30)) -> Frame:
    """What a window of ``size`` shows of a scene that moved by so many pixels."""
    height, width = size
    top, left = 20 - down, 20 - right
    return scene[top : top + height, left : left + width]


def constant(right: float, down: float, size: tuple[int, int] = (24, 30)) -> NDArray[np.float64]:
    return np.broadcast_to(np.array([right, down], dtype=np.float64), (*size, 2))


@pytest.mark.parametrize("move", [(0, 0), (2, 0), (-4, 0), (0, 6), (0, -2), (4, 2), (-6, -8)])
def test_a_scene_that_moves_evenly_is_shown_half_way_also_at_its_edges(
    move: tuple[int, int],
) -> None:
    scene = texture(64, 70)
    first, second = view(scene, 0, 0), view(scene, *move)
    made = halfway(first, second, constant(*move), constant(-move[0], -move[1]))
    right, down = (step // 2 for step in move)
    wanted = view(scene, right, down)
    # Where a corner came into the window in one frame and left it in the other, neither shows it.
    seen = np.ones(wanted.shape[:2], dtype=bool)
    if right and down:
        rows, columns = abs(down), abs(right)
        if (right > 0) == (down > 0):
            seen[:rows, -columns:] = seen[-rows:, :columns] = False
        else:
            seen[:rows, :columns] = seen[-rows:, -columns:] = False
    assert np.array_equal(made[seen], wanted[seen])


def test_half_a_pixel_mixes_the_two_around() -> None:
    scene = np.repeat(np.arange(0, 240, 4, dtype=np.uint8)[None, :, None], 3, axis=2)
    first, second = scene[:, 1:41], scene[:, :40]
    made = halfway(
        first, second, constant(1.0, 0.0, first.shape[:2]), constant(-1.0, 0.0, first.shape[:2])
    )
    inner = slice(1, -1)
    wanted = (first.astype(int) + second.astype(int)) // 2
    assert np.array_equal(made[:, inner], wanted[:, inner])


def test_without_motion_the_two_are_mixed_half_and_half() -> None:
    first, second = texture(5, 7), texture(5, 7)[::-1].copy()
    still = np.zeros((5, 7, 2))
    made = halfway(first, second, still, still)
    wanted = np.rint((first.astype(float) + second) / 2)
    assert np.array_equal(made, wanted)


def test_flows_that_contradict_each_other_are_averaged() -> None:
    scene = texture(64, 70)
    first, second = view(scene, 0, 0), view(scene, 4, 0)
    # Forward says 6 to the right, backward says 2 to the left: 4 on the mean.
    made = halfway(first, second, constant(6, 0), constant(-2, 0))
    assert np.array_equal(made, view(scene, 2, 0))


def test_a_place_beyond_both_frames_is_their_edges() -> None:
    first, second = texture(4, 4), texture(4, 4)[::-1].copy()
    made = halfway(first, second, constant(400, 0, (4, 4)), constant(-400, 0, (4, 4)))
    wanted = np.rint((first[:, :1].astype(float) + second[:, -1:]) / 2)
    assert np.array_equal(made, np.broadcast_to(wanted, made.shape))


def test_frames_between_frames_by_the_network(extractors: Extractors) -> None:
    scene = texture(80, 80)
    video = np.stack([view(scene, 0, 0, (40, 44)), view(scene, 2, 0, (40, 44))])
    made = extractors.get("middle_frames")(video)
    assert made.shape == (1, 40, 44, 3)
    assert made.dtype == np.uint8
    flow = extractors.get("optical_flow")
    forward, backward = flow(video)[0], flow(video[[1, 0]])[0]
    assert np.abs(forward + backward).max() > 0.1
    assert np.array_equal(made[0], halfway(*video, forward, backward))


def test_a_still_video_is_smooth(extractors: Extractors) -> None:
    grey = np.full((3, 20, 30, 3), 77, dtype=np.uint8)
    found = motion_smoothness([grey], middle_frames=extractors.get("middle_frames"))
    assert found.value == 100.0


@pytest.mark.parametrize("shape", [(1, 8, 9), (2, 1, 1), (2, 1, 40)])
def test_short_and_tiny_videos(shape: tuple[int, int, int], extractors: Extractors) -> None:
    video = np.random.default_rng(2).integers(0, 256, (*shape, 3), dtype=np.uint8)
    made = extractors.get("middle_frames")(video)
    assert made.shape == (shape[0] - 1, *shape[1:], 3)
    assert made.dtype == np.uint8


def test_smoothness_of_even_motion_with_the_true_flow_is_perfect() -> None:
    scene = texture(64, 70)
    video = np.stack([view(scene, step, 0) for step in range(5)])

    def middle(even: Frame) -> Frame:
        pairs = itertools.pairwise(even)
        return np.stack([halfway(a, b, constant(2, 0), constant(-2, 0)) for a, b in pairs])

    assert smoothness(video, middle) == 1.0
    # A frame shown twice is a jerk.
    jerked = video[[0, 0, 2, 3, 4]]
    assert smoothness(jerked, middle) < 0.9


def test_one_file_serves_both_parts(tiny: WeightsFolder, cpu: Device) -> None:
    assert set(open_raft(tiny.get("raft-things"), cpu)) == {"flow", "middle"}
