"""CHECKING: the labs' own offline checker over the stored archive, in a child process.

The child keeps a hostile file away from the event loop, from memory that serves others and from
the database. Its answer is a `CheckReport`; this module turns it into the next state, the task
rows and the jobs, in one transaction.
"""

from __future__ import annotations

import asyncio
import io
import multiprocessing
import os
import resource
import threading
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, cast

import msgspec
from sqlalchemy import Connection, insert, select, update

from general_level.catalogue import Catalogue, Grading
from general_level.errors import Unavailable
from general_level.submission.check import CheckedTask, CheckReport, check_archive
from general_level.submission.members import Member
from services.gateway import findings, leases, public_folder, submissions, uploads
from services.gateway.signals import Signals
from services.gateway.states import Outcome, State
from services.gateway.storage.database import Database
from services.gateway.storage.replicas import Alone, Replicas
from services.gateway.storage.tables import submissions as submissions_table
from services.gateway.storage.tables import task_results
from services.gateway.telemetry import Telemetry
from services.kit import tracing
from services.kit.catalogues import open_catalogue
from services.kit.clock import Clock
from services.kit.logging import get_logger
from services.kit.objects import Objects, Part, PartedFile, S3Options

#: Checks of one archive before a crash of the child counts as ours.
ATTEMPTS_MAX: Final = 3
#: A check that takes longer is ended.
CHECK_SECONDS_MAX: Final = 600
#: Checks of one archive that are ended so. It is tried once more, for a machine that was busy; the
#: same again would hold a slot for as long and end the same way.
TIMEOUTS_MAX: Final = 2
#: A child is replaced after so many archives, so that no leak grows for ever.
CHECKS_PER_CHILD: Final = 50
#: Memory of the child. A prediction.json of the largest size can ask for more when it is no honest
#: one; then that check fails, and not whatever else runs on the machine.
CHILD_MEMORY_BYTES: Final = 4 * 1024**3
#: Other replicas' uploads are noticed this often.
_POLL_SECONDS: Final = 2.0
_READ_BUFFER_BYTES: Final = 1024 * 1024
#: How long a failed check is remembered.
_FORGET_SECONDS: Final = 3_600.0


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """What the child needs; all of it picklable."""

    objects_url: str
    parts: tuple[Part, ...]
    archive_name: str
    catalogue: str
    ids_path: str
    s3: S3Options | None = None


def check_stored(request: CheckRequest) -> bytes:
    """Runs the checker over a stored archive (in the child). Returns the report as JSON."""
    file = io.BufferedReader(
        PartedFile(Objects(request.objects_url, request.s3), request.parts), _READ_BUFFER_BYTES
    )
    report = check_archive(
        cast("BinaryIO", file),
        catalogue=open_catalogue(request.catalogue),
        archive_name=request.archive_name,
        item_ids=public_folder.item_ids(request.ids_path),
        allow_strip=True,
    )
    return msgspec.json.encode(report)


def apply_report(
    connection: Connection,
    now: datetime,
    submission_id: str,
    report: CheckReport,
    catalogue: Catalogue,
) -> set[str]:
    """Writes what the check found: REJECTED, or the task rows and jobs. Returns modalities woken.

    Does nothing if the submission is no longer being checked (withdrawn, or checked elsewhere).
    """
    row = submissions.lock(connection, submission_id)
    if row.state != State.CHECKING:
        return set()
    connection.execute(
        update(submissions_table)
        .where(submissions_table.c.submission_id == submission_id)
        .values(findings=findings.dump(report.findings), finding_count=report.finding_count)
    )
    if not report.ok:
        submissions.move(connection, now, submission_id, State.REJECTED, note="findings")
        return set()
    board = catalogue.boards[row.board_id]
    connection.execute(
        insert(task_results),
        [
            _task_row(submission_id, task_id, report.tasks.get(task_id), catalogue)
            for task_id in board.task_ids
        ],
    )
    automatic = [
        catalogue.tasks[task_id]
        for task_id in report.tasks
        if catalogue.metric_of(task_id).grading is Grading.AUTOMATIC
    ]
    submissions.move(connection, now, submission_id, State.QUEUED)
    leases.enqueue(connection, now, row, automatic)
    return {task.modality.value for task in automatic}


