"""Ratings that an operator imported for one job: verdicts of people or of a judge.

    {"raters": "three annotators, blind", "ratings": [{"id": "17", "ratings": [1, 0, 1]}, …]}

Each number is one rater's verdict on one item, in the metric's unit (percent on 0..100, opinions
on 1..5).
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import numpy as np

from general_level.catalogue.limits import MAX_ITEMS_PER_TASK
from services.grader.metrics.result import MetricResult, mean_result

MAX_RATINGS_BYTES: Final = 16 * 1024 * 1024
MAX_RATERS_PER_ITEM: Final = 1_000


class RatingsInvalid(ValueError):
    """The ratings are not usable; the import, not the lab, is at fault."""


def parse_ratings(data: bytes, minimum: float, maximum: float) -> dict[str, list[float]]:
    """The verdicts by item id, every one within [minimum, maximum]; RatingsInvalid otherwise."""
    if len(data) > MAX_RATINGS_BYTES:
        raise RatingsInvalid("too many bytes")
    try:
        entries = json.loads(data)["ratings"]
        if not isinstance(entries, list) or not 0 < len(entries) <= MAX_ITEMS_PER_TASK:
            raise RatingsInvalid("not a list of a legal length")
        found: dict[str, list[float]] = {}
        for entry in entries:
            identifier = _identifier(entry["id"])
            if identifier in found:
                raise RatingsInvalid("an item rated twice")
            found[identifier] = _verdicts(entry["ratings"], minimum, maximum)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RatingsInvalid(type(error).__name__) from None
    return found


def _identifier(value: Any) -> str:
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise RatingsInvalid("an id that is none")


def _verdicts(value: Any, minimum: float, maximum: float) -> list[float]:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_RATERS_PER_ITEM:
        raise RatingsInvalid("verdicts that are no list of a legal length")
    for verdict in value:
        if isinstance(verdict, bool) or not isinstance(verdict, int | float):
            raise RatingsInvalid("a verdict that is no number")
        if not math.isfinite(verdict) or not minimum <= verdict <= maximum:
            raise RatingsInvalid("a verdict out of range")
    return [float(verdict) for verdict in value]


def mean_rating(
    ratings: Mapping[str, Sequence[float]],
    item_ids: Sequence[str],
    answered: Collection[str],
    worst: float,
) -> MetricResult:
    """The mean over the key's items of each item's mean verdict, with its standard error.

    An item that the lab did not answer has the worst verdict, rated or not. RatingsInvalid where
    an answered item has no verdict, or a verdict belongs to no item of the key.
    """
    known = set(item_ids)
    if not known.issuperset(ratings):
        raise RatingsInvalid("a verdict on an unknown item")
    missing = 0
    samples = np.empty(len(item_ids), dtype=np.float64)
    for position, item in enumerate(item_ids):
        if item not in answered:
            samples[position] = worst
            missing += 1
        elif item in ratings:
            samples[position] = np.mean(ratings[item])
        else:
            raise RatingsInvalid("an answered item without a verdict")
    return mean_result(samples, missing)
