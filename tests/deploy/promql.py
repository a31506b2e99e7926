"""The series and labels that an expression of PromQL names, and those that the services export."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Final

from tools.telemetry_registries import all_series

_SERIES: Final = re.compile(
    r"\b((?:gateway|grader|ranker|fleet|process)_[a-z_]+)\b(?:\{([^}]*)\})?"
)
_MATCHER: Final = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"([^\"]*)\"")
_GROUPING: Final = re.compile(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)")

#: Of each service: its series by the names that Prometheus stores, with the labels of each.
Exported = Mapping[str, frozenset[str]]


#: What Prometheus adds to a series for whom it scraped.
TARGET_LABELS: Final = frozenset({"namespace", "job", "pod"})


@functools.cache
def exported() -> Exported:
    """All series of the services as their registries describe them."""
    return {name: labels for one in all_series().values() for name, labels in one.stored()}


def shared() -> set[str]:
    """The stored names of what all gateways tell alike."""
    return {name for one in all_series().values() if one.shared for name, _ in one.stored()}


def named(expression: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Each of our series that an expression names, with its matchers."""
    for name, matchers in _SERIES.findall(expression):
        yield name, dict(_MATCHER.findall(matchers))


def grouped(expression: str) -> set[str]:
    """The labels that an expression groups or joins by."""
    return {
        label.strip()
        for labels in _GROUPING.findall(expression)
        for label in labels.split(",")
        if label.strip()
    }
