"""What a printed zero, an infinity and an unsupported task mean: two named conventions.

``general-level`` is the rule of this platform. ``published-2024-12`` reproduces the tables of
the paper (arXiv 2505.04620), where 0.00 and an infinity are how "unsupported" is printed, and an
unsupported MS-SSIM was mapped like a measured zero: (0 + 1) / 2, 50 points.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np

from general_level.catalogue.model import ScoreMapping
from services.ranker.formulas.mapping import (
    MAPPING_CODES,
    Bools,
    Floats,
    TaskArrays,
    reaches,
    require_finite,
    to_score,
)

#: What the published tables gave a model for an MS-SSIM task that it does not support.
PUBLISHED_UNSUPPORTED_MS_SSIM = 50.0


class Convention(enum.StrEnum):
    """Which reading of zeros and of absent tasks a computation follows."""

    GENERAL_LEVEL = "general-level"
    PUBLISHED_2024_12 = "published-2024-12"


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Every model on every task, ``[models, tasks]``: mapped, compared, and read by a convention.

    ``score`` is on [0, 100]; ``reached`` says where the reference is reached; ``supported`` is what
    the convention takes for supported.
    """

    score: Floats
    reached: Bools
    supported: Bools


def apply_convention(
    raw: Floats, supported: Bools, tasks: TaskArrays, convention: Convention
) -> Scored:
    """Read raw values ``[models, tasks]`` by a convention.

    ScoreRefused for a supported NaN and, under ``general-level``, for an infinity.
    """
    if convention is Convention.GENERAL_LEVEL:
        return Scored(
            score=to_score(raw, supported, tasks),
            reached=reaches(raw, supported, tasks),
            supported=supported,
        )
    require_finite(np.where(np.isinf(raw), 0.0, raw), supported, tasks)
    printed = supported & (raw != 0.0) & np.isfinite(raw)
    score = to_score(raw, printed, tasks)
    _add_unsupported_ms_ssim(score, printed, tasks)
    return Scored(score=score, reached=reaches(raw, printed, tasks), supported=printed)


def _add_unsupported_ms_ssim(score: Floats, supported: Bools, tasks: TaskArrays) -> None:
    # A group (such as image generation) without any support was not scored at all, so only
    # models with some other task of the group received the 50 points.
    for column in np.flatnonzero(tasks.mapping == MAPPING_CODES[ScoreMapping.SIGNED_UNIT]):
        group = tasks.group == tasks.group[column]
        takes_part = supported[:, group].any(axis=1)
        given = takes_part & ~supported[:, column]
        score[given, column] = PUBLISHED_UNSUPPORTED_MS_SSIM
