"""Motions of bodies as the network of text-to-motion evaluation takes them."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from general_level.catalogue.model import AnswerKind
from services.grader.media.key_reader import KeyReader, ReferenceUnusable

Motion = NDArray[Any]

#: Numbers of a frame in the representation of HumanML3D: C. Guo et al., CVPR 2022, section 3.2.
FEATURES: Final = 263


def features(motion: Motion) -> Motion | None:
    """A motion [frames, 263] itself; None for joints in space or another number of features.

    Already scaled by the mean and deviation of the evaluation, as ``models.motion_encoder`` says.
    """
    return motion if motion.ndim == 2 and motion.shape[1] == FEATURES else None


def read_motion(key: KeyReader, value: object) -> Motion:
    """The motion of a path."""
    found = features(np.asarray(key.answer(value, AnswerKind.MOTION)))
    if found is None:
        raise ReferenceUnusable(f"a motion [frames, {FEATURES}]")
    return found
