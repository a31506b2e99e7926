"""What a gateway tells Prometheus: what it did itself, and what the one database says.

The first is each gateway's own and is added up over all of them; the second (`queue_telemetry`) is
the same in all of them. Label sets are closed: modalities, states, reasons, codes; no id and no
text of a lab is ever a label.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Final

from sqlalchemy import Connection

from general_level.catalogue import Catalogue, Modality
from general_level.errors import (
    AgreementRequired,
    QuotaExceeded,
    ResourceExhausted,
    SubmissionPending,
)
from general_level.submission.codes import Code
from general_level.submission.findings import Finding
from services.gateway.endings import Ended, Fault
from services.gateway.leases import Leased
from services.gateway.queue_telemetry import QueueTelemetry
from services.gateway.web.telemetry import WebTelemetry
from services.kit.telemetry import Certificates, Disks, Registry

#: Why a create is refused that is no mistake of the request.
REFUSALS: Final = (QuotaExceeded, SubmissionPending, AgreementRequired, ResourceExhausted)
SCORED: Final = "scored"
REFUSED: Final = "refused"
#: A lease is lost when its grader was not heard of, or was still at work at the attempt's end.
_LOST: Final = (Fault.LEASE_EXPIRED, Fault.DEADLINE)
#: From an idle grader's pickup to a queue that nobody serves.
_WAIT_SECONDS: Final = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0, 3_600.0, 21_600.0)


class Telemetry:
    """The series of one gateway, in a registry of its own.

    ``folders`` are the local places that it writes to, ``certificates`` the files of its ports.
    """

    def __init__(
        self,
        catalogue: Catalogue | None = None,
        *,
        folders: Mapping[str, Path] = MappingProxyType({}),
        certificates: Mapping[str, Path | None] = MappingProxyType({}),
    ) -> None:
        self.registry = Registry()
        self.registry.register(Disks("gateway", folders))
        self.registry.register(Certificates("gateway", certificates))
        #: The names of the series that are the same in all gateways.
        before = set(self.registry.names)
        self._queue = QueueTelemetry(self.registry, catalogue)
        self.shared = frozenset(set(self.registry.names) - before)
        self.upload_bytes = self.registry.counter(
            "gateway_upload_bytes_total", "Bytes of archives that this gateway made durable."
        )
        self.create_refusals = self.registry.counter(
            "gateway_create_refusals_total",
            "Creates that this gateway refused by the fairness rules or for want of the agreement.",
            reason=(error.reason for error in REFUSALS),
        )
        self._check_findings = self.registry.counter(
            "gateway_check_findings_total",
            "Findings of the checks that this gateway made, by code; as many as labs are told.",
            code=Code,
        )
        self._granted = self.registry.counter(
            "gateway_leases_granted_total",
            "Leases that this gateway gave to graders; each is an attempt at a job.",
            modality=Modality,
        )
        self._renewed = self.registry.counter(
            "gateway_leases_renewed_total",
            "Leases that this gateway extended at a grader's heartbeat.",
            modality=Modality,
        )
        self._released = self.registry.counter(
            "gateway_leases_released_total",
            "Leases that graders gave back untouched; their attempt does not count.",
            modality=Modality,
        )
        self._lost = self.registry.counter(
            "gateway_leases_lost_total",
            "Leases that this gateway ended: `lease-expired`, their grader was not heard of; "
            "`deadline`, the attempt took too long.",
            modality=Modality,
            cause=_LOST,
        )
        self._attempts = self.registry.counter(
            "gateway_job_attempts_total",
            "Attempts at jobs that ended at this gateway, by outcome: `scored`, `refused` (the "
            "lab's file), or the fault of ours.",
            modality=Modality,
            outcome=(SCORED, REFUSED, *Fault),
        )
        self._wait_seconds = self.registry.histogram(
            "gateway_job_wait_seconds",
            "How long jobs could have been leased before this gateway leased them.",
            _WAIT_SECONDS,
            modality=Modality,
        )
        self.web = WebTelemetry(self.registry)

    @contextmanager
    def refusals(self) -> Iterator[None]:
        """Counts refusals of a create by their reason."""
        try:
            yield
        except REFUSALS as error:
            # By the kind and not by the error's own reason: a narrower kind is no label of ours.
            kind = next(kind for kind in REFUSALS if isinstance(error, kind))
            self.create_refusals.labels(kind.reason).inc()
            raise

    def refresh(self, connection: Connection, now: datetime) -> None:
        """Sets the gauges from the database; every label value appears, also at 0."""
        self._queue.refresh(connection, now)

    def checked(self, findings: Iterable[Finding]) -> None:
        """An archive's check has ended with these findings."""
        for finding in findings:
            self._check_findings.labels(finding.code).inc()

    def leased(self, modality: str, now: datetime, leased: Sequence[Leased]) -> None:
        """These leases were given."""
        self._granted.labels(modality).inc(len(leased))
        for one in leased:
            self._wait_seconds.labels(modality).observe(
                max(0.0, (now - one.available_time).total_seconds())
            )

    def renewed(self, modality: str, leases: int) -> None:
        """So many leases were extended."""
        self._renewed.labels(modality).inc(leases)

    def released(self, modalities: Iterable[str]) -> None:
        """Leases of these modalities were given back, one for each entry."""
        for modality in modalities:
            self._released.labels(modality).inc()

    def ended(self, ended: Ended) -> None:
        """An attempt has ended; a repeated report of one that had ended counts nothing."""
        if not ended.outcome:
            return
        self._attempts.labels(ended.modality, ended.outcome).inc()

    def expired(self, ended: Iterable[Ended]) -> None:
        """These attempts were ended because nobody kept their leases alive."""
        for one in ended:
            self.ended(one)
            self._lost.labels(one.modality, one.outcome).inc()
