"""A figure of sticks that walks by formula, in the 263 numbers a frame of HumanML3D.

C. Guo et al., "Generating diverse and natural 3D human motions from text", CVPR 2022, section 3.2:
turning and walking speed of the root and its height, places of the 21 other joints seen from the
root, their rotations in six numbers each, speeds of all 22 joints, contacts of both feet. Here they
are in metres and not scaled.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from samples.example import Floats

FRAMES: Final = 24
FRAMES_PER_SECOND: Final = 20

#: The joint that each joint hangs from, and where it is seen from there in a standing figure: left,
#: up, forward in metres. In SMPL's order: pelvis, hips, spine, knees, …, wrists.
_PARENTS: Final = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19)
_BONES: Final = np.array([
    (0, 0, 0), (0.1, -0.08, 0), (-0.1, -0.08, 0), (0, 0.12, 0), (0, -0.4, 0), (0, -0.4, 0),
    (0, 0.12, 0), (0, -0.4, 0), (0, -0.4, 0), (0, 0.08, 0), (0, -0.06, 0.12), (0, -0.06, 0.12),
    (0, 0.2, 0), (0.08, 0.12, 0), (-0.08, 0.12, 0), (0, 0.12, 0), (0.1, 0, 0), (-0.1, 0, 0),
    (0, -0.27, 0), (0, -0.27, 0), (0, -0.25, 0), (0, -0.25, 0),
])  # fmt: skip
#: Joints that swing, and how: as the left leg, or against it.
_SWINGS: Final = {1: 1.0, 2: -1.0, 16: -0.7, 17: 0.7}
_FEET: Final = (7, 10, 8, 11)
_STANDING_M_PER_S: Final = 0.6


class Walk(NamedTuple):
    """How somebody walks: steps a second, swing of the legs in degrees, metres a second, size."""

    rate: float
    swing: float
    speed: float
    size: float


def motion(walk: Walk) -> Floats:
    """The motion [FRAMES, 263] of a walk straight ahead."""
    # One frame more than is told: speeds are differences.
    time = np.arange(FRAMES + 1) / FRAMES_PER_SECOND
    angle = np.radians(walk.swing) * np.sin(np.pi * walk.rate * time)
    turns = np.tile(np.eye(3), (FRAMES + 1, len(_PARENTS), 1, 1))
    for joint, share in _SWINGS.items():
        cosine, sine = np.cos(share * angle), np.sin(share * angle)
        turns[:, joint, 1, 1] = turns[:, joint, 2, 2] = cosine
        turns[:, joint, 1, 2], turns[:, joint, 2, 1] = -sine, sine
    places = np.zeros((FRAMES + 1, len(_PARENTS), 3))
    whole = turns.copy()  # of a joint with all that it hangs from
    for joint, parent in enumerate(_PARENTS[1:], start=1):
        places[:, joint] = places[:, parent] + walk.size * (whole[:, parent] @ _BONES[joint])
        whole[:, joint] = whole[:, parent] @ turns[:, joint]
    # The lower foot stands on the ground.
    places[:, :, 1] -= places[:, _FEET, 1].min(axis=1)[:, None]
    in_world = places.copy()
    in_world[:, :, 2] += walk.speed * time[:, None]
    speeds = np.diff(in_world, axis=0)
    slow = np.linalg.norm(speeds[:, _FEET], axis=2) * FRAMES_PER_SECOND < _STANDING_M_PER_S
    root = np.column_stack(
        [np.zeros(FRAMES), speeds[:, 0, 0], speeds[:, 0, 2], in_world[:FRAMES, 0, 1]]
    )
    six = turns[:FRAMES, 1:, :, :2].reshape(FRAMES, -1)
    seen = places[:FRAMES, 1:].reshape(FRAMES, -1)
    return np.hstack([root, seen, six, speeds.reshape(FRAMES, -1), slow])
