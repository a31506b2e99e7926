"""From a raw metric value to a score in [0, 100], for many models and tasks at once.

The mapping of one value is ``general_level.catalogue.mapping.to_score``; here is the same
function over arrays, with its slope for the delta method. A test holds the two equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from general_level.catalogue.model import Direction, ScoreMapping
from general_level.errors import ScoreRefused

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.intp]

#: The code of each mapping in ``TaskArrays.mapping``: its place in the enumeration.
MAPPING_CODES = {mapping: code for code, mapping in enumerate(ScoreMapping)}

#: The best score.
FULL_SCORE = 100.0


@dataclass(frozen=True, slots=True, eq=False)
class TaskArrays:
    """What the formulas know of the tasks: arrays of length ``tasks``, in catalogue order.

    ``reference`` is raw, in the metric's unit. ``sign`` is +1 where higher is better and -1 where
    lower is. ``mapping`` holds ``MAPPING_CODES``; ``scale`` is NaN for a mapping without one.
    ``group`` numbers the (modality, paradigm) that a task belongs to.
    """

    ids: tuple[str, ...]
    reference: Floats
    sign: Floats
    mapping: Ints
    scale: Floats
    group: Ints

    @classmethod
    def build(
        cls,
        *,
        ids: Sequence[str],
        reference: Sequence[float],
        direction: Sequence[Direction],
        mapping: Sequence[ScoreMapping],
        scale: Sequence[float | None],
        group: Sequence[int],
    ) -> TaskArrays:
        """Arrays from one value per task; ValueError where the lengths differ."""
        if (
            len({len(ids), len(reference), len(direction), len(mapping), len(scale), len(group)})
            > 1
        ):
            raise ValueError("every sequence needs one value per task")
        return cls(
            ids=tuple(ids),
            reference=np.asarray(reference, dtype=np.float64),
            sign=np.where([d is Direction.HIGHER for d in direction], 1.0, -1.0),
            mapping=np.asarray([MAPPING_CODES[m] for m in mapping], dtype=np.intp),
            scale=np.asarray([np.nan if s is None else s for s in scale], dtype=np.float64),
            group=np.asarray(group, dtype=np.intp),
        )


def require_finite(values: Floats, supported: Bools, tasks: TaskArrays) -> None:
    """ScoreRefused, naming the task, where a supported value is NaN or infinite."""
    bad = supported & ~np.isfinite(values)
    if bad.any():
        model, task = (int(axis[0]) for axis in np.nonzero(bad))
        raise ScoreRefused(
            f"{values[model, task]} for {tasks.ids[task]}", task=tasks.ids[task], model_row=model
        )


def to_score(raw: Floats, supported: Bools, tasks: TaskArrays) -> Floats:
    """Scores in [0, 100] of raw values ``[models, tasks]``; 0 where unsupported.

    A perfect 0 of a lower-is-better metric is 100. ScoreRefused for a supported value that is NaN
    or infinite.
    """
    require_finite(raw, supported, tasks)
    score = np.zeros(raw.shape, dtype=np.float64)
    for mapping, columns in _columns_by_mapping(tasks):
        x = np.where(supported[:, columns], raw[:, columns], 0.0)
        score[:, columns] = np.clip(_score(mapping, x, tasks.scale[columns]), 0.0, FULL_SCORE)
    score[~supported] = 0.0
    return score


def slope(raw: Floats, supported: Bools, tasks: TaskArrays) -> Floats:
    """The derivative of ``to_score`` by the raw value, score points per raw unit.

    0 where unsupported and where the score is clipped; at the exact end of a range it is the
    derivative inside, so that a model at the end keeps its uncertainty.
    """
    result = np.zeros(raw.shape, dtype=np.float64)
    for mapping, columns in _columns_by_mapping(tasks):
        x = np.where(supported[:, columns], raw[:, columns], 0.0)
        scale = tasks.scale[columns]
        plain = _score(mapping, x, scale)
        inside = (plain >= 0.0) & (plain <= FULL_SCORE)
        result[:, columns] = np.where(inside, _slope(mapping, x, scale), 0.0)
    result[~supported] = 0.0
    return result


def reaches(raw: Floats, supported: Bools, tasks: TaskArrays) -> Bools:
    """Where a model is at least as good as the reference, ties included.

    Decided on raw values in the metric's own direction: two different raw values may share one
    mapped score. An unsupported task reaches nothing.
    """
    margin = (np.where(supported, raw, 0.0) - tasks.reference) * tasks.sign
    return supported & (margin >= 0.0)


def _columns_by_mapping(tasks: TaskArrays) -> list[tuple[ScoreMapping, Ints]]:
    return [
        (mapping, np.flatnonzero(tasks.mapping == code))
        for mapping, code in MAPPING_CODES.items()
        if (tasks.mapping == code).any()
    ]


def _score(mapping: ScoreMapping, x: Floats, scale: Floats) -> Floats:
    match mapping:
        case ScoreMapping.IDENTITY:
            return x
        case ScoreMapping.TANH_INVERSE:
            with np.errstate(divide="ignore"):
                # scale / 0 is infinite and tanh of that is 1: a perfect value is 100 points.
                return FULL_SCORE * np.tanh(scale / (2.0 * np.maximum(x, 0.0)))
        case ScoreMapping.TANH:
            return FULL_SCORE * np.tanh(x / scale)
        case ScoreMapping.ONE_MINUS_PERCENT:
            return FULL_SCORE - x
        case ScoreMapping.SIGNED_UNIT:
            return FULL_SCORE * (x + 1.0) / 2.0
        case ScoreMapping.OPINION:
            return FULL_SCORE * (x - 1.0) / 4.0


def _slope(mapping: ScoreMapping, x: Floats, scale: Floats) -> Floats:
    match mapping:
        case ScoreMapping.IDENTITY:
            return np.ones_like(x)
        case ScoreMapping.TANH_INVERSE:
            safe = np.where(x <= 0.0, 1.0, x)
            rest = 1.0 - np.tanh(scale / (2.0 * safe)) ** 2
            return np.where(x <= 0.0, 0.0, -FULL_SCORE * rest * scale / (2.0 * safe**2))
        case ScoreMapping.TANH:
            return FULL_SCORE * (1.0 - np.tanh(x / scale) ** 2) / scale
        case ScoreMapping.ONE_MINUS_PERCENT:
            return -np.ones_like(x)
        case ScoreMapping.SIGNED_UNIT:
            return np.full_like(x, FULL_SCORE / 2.0)
        case ScoreMapping.OPINION:
            return np.full_like(x, FULL_SCORE / 4.0)
