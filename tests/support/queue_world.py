"""A gateway's database with labs, submissions and a grader's key, for tests of queue and ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, func, insert, select

from general_level import catalogue as catalogues
from general_level.catalogue import Catalogue, Task
from general_level.dsse import encode_envelope, pre_authentication_encoding
from general_level.statements import PAYLOAD_TYPE, GraderInfo, ScoreStatement, encode_statement
from general_level.v1 import submission_pb2
from services.gateway import leases, quotas
from services.gateway.leases import Leased, LeaseRef, Score
from services.gateway.states import Outcome, State
from services.gateway.storage.database import Database
from services.gateway.storage.tables import jobs, labs, metadata, submissions, task_results
from services.gateway.submissions import move
from services.kit.clock import ManualClock
from tests.support.stores import stores

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LEASE = timedelta(seconds=30)
JOB = timedelta(minutes=30)
CATALOGUE: Catalogue = catalogues.load()


class GraderKey:
    """A grader's signing key that exists only in the test."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        self.public: bytes = self._key.public_key().public_bytes_raw()

    def sign(self, statement: ScoreStatement) -> bytes:
        payload = encode_statement(statement)
        signature = self._key.sign(pre_authentication_encoding(PAYLOAD_TYPE, payload))
        return encode_envelope(PAYLOAD_TYPE, payload, signature, self.public)


def statement(
    submission_id: str, task_id: str, archive_sha256: str, value: float, /, **changes: Any
) -> ScoreStatement:
    """A true statement of a score over 100 items, except for ``changes``."""
    metric = CATALOGUE.metric_of(task_id)
    fields: dict[str, Any] = {
        "submission_id": submission_id,
        "task_id": task_id,
        "catalogue_id": CATALOGUE.id,
        "metric_id": metric.id,
        "metric_version": metric.version,
        "value": value,
        "standard_error": None,
        "item_count": 100,
        "missing_count": 0,
        "key_version": "1",
        "key_commitment": "c" * 64,
        "grader": GraderInfo("sha256:none", "cpu", "test"),
        "scored_time": NOON,
        "archive_sha256": archive_sha256,
        "members": {f"{CATALOGUE.tasks[task_id].archive_path}/prediction.json": "d" * 64},
    }
    return ScoreStatement(**(fields | changes))


def tasks_of(modality: str, metric_id: str = "accuracy") -> list[Task]:
    """Tasks of a modality that one metric grades."""
    return [
        task
        for task in CATALOGUE.tasks.values()
        if task.modality == modality and task.metric_id == metric_id
    ]


