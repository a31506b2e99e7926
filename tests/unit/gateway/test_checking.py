"""A report becomes the next state, the task rows and the jobs, in one transaction."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select

from general_level.catalogue import load
from general_level.submission.check import CheckReport
from services.gateway import agreement, checking, findings, identity, quotas, submissions
from services.gateway.checking import Checker, CheckRequest, apply_report, check_stored
from services.gateway.signals import Signals
from services.gateway.states import Outcome, State
from services.gateway.storage.tables import jobs, task_results, upload_parts
from services.kit.clock import ManualClock
from services.kit.objects import Objects, Part
from tests.support.gateway import (
    BOARD,
    START,
    TASK,
    Archive,
    archive,
    create_request,
    eventually,
    of_members,
    open_database,
)
from tests.support.wait import eventually as wait_until

FOLDER = load().tasks[TASK].archive_path


def stored(tmp_path, what: Archive, ids: str = "", part_bytes: int = 100) -> CheckRequest:
    """The archive in parts, as an upload leaves it."""
    url = f"file://{tmp_path / 'objects'}"
    objects = Objects(url)
    parts = []
    for start in range(0, len(what.data), part_bytes):
        piece = what.data[start : start + part_bytes]
        objects.put(f"p{start}", piece)
        parts.append(Part(start, len(piece), f"p{start}"))
    return CheckRequest(url, tuple(parts), what.name, "general-bench", ids)


def report_of(request: CheckRequest) -> CheckReport:
    return msgspec.json.decode(check_stored(request), type=CheckReport)


def test_a_good_archive_is_checked_over_its_parts(tmp_path):
    report = report_of(stored(tmp_path, archive()))
    assert report.ok
    assert list(report.tasks) == [TASK]
    assert report.board_id == BOARD


def test_the_known_ids_decide_what_is_missing_and_what_unknown(tmp_path):
    ids = tmp_path / "ids.json"
    ids.write_text(json.dumps({TASK: ["1", "2", "9"]}))
    report = report_of(stored(tmp_path, archive(), str(ids)))
    task = report.tasks[TASK]
    assert task.missing_ids == ("9",)
    assert task.unknown_id_count == 1


def test_all_findings_come_at_once(tmp_path):
    broken = of_members(
        {
            f"{FOLDER}/prediction.json": [{"id": 1, "prediction": "x"}, {"id": 1}, "row"],
            "nlp/No Such Task/prediction.json": [],
        }
    )
    report = report_of(stored(tmp_path, broken))
    assert not report.ok
    assert len(report.counts) >= 3


@pytest.fixture
def database(tmp_path):
    with open_database(tmp_path) as database:
        yield database


@pytest.fixture
def connection(database):
    with database.write() as connection:
        yield connection


def create(connection, board=BOARD, number=1, now=START):
    lab_id = identity.create_lab(connection, START, f"Example Lab {number}")
    agreement.accept(connection, START, lab_id, agreement.VERSION)
    submission_id = submissions.create(
        connection, now, lab_id, create_request(archive(board)), catalogue_id="c",
        agreement_version=agreement.VERSION, new_submission_id=lambda: f"sub_{number}",
    )  # fmt: skip
    for state in (State.UPLOADING, State.CHECKING):
        submissions.move(connection, now, submission_id, state)
    return submission_id


def apply(connection, submission_id, report):
    return apply_report(connection, START, submission_id, report, load())


def outcomes(connection):
    return {row.task_id: row.outcome for row in connection.execute(select(task_results))}


def test_a_good_report_queues_one_job_for_each_task_that_a_grader_scores(tmp_path, connection):
    board = "D-A-C-7"  # one rated and one automatic task
    submission_id = create(connection, board)
    woken = apply(connection, submission_id, report_of(stored(tmp_path, archive(board))))
    assert woken == {"audio"}
    row = submissions.read(connection, submission_id)
    assert (row.state, row.tasks_total) == (State.QUEUED, 1)
    assert outcomes(connection) == {
        "audio-c-018": Outcome.AWAITING_RATINGS,
        "audio-c-019": Outcome.PENDING,
    }
    (job,) = connection.execute(select(jobs)).all()
    assert (job.task_id, job.state) == ("audio-c-019", "ready")
    result = connection.execute(
        select(task_results).where(task_results.c.task_id == "audio-c-019")
    ).one()
    (member,) = json.loads(result.members)
    assert member["path"].endswith("/prediction.json")
    assert result.prediction_bytes == member["size_bytes"] > 0


def test_a_task_that_is_absent_is_unsupported(tmp_path, connection):
    board = "D-I-C-3"  # labels, and masks, which the archive leaves out
    submission_id = create(connection, board)
    apply(connection, submission_id, report_of(stored(tmp_path, archive(board))))
    assert outcomes(connection) == {
        "image-c-005": Outcome.PENDING,
        "image-c-006": Outcome.UNSUPPORTED,
    }


def test_a_task_whose_metric_no_grader_serves_is_unscored_and_waits_for_nobody(
    tmp_path, connection
):
    bench = load()
    here = bench.with_planned([bench.tasks["image-c-005"].metric_id])
    board = "D-I-C-3"
    submission_id = create(connection, board)
    report = report_of(stored(tmp_path, archive(board)))
    assert apply_report(connection, START, submission_id, report, here) == set()
    assert outcomes(connection)["image-c-005"] == Outcome.UNSCORED
    assert submissions.read(connection, submission_id).state == State.RANKING


def test_without_any_job_the_submission_goes_on_to_ranking(tmp_path, connection):
    """Only rated answers: no job's end will ever take it on, so the check does."""
    board = "D-A-C-7"
    rated = load().tasks["audio-c-018"].archive_path
    only = of_members({f"{rated}/prediction.json": [{"id": "1", "prediction": "x"}]}, board)
    submission_id = create(connection, board)
    assert apply(connection, submission_id, report_of(stored(tmp_path, only))) == set()
    assert submissions.read(connection, submission_id).state == State.RANKING


