"""What only the fake does: scores on demand, placements, time, faults."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from general_level.client import Client, SubmissionState, TaskOutcome
from general_level.errors import NotAuthenticated, NotFound, ScoreRefused, UnknownBoard, UnknownTask
from general_level.testing import FakeGateway

BOARD = "C-audio-comprehension"


def values(client: Client, submission_id: str) -> dict[str, float | None]:
    return {r.task_id: r.value for r in client.results(submission_id)}


def test_a_supplied_score_is_published_signed_and_counts_as_win(
    fake: FakeGateway, client: Client, archive: Path
) -> None:
    board = fake.catalogue.boards[BOARD]
    high, low = board.task_ids[0], board.task_ids[1]
    fake.score(high, 100.0, standard_error=0.5)
    fake.score(low, 0.0)
    submission = client.submit(archive)
    fake.finish(submission.submission_id)
    found = {r.task_id: r for r in client.results(submission.submission_id)}
    assert (found[high].value, found[high].standard_error) == (100.0, 0.5)
    assert (found[low].value, found[low].standard_error) == (0.0, None)
    [row] = client.standings(BOARD).standings
    scored = [r for r in found.values() if r.outcome is TaskOutcome.SCORED]
    assert row.supported_tasks == len(scored)
    assert row.winning_tasks == len(scored) - 1


def test_a_function_gives_scores_by_submission(
    fake: FakeGateway, client: Client, archive: Path
) -> None:
    first_task = fake.catalogue.boards[BOARD].task_ids[0]
    fake.score_with(lambda _, task_id: 12.5 if task_id == first_task else None)
    submission = client.submit(archive)
    fake.finish(submission.submission_id)
    found = values(client, submission.submission_id)
    assert found[first_task] == 12.5
    assert set(found.values()) != {12.5, None}


@pytest.mark.parametrize("illegal", [float("nan"), float("inf"), -1.0, 101.0])
def test_an_illegal_score_is_refused(fake: FakeGateway, illegal: float) -> None:
    task_id = fake.catalogue.boards[BOARD].task_ids[0]
    with pytest.raises(ScoreRefused):
        fake.score(task_id, illegal)
    with pytest.raises(UnknownTask):
        fake.score("no-such-task", 1.0)


def test_a_function_with_an_illegal_score_fails_and_refunds(
    fake: FakeGateway, client: Client, archive: Path
) -> None:
    fake.score_with(lambda _, __: float("nan"))
    submission = client.submit(archive)
    last = list(client.watch(submission.submission_id))[-1]
    assert (last.state, last.failure_reason) == (SubmissionState.FAILED, "illegal-score")
    assert [w.used for w in client.quota().windows] == [0, 0]


def test_the_platforms_fault_refunds(held_fake: FakeGateway, tmp_path: Path) -> None:
    archive = held_fake.example_archive(tmp_path, BOARD)
    with Client(held_fake.target, held_fake.new_lab(), insecure=True) as client:
        submission = client.submit(archive)
        held_fake.fail(submission.submission_id, "dead-letter")
        last = list(client.watch(submission.submission_id))[-1]
        assert (last.state, last.failure_reason) == (SubmissionState.FAILED, "dead-letter")
        assert [w.used for w in client.quota().windows] == [0, 0]


def test_boards_follow_level_then_score_then_mean(fake: FakeGateway, tmp_path: Path) -> None:
    fake.place("Best", 4, s4=1.0)
    fake.place("Second", 3, s3=90.0)
    fake.place("Third", 3, s3=10.0)
    for name in ("Third", "Fourth", "Best", "Second", "Tied"):
        archive = fake.example_archive(tmp_path, BOARD, name)
        with Client(fake.target, fake.new_lab(), insecure=True) as client:
            fake.finish(client.submit(archive).submission_id)
            rows = client.standings(BOARD).standings
    assert [(r.rank, r.model_name, r.level, r.score) for r in rows] == [
        (1, "Best", 4, 1.0),
        (2, "Second", 3, 90.0),
        (3, "Third", 3, 10.0),
        (4, "Fourth", 0, None),
        (4, "Tied", 0, None),
    ]


def test_item_ids_are_what_the_checker_compares(tmp_path: Path) -> None:
    with FakeGateway() as anything:
        task_id = anything.catalogue.boards[BOARD].task_ids[0]
        archive = anything.example_archive(tmp_path, BOARD)
    with (
        FakeGateway(item_ids={task_id: ["other"]}) as strict,
        Client(strict.target, strict.new_lab(), insecure=True) as client,
    ):
        submission = client.submit(archive)
        last = list(client.watch(submission.submission_id))[-1]
    assert last.state is SubmissionState.REJECTED
    folder = strict.catalogue.tasks[task_id].archive_path
    assert {f.path for f in last.findings if not f.warning} == {f"{folder}/prediction.json"}


def test_time_only_moves_forward_when_told(fake: FakeGateway) -> None:
    before = fake.now
    assert fake.now == before
    fake.advance(timedelta(seconds=1))
    assert fake.now == before + timedelta(seconds=1)
    with pytest.raises(ValueError, match="back"):
        fake.advance(timedelta(seconds=-1))


def test_a_revoked_token_is_no_longer_valid(fake: FakeGateway) -> None:
    token = fake.new_lab()
    with Client(fake.target, token, insecure=True) as client:
        client.quota()
        fake.revoke(token)
        with pytest.raises(NotAuthenticated):
            client.quota()


def test_what_does_not_exist_is_said(fake: FakeGateway, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        fake.finish("sub_nothing")
    with pytest.raises(UnknownBoard):
        fake.example_archive(tmp_path, "Z-nothing")
    with pytest.raises(ValueError, match="simple answer"):
        fake.example_archive(tmp_path, "C-image-generation")
    with pytest.raises(ValueError, match="after a byte"):
        fake.break_upload_after(0)


def test_finish_says_when_the_upload_is_missing(
    fake: FakeGateway, client: Client, archive: Path
) -> None:
    created = client.create(archive, request_id="0b9a1f0e-5c1d-4c0a-9d35-2f3d7f0f8a11")
    with pytest.raises(TimeoutError, match="not final"):
        fake.finish(created.submission_id, timeout_seconds=0.01)
