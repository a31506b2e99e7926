"""What the monitoring team sees of a fleet. No label holds an id, a name or a path."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from general_level.catalogue.model import Modality

#: Of a grader's container: at work, asked to end, ended by itself and kept for its log.
STATES: Final = ("running", "draining", "dead")
#: How a grader ended that nobody asked to: no memory, by a signal, with an error's exit code, with
#: exit code 0, or somebody else removed it.
DEATHS: Final = ("oom", "signal", "error", "finished", "removed")
#: Why one was asked to end: fewer are wanted, its configuration is an old one, the fleet ends.
STOPS: Final = ("scale-down", "outdated", "drain")
#: What became of the wanted number.
DECISIONS: Final = ("up", "down", "same")
#: Why a container could not be started.
REFUSALS: Final = ("image-missing", "network-missing", "network-not-internal", "refused")


class Telemetry:
    """The series of one fleet, in a registry of their own; all exist from the start."""

    def __init__(self, modalities: Iterable[Modality]) -> None:
        self.registry = CollectorRegistry()
        self.containers = Gauge(
            "fleet_containers",
            "Grader containers of this fleet, by what they do.",
            ("modality", "state"),
            registry=self.registry,
        )
        self.wanted = Gauge(
            "fleet_wanted_containers",
            "Graders that the queue asks for, within the limits.",
            ("modality",),
            registry=self.registry,
        )
        self.failures = Gauge(
            "fleet_failures",
            "Graders in a row that ended soon after their start; the next start waits.",
            ("modality",),
            registry=self.registry,
        )
        self.starts = self._counter("fleet_starts", "Grader containers started.", "modality")
        self.refusals = self._counter(
            "fleet_start_refusals", "Containers that could not be started.", "modality", "reason"
        )
        self.deaths = self._counter(
            "fleet_deaths", "Graders that ended without being asked to.", "modality", "reason"
        )
        self.stops = self._counter(
            "fleet_stops", "Graders that were asked to end.", "modality", "reason"
        )
        self.kills = self._counter(
            "fleet_kills", "Graders that did not end within their grace.", "modality"
        )
        self.decisions = self._counter(
            "fleet_decisions", "Decisions, by what became of the number.", "modality", "decision"
        )
        self.gateway_up = Gauge(
            "fleet_gateway_up", "1 while the gateway's telemetry is read.", registry=self.registry
        )
        self.engine_up = Gauge(
            "fleet_engine_up", "1 while the engine answers.", registry=self.registry
        )
        for modality in modalities:
            for state in STATES:
                self.containers.labels(modality, state)
            for counter, values in (
                (self.refusals, REFUSALS),
                (self.deaths, DEATHS),
                (self.stops, STOPS),
                (self.decisions, DECISIONS),
            ):
                for value in values:
                    counter.labels(modality, value)
            for series in (self.wanted, self.failures, self.starts, self.kills):
                series.labels(modality)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)