def _task_row(
    submission_id: str, task_id: str, checked: CheckedTask | None, catalogue: Catalogue
) -> dict[str, object]:
    outcomes = {
        Grading.AUTOMATIC: Outcome.PENDING,
        Grading.RATINGS: Outcome.AWAITING_RATINGS,
        Grading.PLANNED: Outcome.UNSCORED,
    }
    metric = catalogue.metric_of(task_id)
    members: Sequence[Member] = checked.members if checked else ()
    return {
        "submission_id": submission_id,
        "task_id": task_id,
        "metric_id": metric.id,
        "outcome": outcomes[metric.grading] if checked else Outcome.UNSUPPORTED,
        "members": msgspec.json.encode(members) if checked else None,
        "prediction_bytes": sum(member.size_bytes for member in members),
        "item_count": 0,
        "missing_count": 0,
        "attempt_count": 0,
    }


class _Failure(NamedTuple):
    """How often a check crashed or ran out of time, and until when that counts (loop time, s)."""

    crashes: int
    timeouts: int
    retry_time: float
    forget_time: float


class _Slot:
    """A place for one check at a time, with a child of its own: ending it ends no other check."""

    def __init__(self) -> None:
        self.pool = _new_pool()

    def renew(self) -> None:
        """Ends the child and makes room for another."""
        self.close()
        self.pool = _new_pool()

    def close(self) -> None:
        """Ends the child."""
        # The pool forgets its processes when it is shut down.
        children = list((self.pool._processes or {}).values())
        self.pool.shutdown(wait=False, cancel_futures=True)
        for process in children:
            process.kill()


