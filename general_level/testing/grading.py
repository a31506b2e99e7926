"""The fake's grader and ranker: one thread for all that happens after the upload."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from general_level.errors import ScoreRefused
from general_level.submission.check import CheckReport, check_archive
from general_level.testing import records
from general_level.testing.publication import grade
from general_level.testing.records import Record
from general_level.testing.signing import Signer
from general_level.testing.world import World
from general_level.v1 import submission_pb2 as pb


class Worker:
    """Checks, grades and publishes, in the order in which it is asked to."""

    def __init__(self, world: World, signer: Signer, *, automatic: bool) -> None:
        self._world = world
        self._signer = signer
        self._automatic = automatic
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="fake-gateway-grader", daemon=True)
        self._thread.start()

    def check(self, record: Record) -> None:
        """Asks for the check, and for the grading after it if that is automatic."""
        self._work.put(lambda: self._check(record))

    def grade(self, record: Record) -> None:
        """Asks for the grading of a queued submission."""
        self._work.put(lambda: self._grade(record))

    def stop(self) -> None:
        self._work.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()

    def _check(self, record: Record) -> None:
        world = self._world
        with record.path.open("rb") as file:
            report = check_archive(
                file,
                catalogue=world.catalogue,
                archive_name=record.request.archive_name,
                item_ids=world.item_ids,
                allow_strip=True,
            )
        with world.changed:
            if record.state != records.CHECKING:
                return  # withdrawn meanwhile
            record.report = report
            record.message.findings.extend(_findings(report))
            record.message.finding_count = report.finding_count
            if not report.ok:
                record.enter(records.REJECTED, world.now)
            else:
                record.message.progress.tasks_total = len(report.tasks)
                record.message.progress.position = 0
                record.enter(records.QUEUED, world.now)
            world.changed.notify_all()
        if self._automatic:
            self._grade(record)

    def _grade(self, record: Record) -> None:
        world = self._world
        with world.changed:
            if record.state != records.QUEUED:
                return
            record.message.progress.ClearField("position")
            record.enter(records.GRADING, world.now)
            world.changed.notify_all()
        for task_id in world.catalogue.boards[record.message.board_id].task_ids:
            try:
                result, statement = grade(
                    record,
                    task_id,
                    world.scores,
                    self._signer,
                    world.item_count(task_id),
                    world.now,
                )
            except ScoreRefused:
                self._fail(record)
                return
            with world.changed:
                if record.state != records.GRADING:
                    return
                record.results.append(result)
                if result.outcome != pb.TASK_OUTCOME_UNSUPPORTED:
                    record.message.progress.tasks_done += 1
                if statement is not None:
                    record.statements.append(statement)
                world.changed.notify_all()
        with world.changed:
            record.enter(records.RANKING, world.now)
            record.enter(records.PUBLISHED, world.now)
            world.publish(record.message.board_id)

    def _fail(self, record: Record) -> None:
        """The test's score function gave an illegal value: a fault of the platform's side."""
        with self._world.changed:
            record.enter(records.FAILED, self._world.now, "illegal-score")
            self._world.changed.notify_all()


def _findings(report: CheckReport) -> list[pb.Finding]:
    return [
        pb.Finding(
            code=f.code,
            path=f.path,
            row=f.row,
            message=f.message,
            remedy=f.remedy,
            warning=f.warning,
        )
        for f in report.findings
    ]