def test_findings_reject_and_give_the_quota_back(tmp_path, connection):
    submission_id = create(connection)
    broken = of_members({f"{FOLDER}/prediction.json": b"no json"})
    report = report_of(stored(tmp_path, broken))
    assert apply(connection, submission_id, report) == set()
    row = submissions.read(connection, submission_id)
    assert (row.state, row.finding_count) == (State.REJECTED, report.finding_count)
    assert findings.load(row.findings) == report.findings
    assert quotas.status(connection, submission_id) == quotas.REFUND
    assert outcomes(connection) == {}


def test_warnings_are_kept_and_refuse_nothing(tmp_path, connection):
    submission_id = create(connection)
    rows = [{"id": "1", "prediction": "x"}]
    nested = of_members({f"Enclosing/{FOLDER}/prediction.json": rows})
    apply(connection, submission_id, report_of(stored(tmp_path, nested)))
    row = submissions.read(connection, submission_id)
    assert row.state == State.QUEUED
    assert [finding.warning for finding in findings.load(row.findings)] == [True]


@pytest.mark.parametrize("state", [State.CANCELLED, State.FAILED])
def test_a_report_that_comes_late_changes_nothing(tmp_path, connection, state):
    submission_id = create(connection)
    submissions.move(connection, START, submission_id, state)
    assert apply(connection, submission_id, report_of(stored(tmp_path, archive()))) == set()
    assert submissions.read(connection, submission_id).state == state
    assert connection.execute(select(jobs)).all() == []


def test_a_report_that_comes_twice_makes_its_jobs_once(tmp_path, connection):
    submission_id = create(connection)
    report = report_of(stored(tmp_path, archive()))
    apply(connection, submission_id, report)
    assert apply(connection, submission_id, report) == set()
    assert len(connection.execute(select(jobs)).all()) == 1


def checker_over(tmp_path, database, signals, **changes) -> Checker:
    return Checker(
        database=database,
        objects=Objects(f"file://{tmp_path / 'objects'}"),
        signals=signals,
        clock=ManualClock(START),
        catalogue=load(),
        catalogue_spec="general-bench",
        ids_path=None,
        **changes,
    )


def upload(connection, request: CheckRequest, submission_id: str) -> None:
    for part in request.parts:
        connection.execute(
            upload_parts.insert().values(
                submission_id=submission_id, offset=part.offset, size=part.size,
                object_key=part.key,
            )
        )  # fmt: skip


def state(database, submission_id):
    with database.read() as connection:
        return submissions.read(connection, submission_id).state


async def test_a_store_that_is_away_costs_no_submission(tmp_path, database):
    """The archive rests and is checked when its objects are there again."""
    with database.write() as connection:
        submission_id = create(connection)
        request = stored(tmp_path, archive())
        upload(connection, request, submission_id)
    (tmp_path / "objects").rename(tmp_path / "away")
    checker = checker_over(tmp_path, database, Signals())
    for _ in range(checking.ATTEMPTS_MAX + 1):
        # A store that is away is a fault, and the archive rests: none is checked.
        await checker._check_next(checker._slots[0])
    assert state(database, submission_id) == State.CHECKING
    (tmp_path / "objects").rmdir()
    (tmp_path / "away").rename(tmp_path / "objects")

    async def checked() -> bool:
        await checker._check_next(checker._slots[0])
        return state(database, submission_id) == State.QUEUED

    await eventually(checked, 60)
    checker.close()


