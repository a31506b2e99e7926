"""What the monitoring team sees of a grader. No label holds an id of a job, lab or task."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.grader.outcomes import Fault
from services.kit import tracing

#: From a tiny text job to a long media job.
_SECONDS_BUCKETS: Final = (0.005, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0, 20.0, 60.0, 300.0, 1800.0)

OUTCOMES: Final = ("scored", "refused", "lost", "released")
STAGES: Final = ("waiting", "decoding", "scoring", "reporting")


class Telemetry:
    """The series of one grader, in a registry of their own.

    ``on_ready`` is told whenever ``grader_ready`` is: 0 and 1 are also for probes.
    """

    def __init__(self, modality: str, on_ready: Callable[[bool], None] | None = None) -> None:
        self.registry = CollectorRegistry()
        self._on_ready = on_ready
        self._jobs = Counter(
            "grader_jobs",
            "Attempts that ended, by outcome; a fault of ours counts under its own name.",
            ("modality", "outcome"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "grader_job_seconds",
            "Time of a job in each stage.",
            ("modality", "stage"),
            buckets=_SECONDS_BUCKETS,
            registry=self.registry,
        )
        self._counters = {
            name: Counter(name, text, ("modality",), registry=self.registry).labels(modality)
            for name, text in (
                ("grader_box_starts", "Decode boxes started."),
                ("grader_scorer_restarts", "Scorer processes started after the first."),
                ("grader_leases_lost", "Leases that ended while their job was held."),
                ("grader_gateway_errors", "Calls to the gateway that failed and were repeated."),
            )
        }
        self._ready = Gauge(
            "grader_ready",
            "1 while the last self-test passed and the grader takes jobs.",
            ("modality",),
            registry=self.registry,
        ).labels(modality)
        self._held = Gauge(
            "grader_jobs_held", "Jobs leased and not ended.", ("modality",), registry=self.registry
        ).labels(modality)
        self._missing_walls = Gauge(
            "grader_box_missing_walls",
            "Hardening steps that the newest decode box works without.",
            ("modality",),
            registry=self.registry,
        ).labels(modality)
        self._modality = modality
        self._scorer_starts = 0
        # Every series exists from the start, so that a rate over it is 0 and not absent.
        for outcome in (*OUTCOMES, *(fault.name.lower() for fault in Fault)):
            self._jobs.labels(modality, outcome)

    def job_ended(self, outcome: str) -> None:
        """Counts an attempt: one of OUTCOMES, or a fault's name in lower case."""
        self._jobs.labels(self._modality, outcome).inc()
        tracing.note(outcome=outcome)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times one of STAGES, also in the trace of the job that is being worked on."""
        with tracing.stage(name), self._seconds.labels(self._modality, name).time():
            yield

    def box_started(self, missing_walls: int) -> None:
        self._counters["grader_box_starts"].inc()
        self._missing_walls.set(missing_walls)

    def scorer_started(self) -> None:
        if self._scorer_starts:
            self._counters["grader_scorer_restarts"].inc()
        self._scorer_starts += 1

    def lease_lost(self) -> None:
        self._counters["grader_leases_lost"].inc()

    def gateway_error(self) -> None:
        self._counters["grader_gateway_errors"].inc()

    def ready(self, is_ready: bool) -> None:
        self._ready.set(float(is_ready))
        if self._on_ready is not None:
            self._on_ready(is_ready)

    def held(self, jobs: int) -> None:
        self._held.set(jobs)