class Checker:
    """Checks up to ``slots`` archives at once until it is stopped.

    Those that were never tried come first, the oldest before the others; one whose check failed is
    tried again when none of them waits, so that it holds up nobody but itself. Of several gateways
    one claims an archive; each counts the failures that it saw.
    """

    def __init__(
        self,
        *,
        database: Database,
        objects: Objects,
        signals: Signals,
        clock: Clock,
        catalogue: Catalogue,
        catalogue_spec: str,
        ids_path: Path | None,
        slots: int = 1,
        check_seconds: float = CHECK_SECONDS_MAX,
        replicas: Replicas | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        self._database = database
        self._replicas = replicas or Alone()
        self._telemetry = telemetry or Telemetry()
        self._objects = objects
        self._signals = signals
        self._clock = clock
        self._catalogue = catalogue
        self._catalogue_spec = catalogue_spec
        self._ids_path = str(ids_path) if ids_path else ""
        self._check_seconds = check_seconds
        self._slots = [_Slot() for _ in range(slots)]
        self._choosing = asyncio.Lock()
        self._in_work: set[str] = set()
        self._failures: dict[str, _Failure] = {}

    async def run(self) -> None:
        """Works until cancelled; nothing that happens to one archive ends it."""
        async with asyncio.TaskGroup() as tasks:
            for slot in self._slots:
                tasks.create_task(self._work(slot))

    async def _work(self, slot: _Slot) -> None:
        while True:
            waiter = self._signals.subscribe("checking")
            try:
                worked = await self._check_next(slot)
            except Exception as error:
                get_logger().error("checker failed", exc_info=error)
                worked = False
            if worked:
                waiter.cancel()
            else:
                await self._signals.wait(waiter, _POLL_SECONDS)

    def close(self) -> None:
        """Ends the children."""
        for slot in self._slots:
            slot.close()

    async def _check_next(self, slot: _Slot) -> bool:
        """Checks the archive whose turn it is; whether there was one."""
        async with self._choosing:
            submission_id = await self._next()
            if submission_id is None:
                return False
            self._in_work.add(submission_id)
        try:
            with tracing.span("check", submission_id):
                await self._check(slot, submission_id)
        except Exception as error:
            await self._after_failure(slot, submission_id, error)
        else:
            self._failures.pop(submission_id, None)
        finally:
            self._in_work.discard(submission_id)
            await self._replicas.leave(f"check/{submission_id}")
        return True

    async def _next(self) -> str | None:
        """The archive whose turn it is, claimed; those that another gateway checks are left."""
        now = asyncio.get_running_loop().time()
        self._failures = {key: one for key, one in self._failures.items() if one.forget_time > now}
        elsewhere: list[str] = []
        while True:
            passed_over = (*self._in_work, *elsewhere)
            found = await self._database.run_read(
                _oldest_unchecked, passed_over=(*passed_over, *self._failures)
            )
            if found is None:
                again = [
                    key
                    for key, one in self._failures.items()
                    if one.retry_time <= now and key not in passed_over
                ]
                found = await self._database.run_read(_oldest_unchecked, among=again)
            if found is None:
                return None
            if await self._replicas.claim(f"check/{found}"):
                row = await self._database.run_read(submissions.read, found)
                if row.state == State.CHECKING:
                    return found
                # Checked by another gateway between our look and our claim.
                await self._replicas.leave(f"check/{found}")
            elsewhere.append(found)

    async def _check(self, slot: _Slot, submission_id: str) -> None:
        report = await self._report(slot, submission_id)
        modalities = await self._database.run_write(
            apply_report, self._clock.now(), submission_id, report, self._catalogue
        )
        self._telemetry.checked(report.findings)
        get_logger(submission_id=submission_id).info(
            "checked", ok=report.ok, findings=report.finding_count, tasks=len(report.tasks)
        )
        for topic in (f"submission/{submission_id}", "ledger", *(f"jobs/{m}" for m in modalities)):
            self._signals.notify(topic)

    async def _after_failure(self, slot: _Slot, submission_id: str, error: Exception) -> None:
        """Lets the archive rest, so that others are checked; after too many failures it FAILED.

        A store or a database that is away is no failure of the archive: then only the state's
        maximum age ends it.
        """
        earlier = self._failures.get(submission_id)
        crashes, timeouts = (earlier.crashes, earlier.timeouts) if earlier else (0, 0)
        rest = _POLL_SECONDS
        if isinstance(error, TimeoutError):
            timeouts += 1
        elif not isinstance(error, Unavailable):
            crashes += 1
            rest = min(_POLL_SECONDS, 0.2 * 2**crashes)
        now = asyncio.get_running_loop().time()
        self._failures[submission_id] = _Failure(
            crashes, timeouts, now + rest, now + _FORGET_SECONDS
        )
        said = {"submission_id": submission_id, "crashes": crashes, "timeouts": timeouts}
        get_logger().error("check failed", **said, exc_info=error)
        if isinstance(error, (BrokenProcessPool, TimeoutError)):
            slot.renew()
        if crashes >= ATTEMPTS_MAX or timeouts >= TIMEOUTS_MAX:
            reason = "check-crashed" if crashes >= ATTEMPTS_MAX else "check-timed-out"
            await self._database.run_write(_fail, self._clock.now(), submission_id, reason)
            self._failures.pop(submission_id, None)
            self._signals.notify(f"submission/{submission_id}")

    async def _report(self, slot: _Slot, submission_id: str) -> CheckReport:
        row = await self._database.run_read(submissions.read, submission_id)
        parts = await self._database.run_read(uploads.read_parts, submission_id)
        request = CheckRequest(
            self._objects.url,
            tuple(parts),
            row.archive_name,
            self._catalogue_spec,
            self._ids_path,
            self._objects.s3,
        )
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(slot.pool, check_stored, request)
        # Not wait_for: on Python 3.11 it can swallow a cancellation (python/cpython#86296).
        async with asyncio.timeout(self._check_seconds):
            answer = await work
        return msgspec.json.decode(answer, type=CheckReport)


def _new_pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        1,
        mp_context=multiprocessing.get_context("spawn"),
        max_tasks_per_child=CHECKS_PER_CHILD,
        initializer=_prepare_child,
    )


def _prepare_child() -> None:
    """Bounds the memory of this process (in the child), and ends it with its gateway."""
    threading.Thread(target=_end_with_gateway, daemon=True).start()
    _limit_memory()


def _end_with_gateway() -> None:
    """A gateway that was killed sends its child no word: it would wait for work for ever."""
    gateway = multiprocessing.parent_process()
    if gateway is not None:
        gateway.join()
        os._exit(1)


def _limit_memory() -> None:
    """A lower bound of the operator's stays."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = CHILD_MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(CHILD_MEMORY_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _oldest_unchecked(
    connection: Connection,
    *,
    passed_over: Sequence[str] = (),
    among: Sequence[str] | None = None,
) -> str | None:
    query = select(submissions_table.c.submission_id).where(
        submissions_table.c.state == State.CHECKING,
        submissions_table.c.submission_id.not_in(passed_over),
    )
    if among is not None:
        query = query.where(submissions_table.c.submission_id.in_(among))
    return connection.scalar(query.order_by(submissions_table.c.update_time).limit(1))


def _fail(connection: Connection, now: datetime, submission_id: str, reason: str) -> None:
    if submissions.lock(connection, submission_id).state == State.CHECKING:
        submissions.move(connection, now, submission_id, State.FAILED, failure_reason=reason)
