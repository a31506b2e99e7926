"""What the monitoring team sees of a grader. No label holds an id of a job, lab or task."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from general_level.submission.codes import Code
from services.grader.metrics.families import FAMILIES
from services.grader.outcomes import Fault
from services.kit import tracing
from services.kit.telemetry import Certificates, Disks, Registry

#: From a tiny text job to a long media job.
_SECONDS_BUCKETS: Final = (0.005, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0, 20.0, 60.0, 300.0, 1800.0)

OUTCOMES: Final = ("scored", "refused", "lost", "released")
STAGES: Final = ("waiting", "decoding", "scoring", "reporting")


class CardMemory(NamedTuple):
    """Memory of the card that a scorer works on, in bytes."""

    #: What all processes on the card together use.
    used: int
    size: int
    #: The most that the scorer itself reserved since it started.
    peak: int


class Telemetry:
    """The series of one grader, in a registry of their own.

    ``on_ready`` is told whenever ``grader_ready`` is: 0 and 1 are also for probes. ``certificate``
    is the file that it shows to the gateway, ``spool`` the folder for the content of media.
    """

    def __init__(
        self,
        modality: str,
        on_ready: Callable[[bool], None] | None = None,
        *,
        certificate: Path | None = None,
        spool: Path | None = None,
    ) -> None:
        self.registry = registry = Registry()
        registry.register(Disks("grader", {"spool": spool} if spool is not None else {}))
        registry.register(Certificates("grader", {"client": certificate}))
        self._on_ready = on_ready
        self._modality = modality
        self._scorer_starts = 0
        own = (modality,)
        faults = tuple(fault.name.lower() for fault in Fault)
        self._jobs = registry.counter(
            "grader_jobs_total",
            "Attempts that ended, by outcome: `scored`, `refused` (the lab's file), `lost` (the "
            "lease), `released` (untouched), or a fault of ours under its own name.",
            modality=own,
            outcome=(*OUTCOMES, *faults),
        )
        self._seconds = registry.histogram(
            "grader_job_seconds",
            "Time of a job in each stage: `waiting` for a place, `decoding` in the box, `scoring`, "
            "`reporting` to the gateway.",
            _SECONDS_BUCKETS,
            modality=own,
            stage=STAGES,
        )
        self._family_seconds = registry.histogram(
            "grader_metric_job_seconds",
            "Time of a job from its first byte to its score, by the family of its metric.",
            _SECONDS_BUCKETS,
            modality=own,
            family=FAMILIES,
        )
        self._findings = registry.counter(
            "grader_findings_total",
            "Findings about labs' files by box and scorer, by code; an attempt that is repeated "
            "finds the same again.",
            modality=own,
            code=Code,
        )
        self._box_starts = registry.counter(
            "grader_box_starts_total", "Decode boxes started.", modality=own
        ).labels(modality)
        self._scorer_restarts = registry.counter(
            "grader_scorer_restarts_total",
            "Scorer processes started after the first: each ended by itself or overran its job.",
            modality=own,
        ).labels(modality)
        self._leases_lost = registry.counter(
            "grader_leases_lost_total",
            "Leases that ended while their job was held; the work on it was for nothing.",
            modality=own,
        ).labels(modality)
        self._gateway_errors = registry.counter(
            "grader_gateway_errors_total",
            "Calls to the gateway that failed and were repeated.",
            modality=own,
        ).labels(modality)
        self._ready = registry.gauge(
            "grader_ready",
            "1 while the last self-test passed and the grader takes jobs.",
            modality=own,
        ).labels(modality)
        self._held = registry.gauge(
            "grader_jobs_held", "Jobs leased and not ended.", modality=own
        ).labels(modality)
        self._missing_walls = registry.gauge(
            "grader_box_missing_walls",
            "Hardening steps that the newest decode box works without.",
            modality=own,
        ).labels(modality)
        self._card_used = registry.gauge(
            "grader_gpu_memory_used_bytes",
            "Memory in use on the scorer's card, by all processes, after its newest job; 0 without "
            "a card.",
            modality=own,
        ).labels(modality)
        self._card_size = registry.gauge(
            "grader_gpu_memory_size_bytes",
            "Memory of the scorer's card; 0 without a card.",
            modality=own,
        ).labels(modality)
        self._card_peak = registry.gauge(
            "grader_gpu_memory_peak_bytes",
            "The most that the scorer itself reserved on its card since it started; 0 without a "
            "card.",
            modality=own,
        ).labels(modality)

    def job_ended(self, outcome: str) -> None:
        """Counts an attempt: one of OUTCOMES, or a fault's name in lower case."""
        self._jobs.labels(self._modality, outcome).inc()
        tracing.note(outcome=outcome)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times one of STAGES, also in the trace of the job that is being worked on."""
        with tracing.stage(name), self._seconds.labels(self._modality, name).time():
            yield

    @contextmanager
    def family(self, name: str) -> Iterator[None]:
        """Times a job of one of FAMILIES."""
        with self._family_seconds.labels(self._modality, name).time():
            yield

    def found(self, codes: Iterable[str]) -> None:
        """Counts findings about a lab's file; each is a `Code`."""
        for code in codes:
            self._findings.labels(self._modality, code).inc()

    def box_started(self, missing_walls: int) -> None:
        self._box_starts.inc()
        self._missing_walls.set(missing_walls)

    def scorer_started(self) -> None:
        if self._scorer_starts:
            self._scorer_restarts.inc()
        self._scorer_starts += 1

    def card_memory(self, memory: CardMemory) -> None:
        self._card_used.set(memory.used)
        self._card_size.set(memory.size)
        self._card_peak.set(memory.peak)

    def lease_lost(self) -> None:
        self._leases_lost.inc()

    def gateway_error(self) -> None:
        self._gateway_errors.inc()

    def ready(self, is_ready: bool) -> None:
        self._ready.set(float(is_ready))
        if self._on_ready is not None:
            self._on_ready(is_ready)

    def held(self, jobs: int) -> None:
        self._held.set(jobs)