async def test_closing_ends_a_child_that_hangs(tmp_path, database):
    with database.write() as connection:
        submission_id = create(connection)
        request = stored(tmp_path, archive())
        upload(connection, request, submission_id)
    # A pipe whose writer says nothing is read for ever.
    pipe = tmp_path / "objects" / request.parts[0].key
    pipe.unlink()
    os.mkfifo(pipe)
    checker = checker_over(tmp_path, database, Signals())
    others = set(multiprocessing.active_children())
    work = asyncio.create_task(checker._check_next(checker._slots[0]))
    writer = await eventually(lambda: writing_end(pipe), 60, "a child that reads")
    (child,) = set(multiprocessing.active_children()) - others
    checker.close()
    await eventually(lambda: not child.is_alive(), what="the child's end")
    os.close(writer)
    await work
    assert state(database, submission_id) == State.CHECKING


def writing_end(pipe: Path) -> int | None:
    """The pipe opened for writing, once somebody reads it."""
    try:
        return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return None


def hanging(tmp_path) -> CheckRequest:
    """An archive whose check reads for ever: its only part is a pipe that nobody writes to."""
    os.mkfifo(tmp_path / "objects" / "pipe")
    good = stored(tmp_path, archive())
    size = sum(part.size for part in good.parts)
    return CheckRequest(good.objects_url, (Part(0, size, "pipe"),), good.archive_name, "", "")


@pytest.fixture
def one_that_hangs(tmp_path, database):
    """The oldest archive hangs, two younger ones are good."""
    good = stored(tmp_path, archive())
    for number, request in enumerate((hanging(tmp_path), good, good), 1):
        with database.write() as connection:
            now = START + timedelta(seconds=number)
            upload(connection, request, create(connection, number=number, now=now))
    return "sub_1", ("sub_2", "sub_3")


async def test_others_are_checked_while_one_hangs(tmp_path, database, one_that_hangs):
    hung, good = one_that_hangs
    checker = checker_over(tmp_path, database, Signals(), slots=2)
    work = asyncio.create_task(checker.run())
    await eventually(lambda: {state(database, one) for one in good} == {State.QUEUED}, 60)
    assert state(database, hung) == State.CHECKING
    work.cancel()
    checker.close()


async def test_a_check_that_runs_out_of_time_is_tried_once_more_after_the_others(
    tmp_path, database, one_that_hangs
):
    hung, good = one_that_hangs
    checker = checker_over(tmp_path, database, Signals())
    (slot,) = checker._slots
    # Only the one that hangs is ended by the clock, whatever the machine's pace.
    checker._check_seconds = 0.2
    await checker._check_next(slot)
    checker._check_seconds = 60
    for one in good:
        assert state(database, one) == State.CHECKING
        await checker._check_next(slot)
        assert state(database, one) == State.QUEUED
    assert state(database, hung) == State.CHECKING
    checker._check_seconds = 0.2

    async def tried_again() -> bool:
        return await checker._check_next(slot)

    await eventually(tried_again, 10)
    with database.read() as connection:
        row = submissions.read(connection, hung)
        assert (row.state, row.failure_reason) == (State.FAILED, "check-timed-out")
        assert quotas.status(connection, hung) == quotas.REFUND
    assert not await checker._check_next(slot)
    checker.close()


async def test_two_slots_never_take_the_same_archive(tmp_path, database):
    with database.write() as connection:
        create(connection)
    checker = checker_over(tmp_path, database, Signals(), slots=2)
    first, second = checker._slots
    worked = await asyncio.gather(checker._check_next(first), checker._check_next(second))
    assert sorted(worked) == [False, True]
    checker.close()


def test_a_check_that_asks_for_too_much_memory_fails_and_the_child_lives_on():
    with checking._new_pool() as pool:
        asked = pool.submit(bytearray, checking.CHILD_MEMORY_BYTES)
        with pytest.raises(MemoryError):
            asked.result(30)
        assert pool.submit(bytearray, 3).result(30) == bytearray(3)


#: A gateway's slot in a process of its own; its child has begun once it has answered.
_GATEWAY = """
import os
from services.gateway.checking import _Slot
if __name__ == "__main__":
    print(_Slot().pool.submit(os.getpid).result(), flush=True)
    os.kill(os.getpid(), 9)
"""


def test_the_child_of_a_killed_gateway_ends(tmp_path):
    program = tmp_path / "gateway.py"
    program.write_text(_GATEWAY)
    killed = subprocess.run(
        [sys.executable, program], stdout=subprocess.PIPE, check=False, timeout=60
    )
    assert killed.returncode == -signal.SIGKILL
    child = Path("/proc", killed.stdout.decode().strip())

    def has_ended() -> bool:
        try:
            # Nobody need be there to collect it: a zombie has ended.
            return child.joinpath("stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
        except (FileNotFoundError, ProcessLookupError):
            return True

    wait_until(has_ended, what="the child ended")