class WatchedDatabase(Database):
    """A database that tells when a write was asked for."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.write_asked = asyncio.Event()

    async def run_write(self, call: Any, *args: Any, **kwargs: Any) -> Any:
        self.write_asked.set()
        return await super().run_write(call, *args, **kwargs)


@dataclass
class QueueWorld:
    """One gateway's rows; everything goes through the modules under test."""

    folder: Path
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOON))
    key: GraderKey = field(default_factory=GraderKey)

    def __post_init__(self) -> None:
        self.database = WatchedDatabase(stores().rows_url(self.folder))
        if self.database.is_sqlite:
            metadata.create_all(self.database.engine)
        self._numbers: Iterator[int] = count(1)
        self._tokens: Iterator[int] = count(1)

    def close(self) -> None:
        self.database.close()

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def add_lab(self) -> str:
        lab_id = f"lab-{next(self._numbers)}"
        with self.database.write() as connection:
            connection.execute(
                insert(labs).values(lab_id=lab_id, name=lab_id, create_time=self.now)
            )
        return lab_id

    def add_submission(
        self, lab_id: str, tasks: Sequence[Task], board_id: str = "A-full", model: str = "Model"
    ) -> str:
        """A checked submission in the queue with one job for each task."""
        number = next(self._numbers)
        submission_id = f"sub-{number:04d}"
        with self.database.write() as connection:
            connection.execute(
                insert(submissions).values(
                    submission_id=submission_id,
                    lab_id=lab_id,
                    request_id=submission_id,
                    request_sha256="a" * 64,
                    board_id=board_id,
                    catalogue_id=CATALOGUE.id,
                    model=submission_pb2.ModelMetadata(
                        model_name=model, organisation=lab_id, contact_email="a@example.org"
                    ).SerializeToString(),
                    archive_name=f"{model}-{board_id}.zip",
                    archive_bytes=1,
                    archive_sha256=f"{number:064x}",
                    state=State.CHECKING,
                    create_time=self.now,
                    update_time=self.now,
                    revision=1,
                    tasks_total=0,
                    tasks_done=0,
                    finding_count=0,
                    failure_reason="",
                )
            )
            quotas.record(connection, self.now, lab_id, submission_id, quotas.RESERVE)
            for task in tasks:
                connection.execute(
                    insert(task_results).values(
                        submission_id=submission_id,
                        task_id=task.id,
                        metric_id=task.metric_id,
                        outcome=Outcome.PENDING,
                        prediction_bytes=1,
                        item_count=0,
                        missing_count=0,
                        attempt_count=0,
                    )
                )
            move(connection, self.now, submission_id, State.QUEUED)
            leases.enqueue(connection, self.now, self.submission(submission_id, connection), tasks)
        return submission_id

    def lease(self, max_jobs: int = 1, modality: str = "image") -> list[Leased]:
        with self.database.write() as connection:
            return leases.lease(
                connection,
                self.now,
                modality=modality,
                metric_ids=list(CATALOGUE.metrics),
                max_jobs=max_jobs,
                grader_id="grader-1",
                new_token=lambda: f"token-{next(self._tokens)}",
                lease_duration=LEASE,
                job_duration=JOB,
            )

    def lease_ready(self, modality: str = "image") -> bool:
        """Whether a lease would find a job now."""
        with self.database.read() as connection:
            return leases.has_ready(connection, self.now, modality, list(CATALOGUE.metrics))

    def score(self, leased: Leased, value: float = 50.0) -> Score:
        """What a true grader says about the job."""
        signed = statement(leased.submission_id, leased.task_id, leased.archive_sha256, value)
        return Score(value, None, 100, 0, self.key.sign(signed))

    def complete(self, leased: Leased, value: float = 50.0) -> leases.Ended:
        return self.complete_with(ref_of(leased), self.score(leased, value))

    def complete_with(self, ref: LeaseRef, score: Score) -> leases.Ended:
        with self.database.write() as connection:
            return leases.complete_scored(
                connection,
                self.now,
                ref,
                score,
                catalogue=CATALOGUE,
                trusted_keys=[self.key.public],
            )

    def fail(self, leased: Leased, fault: leases.Fault = leases.Fault.INTERNAL) -> leases.Ended:
        with self.database.write() as connection:
            return leases.fail(connection, self.now, ref_of(leased), fault)

    def expire(self) -> leases.Expired:
        with self.database.write() as connection:
            return leases.expire_leases(connection, self.now)

    def submission(self, submission_id: str, connection: Connection | None = None) -> Any:
        query = select(submissions).where(submissions.c.submission_id == submission_id)
        if connection is not None:
            return connection.execute(query).one()
        with self.database.read() as reading:
            return reading.execute(query).one()

    def result(self, submission_id: str, task_id: str) -> Any:
        with self.database.read() as connection:
            return connection.execute(
                select(task_results).where(
                    task_results.c.submission_id == submission_id,
                    task_results.c.task_id == task_id,
                )
            ).one()

    def job_states(self, submission_id: str) -> dict[str, int]:
        """How many jobs of the submission are in each state."""
        with self.database.read() as connection:
            rows = connection.execute(
                select(jobs.c.state, func.count())
                .where(jobs.c.submission_id == submission_id)
                .group_by(jobs.c.state)
            )
            return dict(rows.all())

    def quota(self, submission_id: str) -> str:
        with self.database.read() as connection:
            return quotas.status(connection, submission_id)


def ref_of(leased: Leased) -> LeaseRef:
    return LeaseRef(leased.job_id, leased.lease_token)
