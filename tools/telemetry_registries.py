"""Every Prometheus series of the services, read from their real registries.

The page of telemetry and the tests of rules and dashboards take their series from here. A service
that is added gets one more entry of `services`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from general_level.catalogue import Modality, load
from services.gateway.telemetry import Telemetry as GatewayTelemetry
from services.grader.fleet_telemetry import Telemetry as FleetTelemetry
from services.grader.telemetry import Telemetry as GraderTelemetry
from services.ranker.telemetry import Telemetry as RankerTelemetry

#: Of the series that are made at each scrape; the others' are in their registries.
_AT_SCRAPE: Final = {
    "Gateway": {"place": ("database", "objects"), "use": ("public", "internal")},
    "Grader": {"place": ("spool",), "use": ("client",)},
    "Ranker": {"use": ("client",)},
}
#: Every service has these of its own process.
PROCESS: Final = "process_"


@dataclass(frozen=True, slots=True)
class Service:
    """One service: what it is called on the page, its port, its registry.

    ``shared`` are the series that are the same in all its replicas.
    """

    title: str
    port: str
    registry: CollectorRegistry
    shared: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Series:
    """One family of series. ``name`` is as Prometheus stores it, without a histogram's endings."""

    name: str
    kind: str
    text: str
    labels: Mapping[str, tuple[str, ...]]
    shared: bool = False

    def stored(self) -> Iterator[tuple[str, frozenset[str]]]:
        """The names that Prometheus stores, with the labels of each."""
        labels = frozenset(self.labels)
        if self.kind == "histogram":
            yield f"{self.name}_bucket", labels | {"le"}
            yield f"{self.name}_sum", labels
            yield f"{self.name}_count", labels
        else:
            yield self.name, labels


@functools.cache
def services() -> tuple[Service, ...]:
    """All services that are scraped. A grader's modality is its own; here it stands for all."""
    gateway = GatewayTelemetry()
    ranker = RankerTelemetry(load(name="sample"))
    return (
        Service("Gateway", "GATEWAY_METRICS_PORT", gateway.registry, gateway.shared),
        Service("Grader", "GRADER_METRICS_PORT", GraderTelemetry("image").registry),
        Service("Ranker", "RANKER_METRICS_PORT", ranker.registry),
        Service("Fleet", "FLEET_METRICS_PORT", FleetTelemetry(tuple(Modality)).registry),
    )


def series_of(service: Service) -> list[Series]:
    """The series of a service in the order in which they were made, its process's last."""
    found = list(_series(service.registry, service))
    return sorted(found, key=lambda one: one.name.startswith(PROCESS))


@functools.cache
def all_series() -> Mapping[str, Series]:
    """The series of all services by their names."""
    return {one.name: one for service in services() for one in series_of(service)}


def _series(registry: CollectorRegistry, service: Service) -> Iterator[Series]:
    for collector in registry._collector_to_names:
        if not isinstance(collector, MetricWrapperBase):
            for family in collector.collect():
                labels = getattr(family, "_labelnames", ())
                values = {label: _AT_SCRAPE[service.title][label] for label in labels}
                yield Series(
                    _stored_name(family.name, family.type),
                    family.type,
                    family.documentation,
                    values,
                )
            continue
        (family,) = collector.describe()
        name = _stored_name(family.name, family.type)
        # All series of a family exist from the start: its children have every value.
        known = {
            label: tuple(dict.fromkeys(values[place] for values in collector._metrics))
            for place, label in enumerate(collector._labelnames)
        }
        if service.title == "Grader":
            known["modality"] = tuple(map(str, Modality))
        yield Series(name, family.type, family.documentation, known, name in service.shared)


def _stored_name(name: str, kind: str) -> str:
    return f"{name}_total" if kind == "counter" else name
