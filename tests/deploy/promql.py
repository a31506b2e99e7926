"""The series and labels that an expression of PromQL names, and those that the services export."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from general_level.catalogue import load
from services.gateway.telemetry import Telemetry as GatewayTelemetry
from services.grader.telemetry import Telemetry as GraderTelemetry
from services.ranker.telemetry import Telemetry as RankerTelemetry

_SERIES: Final = re.compile(r"\b((?:gateway|grader|ranker)_[a-z_]+)\b(?:\{([^}]*)\})?")
_MATCHER: Final = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"([^\"]*)\"")
_GROUPING: Final = re.compile(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)")

#: Of each service: its series by the names that Prometheus stores, with the labels of each.
Exported = Mapping[str, frozenset[str]]


@functools.cache
def exported() -> Exported:
    """All series of the three services as their registries describe them."""
    found: dict[str, frozenset[str]] = {}
    for registry in (
        GatewayTelemetry().registry,
        GraderTelemetry("image").registry,
        RankerTelemetry(load(name="sample")).registry,
    ):
        found.update(_series(registry))
    return found


def _series(registry: CollectorRegistry) -> Iterator[tuple[str, frozenset[str]]]:
    for collector in registry._collector_to_names:
        assert isinstance(collector, MetricWrapperBase)
        labels = frozenset(collector._labelnames)
        for family in collector.describe():
            if family.type == "counter":
                yield f"{family.name}_total", labels
            elif family.type == "histogram":
                yield f"{family.name}_bucket", labels | {"le"}
                yield f"{family.name}_sum", labels
                yield f"{family.name}_count", labels
            else:
                yield family.name, labels


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
