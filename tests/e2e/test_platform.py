"""The whole platform as real processes: faults that lose nothing, and answers that stay sealed."""

from __future__ import annotations

import random
import threading
import urllib.request
import zipfile
from pathlib import Path

import pytest

from general_level.catalogue import Task, load
from general_level.client import ModelMetadata
from general_level.client.models import SubmissionState, TransferProgress
from general_level.receipts import verify_receipt
from general_level.trusted_keys import read_trusted_keys
from services.platform.app import wait_serving
from tests.support.platform import Platform, running_platform
from tests.support.synthetic import scored_tasks, write_archive
from tests.support.wait import eventually

pytestmark = pytest.mark.slow

ITEMS = 12
SUBMISSIONS = 200
KILLS = 12
BOARDS = ("D-I-C-1", "D-V-C-1", "D-A-C-1", "D-D-C-1", "D-L-1")


def _board_tasks(*boards: str) -> list[Task]:
    catalogue = load()
    found = {task.id: task for board in boards for task in scored_tasks(catalogue, board)}
    return list(found.values())


@pytest.mark.timeout(600)
def test_two_hundred_submissions_survive_graders_killed_at_random(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_LEASE_SECONDS", "3")
    catalogue = load()
    boards = [board for board in BOARDS if scored_tasks(catalogue, board)]
    assert len(boards) >= 4
    with running_platform(tmp_path, _board_tasks(*boards), ITEMS) as platform:
        archives = {
            board: write_archive(
                tmp_path, "Model", board, scored_tasks(catalogue, board), ITEMS, correct=0.6
            )
            for board in boards
        }
        submitted: dict[str, str] = {}
        clients = []
        done = threading.Event()
        killer = threading.Thread(target=_kill_graders, args=(platform, done))
        killer.start()
        try:
            for number in range(SUBMISSIONS):
                client = platform.new_lab()
                clients.append(client)
                board = boards[number % len(boards)]
                created = client.submit(
                    archives[board], metadata=ModelMetadata(f"Model {number}", organisation="Org")
                )
                submitted[created.submission_id] = board
            eventually(
                lambda: _states(platform) == {"published": SUBMISSIONS},
                480,
                "submissions by state",
            )
        finally:
            done.set()
            killer.join()
        assert sum(platform.supervisor.restarts().values()) >= KILLS // 2
        expected = {
            (submission_id, task.id)
            for submission_id, board in submitted.items()
            for task in scored_tasks(catalogue, board)
        }
        scored = platform.rows(
            "SELECT submission_id, task_id FROM score_ledger WHERE kind = 'score'"
        )
        assert len(scored) == len(expected)
        assert set(scored) == expected
        completions = platform.rows(
            "SELECT submission_id FROM score_ledger WHERE kind = 'completion'"
        )
        assert len(completions) == len(set(completions)) == SUBMISSIONS
        settled = platform.rows("SELECT action, count(*) FROM quota_ledger GROUP BY action")
        assert dict(settled) == {"reserve": SUBMISSIONS, "commit": SUBMISSIONS}  # type: ignore[arg-type]
        for client in clients:
            client.close()


def _states(platform: Platform) -> dict[str, int]:
    rows = platform.rows("SELECT state, count(*) FROM submissions GROUP BY state")
    return dict(rows)  # type: ignore[arg-type]


def _kill_graders(platform: Platform, done: threading.Event) -> None:
    random_ = random.Random(7)
    graders = sorted(name for name in platform.supervisor.pids() if name.startswith("grader"))
    for _ in range(KILLS):
        if done.wait(random_.uniform(0.8, 2.5)):
            return
        try:
            platform.kill(random_.choice(graders))
        except ProcessLookupError:
            continue  # it was dead already, and waits for its restart


@pytest.mark.timeout(180)
def test_a_gateway_killed_mid_upload_and_mid_grading_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_LEASE_SECONDS", "3")
    board = "C-audio-comprehension"
    tasks = _board_tasks(board)
    items = 5_000
    with running_platform(tmp_path, tasks, items) as platform, platform.new_lab() as client:
        archive = write_archive(
            tmp_path, "Model", board, tasks, items, compression=zipfile.ZIP_STORED
        )
        assert archive.stat().st_size > 5 * 2**20  # several messages, so that one is in the middle
        killed = threading.Event()

        def kill_once(progress: TransferProgress) -> None:
            if progress.done_bytes > progress.total_bytes // 3 and not killed.is_set():
                killed.set()
                platform.kill("gateway")

        submission = client.submit(archive, progress=kill_once)
        assert killed.is_set()
        seen = []
        regrade = threading.Event()
        for update in client.watch(submission.submission_id):
            seen.append(update.state)
            if update.state is SubmissionState.GRADING and not regrade.is_set():
                regrade.set()
                platform.kill("gateway")
                wait_serving(platform.target)
        assert regrade.is_set()
        assert seen[-1] is SubmissionState.PUBLISHED
        scored = platform.rows("SELECT task_id FROM score_ledger WHERE kind = 'score'")
        assert sorted(scored) == sorted((task.id,) for task in tasks)


@pytest.mark.timeout(180)
def test_a_canary_in_every_answer_is_found_nowhere_outside_the_sealed_keys(tmp_path: Path) -> None:
    canary = "zq7canary7answer"
    boards = ("D-I-C-1", "D-L-1", "D-A-C-1")
    tasks = _board_tasks(*boards)
    catalogue = load()
    answers: list[bytes] = []
    with running_platform(tmp_path, tasks, ITEMS, canary=canary) as platform:
        planted = (tmp_path / "benchmark").rglob("annotation.json")
        assert all(canary in path.read_text() for path in planted)
        for board in boards:
            with platform.new_lab() as client:
                fitting = scored_tasks(catalogue, board)
                archive = write_archive(tmp_path, f"Model {board}", board, fitting, ITEMS)
                submission = client.submit(archive)
                final = list(client.watch(submission.submission_id))[-1]
                assert final.state is SubmissionState.PUBLISHED
                receipt = client.receipt(submission.submission_id)
                report = verify_receipt(
                    receipt,
                    archive=archive,
                    trusted_keys=read_trusted_keys(platform.home.trusted_keys),
                )
                assert len(report.statements) == len(fitting)
                told = (
                    final,
                    receipt,
                    client.results(submission.submission_id),
                    client.standings(board),
                    client.tasks(),
                    client.key_commitments(),
                )
                answers.append(repr(told).encode())
        answers.extend(_scrape(platform))
        for name in platform.supervisor.pids():
            if name.startswith("grader"):
                platform.kill(name)  # what a killed process leaves behind counts, too
    held_apart = {tmp_path / "home" / "sealed" / "keys", tmp_path / "benchmark"}
    files = [
        path
        for path in tmp_path.rglob("*")
        if path.is_file() and not any(parent in held_apart for parent in path.parents)
    ]
    assert len(files) > 10
    for path in files:
        assert canary.encode() not in path.read_bytes(), path
    for path in (tmp_path / "home" / "sealed" / "keys").iterdir():
        assert canary.encode() not in path.read_bytes(), path
    for told_bytes in answers:
        assert canary.encode() not in told_bytes


def _scrape(platform: Platform) -> list[bytes]:
    ports = (platform.ports.gateway_metrics, platform.ports.ranker_metrics)
    pages = []
    for port in ports:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as page:
            pages.append(page.read())
    assert b"gateway_submissions" in pages[0]
    assert b"ranker_" in pages[1]
    return pages
