"""Known files with known scores: a grader takes no job before it has graded them right.

Each case goes the way of a job: its files through a real decode box, the arrays through the scorer
process. The expected values are worked out by hand from the metrics' definitions. The worker
imports this package, so no library that reads media is needed to make the files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from services.grader.golden import generated, networks, objects, pixels, space, texts
from services.grader.golden.case import GoldenCase

__all__ = ["CASES", "GoldenCase", "for_metrics"]

_MODULES: Final = (texts, objects, pixels, space, generated, networks)

#: The cases by metric id. A metric without one is served by no grader.
CASES: Final[Mapping[str, GoldenCase]] = MappingProxyType(
    {case.metric_id: case for module in _MODULES for case in module.CASES}
)


def for_metrics(metric_ids: Iterable[str]) -> list[GoldenCase]:
    """The cases of these metrics, in the table's order."""
    wanted = set(metric_ids)
    return [case for case in CASES.values() if case.metric_id in wanted]
