"""What the gateway tells Prometheus. Label sets are bounded: modalities, states, reasons."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge
from sqlalchemy import Connection, func, select

from general_level.catalogue import Modality
from general_level.errors import AgreementRequired, QuotaExceeded, SubmissionPending
from services.gateway import pauses
from services.gateway.endings import LACKING
from services.gateway.states import State
from services.gateway.storage.tables import jobs, score_ledger, submissions


class Telemetry:
    """Counters and gauges of one gateway, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.upload_bytes = Counter(
            "gateway_upload_bytes_total", "Archive bytes made durable.", registry=self.registry
        )
        self.create_refusals = Counter(
            "gateway_create_refusals_total",
            "Creates refused by the fairness rules or for want of the agreement.",
            ["reason"],
            registry=self.registry,
        )
        self.submissions = Gauge(
            "gateway_submissions", "Submissions by state.", ["state"], registry=self.registry
        )
        self.queue_jobs = Gauge(
            "gateway_queue_jobs",
            "Jobs that wait or run, by modality.",
            ["modality", "state"],
            registry=self.registry,
        )
        self.queue_oldest = Gauge(
            "gateway_queue_oldest_seconds",
            "Age of the oldest job that could be leased now; 0 if there is none.",
            ["modality"],
            registry=self.registry,
        )
        self.dead_letters = Gauge(
            "gateway_dead_letter_jobs",
            "Jobs that failed all attempts, by modality.",
            ["modality"],
            registry=self.registry,
        )
        self.lacking = Gauge(
            "gateway_queue_lacking_jobs",
            "Jobs that wait because a grader lacked their key or the weights, by modality.",
            ["modality", "fault"],
            registry=self.registry,
        )
        self.modality_paused = Gauge(
            "gateway_modality_paused",
            "Whether operators have paused the modality: 1 or 0.",
            ["modality"],
            registry=self.registry,
        )
        self.ledger_position = Gauge(
            "gateway_ledger_position", "Newest position of the ledger.", registry=self.registry
        )

    @contextmanager
    def refusals(self) -> Iterator[None]:
        """Counts refusals of a create by their reason."""
        try:
            yield
        except (QuotaExceeded, SubmissionPending, AgreementRequired) as error:
            self.create_refusals.labels(error.reason).inc()
            raise

    def refresh(self, connection: Connection, now: datetime) -> None:
        """Sets the gauges from the database; every label value appears, also at 0."""
        for state in State:
            self.submissions.labels(state).set(0)
        counted = select(submissions.c.state, func.count()).group_by(submissions.c.state)
        for name, count in connection.execute(counted):
            self.submissions.labels(name).set(count)
        paused = pauses.list_paused(connection)
        for modality in Modality:
            self.modality_paused.labels(modality).set(modality in paused)
            for job_state in ("ready", "leased"):
                self.queue_jobs.labels(modality, job_state).set(0)
            for fault in LACKING:
                self.lacking.labels(modality, fault).set(0)
            self.dead_letters.labels(modality).set(0)
            self.queue_oldest.labels(modality).set(0)
        grouped = (
            select(jobs.c.modality, jobs.c.state, func.count())
            .where(jobs.c.state.in_(("ready", "leased", "dead")))
            .group_by(jobs.c.modality, jobs.c.state)
        )
        for modality, job_state, count in connection.execute(grouped):
            if job_state == "dead":
                self.dead_letters.labels(modality).set(count)
            else:
                self.queue_jobs.labels(modality, job_state).set(count)
        lacking = (
            select(jobs.c.modality, jobs.c.fault, func.count())
            .where(jobs.c.state == "ready", jobs.c.fault.in_(sorted(LACKING)))
            .group_by(jobs.c.modality, jobs.c.fault)
        )
        for modality, fault, count in connection.execute(lacking):
            self.lacking.labels(modality, fault).set(count)
        waiting = (
            select(jobs.c.modality, func.min(jobs.c.available_time))
            .where(jobs.c.state == "ready", jobs.c.available_time <= now)
            .group_by(jobs.c.modality)
        )
        for modality, oldest in connection.execute(waiting):
            self.queue_oldest.labels(modality).set((now - oldest).total_seconds())
        head = connection.scalar(select(func.coalesce(func.max(score_ledger.c.position), 0)))
        self.ledger_position.set(head or 0)
