"""From the check to the board: states, findings, results, receipts, standings."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path

import pytest

from general_level.client import Submission, SubmissionState, TaskOutcome
from general_level.errors import (
    IllegalTransition,
    InvalidRequest,
    ReceiptInvalid,
    UnknownBoard,
)
from general_level.identifiers import new_request_id
from general_level.receipts import dump_receipt, load_receipt, verify_receipt
from tests.contract.lab_gateway import (
    REQUEST_ID,
    UNKNOWN_BOARD,
    LabGateway,
    OpenLab,
    OpenLabs,
    spoil,
    wrap,
)

STATES_IN_ORDER = [
    SubmissionState.CREATED,
    SubmissionState.UPLOADING,
    SubmissionState.CHECKING,
    SubmissionState.QUEUED,
    SubmissionState.GRADING,
    SubmissionState.RANKING,
    SubmissionState.PUBLISHED,
]


def test_a_watch_sees_the_states_in_order_and_ends_with_the_final_one(
    lab: OpenLab, lab_gateway: LabGateway, archive: Path
) -> None:
    created = lab.client.create(archive, request_id=REQUEST_ID)
    seen: list[Submission] = []
    began = threading.Event()

    def watch() -> None:
        for update in lab.client.watch(created.submission_id):
            seen.append(update)
            began.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert began.wait(30)
    lab.client.resume(created.submission_id, archive)
    lab_gateway.finish(created.submission_id)
    watcher.join(30)
    assert not watcher.is_alive()

    assert seen[0].state is SubmissionState.CREATED
    assert seen[-1].state is SubmissionState.PUBLISHED
    places = [STATES_IN_ORDER.index(update.state) for update in seen]
    assert places == sorted(places)
    assert all(a != b for a, b in itertools.pairwise(seen))
    final = seen[-1]
    assert final == lab.client.get(created.submission_id)
    assert [e.state for e in final.timeline] == STATES_IN_ORDER
    times = [e.entered_time for e in final.timeline]
    assert times == sorted(times)
    assert final.state_deadline is None
    assert final.progress.tasks_done == final.progress.tasks_total > 0


def test_a_watch_of_a_finished_submission_sends_it_once(lab: OpenLab) -> None:
    submission_id = lab.publish_one()
    assert [u.state for u in lab.client.watch(submission_id)] == [SubmissionState.PUBLISHED]


def test_findings_reject_the_archive_and_say_what_to_do(
    lab: OpenLab, lab_gateway: LabGateway, archive: Path, tmp_path: Path
) -> None:
    submission = lab.client.submit(spoil(archive, tmp_path))
    lab_gateway.finish(submission.submission_id)
    rejected = lab.client.get(submission.submission_id)
    assert rejected.state is SubmissionState.REJECTED
    errors = [f for f in rejected.findings if not f.warning]
    assert len(errors) >= 1
    assert rejected.finding_count >= len(errors)
    assert errors[0].code.startswith("GL")
    assert errors[0].path.endswith("/prediction.json")
    assert errors[0].message
    assert errors[0].remedy
    assert all(r.value is None for r in lab.client.results(submission.submission_id))
    with pytest.raises(IllegalTransition):
        lab.client.receipt(submission.submission_id)
    with pytest.raises(IllegalTransition):
        lab.client.cancel(submission.submission_id)


def test_one_folder_around_everything_is_taken_off_with_a_warning(
    lab: OpenLab, lab_gateway: LabGateway, archive: Path, tmp_path: Path
) -> None:
    submission = lab.client.submit(wrap(archive, tmp_path))
    lab_gateway.finish(submission.submission_id)
    published = lab.client.get(submission.submission_id)
    assert published.state is SubmissionState.PUBLISHED
    assert [(f.code, f.warning) for f in published.findings] == [("GL124", True)]


def test_withdrawing_twice_is_no_error_and_withdrawing_a_published_one_is(
    lab: OpenLab, archive: Path
) -> None:
    created = lab.client.create(archive, request_id=REQUEST_ID)
    first = lab.client.cancel(created.submission_id)
    assert first.state is SubmissionState.CANCELLED
    assert lab.client.cancel(created.submission_id) == first
    published = lab.publish_one()
    with pytest.raises(IllegalTransition):
        lab.client.cancel(published)
    assert lab.client.get(published).state is SubmissionState.PUBLISHED


def test_values_are_hidden_before_the_publication_and_complete_after(
    lab: OpenLab, lab_gateway: LabGateway, archive: Path
) -> None:
    created = lab.client.create(archive, request_id=REQUEST_ID)
    assert all(r.value is None for r in lab.client.results(created.submission_id))
    with pytest.raises(IllegalTransition):
        lab.client.receipt(created.submission_id)
    lab.client.resume(created.submission_id, archive)
    lab_gateway.finish(created.submission_id)

    results = lab.client.results(created.submission_id)
    board = next(b for b in lab.client.boards() if b.board_id == lab_gateway.board)
    assert len(results) == board.task_count
    assert len({r.task_id for r in results}) == board.task_count
    scored = [r for r in results if r.outcome is TaskOutcome.SCORED]
    assert scored
    metrics = {t.task_id: t.metric_id for t in lab.client.tasks()}
    for result in results:
        assert (result.value is not None) == (result.outcome is TaskOutcome.SCORED)
        assert result.outcome is not TaskOutcome.PENDING
        assert result.metric_id == metrics[result.task_id]
        assert 0 <= result.missing_count <= result.item_count


def test_a_receipt_proves_the_results_and_the_archive(
    lab: OpenLab, archive: Path, tmp_path: Path
) -> None:
    submission_id = lab.publish_one()
    receipt = lab.client.receipt(submission_id)
    receipt = load_receipt(dump_receipt(receipt))
    report = verify_receipt(receipt, archive=archive, trusted_keys=receipt.grader_public_keys)
    assert report.submission_id == submission_id
    assert report.members_checked >= len(report.statements) > 0
    values = {r.task_id: r.value for r in lab.client.results(submission_id) if r.value is not None}
    assert {s.task_id: s.value for s in report.statements} == values

    other = tmp_path / "other.zip"
    other.write_bytes(archive.read_bytes() + b"\0")
    with pytest.raises(ReceiptInvalid):
        verify_receipt(receipt, archive=other, trusted_keys=receipt.grader_public_keys)


def test_the_list_is_newest_first_whatever_the_page(lab: OpenLab, archive: Path) -> None:
    ids = []
    for _ in range(5):
        created = lab.client.create(archive, request_id=new_request_id())
        lab.client.cancel(created.submission_id)
        ids.append(created.submission_id)
    times = [s.create_time for s in lab.client.submissions()]
    assert times == sorted(times, reverse=True)
    assert {s.submission_id for s in lab.client.submissions()} == set(ids)
    whole = [s.submission_id for s in lab.client.submissions()]
    for size in (1, 2, 3, 5):
        assert [s.submission_id for s in lab.client.submissions(page_size=size)] == whole


def test_a_list_counts_findings_and_only_the_submission_itself_has_them(
    lab: OpenLab, lab_gateway: LabGateway, tmp_path: Path
) -> None:
    spoilt = spoil(lab_gateway.good_archive(lab_gateway.board), tmp_path)
    submission = lab.client.submit(spoilt)
    lab_gateway.finish(submission.submission_id)
    (listed,) = lab.client.submissions()
    whole = lab.client.get(submission.submission_id)
    assert len(whole.findings) == whole.finding_count > 0
    assert (listed.findings, listed.finding_count) == ((), whole.finding_count)


@pytest.mark.parametrize("page_size", [-1, 101])
def test_a_page_has_1_to_100_submissions(lab: OpenLab, page_size: int) -> None:
    with pytest.raises(InvalidRequest):
        list(lab.client.submissions(page_size=page_size))


def test_a_board_is_there_after_its_first_publication(
    lab: OpenLab, open_labs: OpenLabs, lab_gateway: LabGateway
) -> None:
    public = open_labs(None).client
    submission_id = lab.publish_one()
    standings = public.standings(lab_gateway.board)
    assert standings.board_id == lab_gateway.board
    board = next(b for b in public.boards() if b.board_id == lab_gateway.board)
    assert standings.task_count == board.task_count
    row = next(s for s in standings.standings if s.submission_id == submission_id)
    assert row.rank == 1  # also where others are: they sent the same archive, and ties share it
    assert row.model_name == lab.client.get(submission_id).model.model_name
    scored = [r for r in lab.client.results(submission_id) if r.value is not None]
    assert row.supported_tasks == len(scored)
    assert len(standings.snapshot_sha256) == 64
    assert next(public.watch_standings(lab_gateway.board)) == standings


def test_an_unknown_board_has_no_standings(open_labs: OpenLabs) -> None:
    with pytest.raises(UnknownBoard):
        open_labs(None).client.standings(UNKNOWN_BOARD)
