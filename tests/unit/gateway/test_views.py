"""What a lab reads of its submission: every state, no value before its time, no deadline after."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import insert

from general_level.catalogue.limits import MAX_FINDINGS_REPORTED
from general_level.submission.findings import Finding
from general_level.v1 import submission_pb2 as pb
from general_level.wire import from_timestamp
from services.gateway import agreement, findings, identity, submissions, views
from services.gateway.findings import FINDINGS_MAX, PATH_CHARS_MAX
from services.gateway.lab_desk import PAGE_SIZE_MAX
from services.gateway.states import STATE_AGE_MAX, Outcome, State
from services.gateway.storage.tables import task_results
from services.kit.server import MESSAGE_BYTES_MAX
from tests.support.gateway import START, archive, create_request, open_database

pytestmark = pytest.mark.usefixtures("rows")


@pytest.fixture
def connection(tmp_path):
    with open_database(tmp_path) as database, database.write() as connection:
        yield connection


@pytest.fixture
def submission_id(connection):
    lab_id = identity.create_lab(connection, START, "Example Lab")
    agreement.accept(connection, START, lab_id, agreement.VERSION)
    return submissions.create(
        connection, START, lab_id, create_request(archive()), catalogue_id="general-bench",
        agreement_version=agreement.VERSION, new_submission_id=lambda: "sub_1",
    )  # fmt: skip


def view(connection, submission_id):
    row = submissions.read(connection, submission_id)
    return views.submission_view(connection, START, row)


def move(connection, submission_id, *states, **why):
    for hours, state in enumerate(states, start=1):
        now = START + timedelta(hours=hours)
        submissions.move(connection, now, submission_id, state, **why)


def test_every_state_and_outcome_has_its_word_in_the_contract():
    for state in State:
        name = pb.SubmissionState.Name(views.STATES[state])
        assert name == f"SUBMISSION_STATE_{state.name}"
    assert len(set(views.STATES.values())) == len(State)
    assert len({views.OUTCOMES[outcome] for outcome in Outcome}) == len(Outcome)
    assert pb.TASK_OUTCOME_UNSPECIFIED not in views.OUTCOMES.values()


def test_a_new_submission_shows_what_was_announced_and_its_deadline(connection, submission_id):
    shown = view(connection, submission_id)
    assert shown.state == pb.SUBMISSION_STATE_CREATED
    assert shown.archive_sha256 == archive().sha256
    assert shown.model.model_name == "Example Model"
    assert shown.catalogue_id == "general-bench"
    assert from_timestamp(shown.create_time) == START
    assert from_timestamp(shown.state_deadline) == START + STATE_AGE_MAX[State.CREATED]
    assert shown.quota_status == pb.QUOTA_STATUS_RESERVED
    assert not shown.progress.HasField("position")
    assert not shown.progress.HasField("estimated_remaining")


def test_the_timeline_has_every_state_with_its_time_and_note(connection, submission_id):
    move(connection, submission_id, State.UPLOADING)
    move(connection, submission_id, State.EXPIRED, note="upload-not-finished")
    shown = view(connection, submission_id)
    told = [(entry.state, entry.note) for entry in shown.timeline]
    assert told == [
        (pb.SUBMISSION_STATE_CREATED, ""),
        (pb.SUBMISSION_STATE_UPLOADING, ""),
        (pb.SUBMISSION_STATE_EXPIRED, "upload-not-finished"),
    ]
    assert from_timestamp(shown.timeline[1].entered_time) == START + timedelta(hours=1)


def test_an_ended_submission_has_no_deadline_and_says_why(connection, submission_id):
    move(connection, submission_id, State.FAILED, failure_reason="check-crashed")
    shown = view(connection, submission_id)
    assert not shown.HasField("state_deadline")
    assert shown.failure_reason == "check-crashed"
    assert shown.quota_status == pb.QUOTA_STATUS_REFUNDED


def test_values_are_shown_once_the_submission_is_published_and_not_before(
    connection, submission_id
):
    connection.execute(
        insert(task_results).values(
            submission_id=submission_id, task_id="t", metric_id="m", outcome=Outcome.SCORED,
            prediction_bytes=9, value=61.8, standard_error=1.5, item_count=100, missing_count=2,
            attempt_count=1,
        )
    )  # fmt: skip
    before = (State.UPLOADING, State.CHECKING, State.QUEUED, State.GRADING, State.RANKING)
    for state in before:
        move(connection, submission_id, state)
        row = submissions.read(connection, submission_id)
        (result,) = views.task_results_view(connection, row)
        assert not result.HasField("value")
        assert not result.HasField("standard_error")
        assert (result.item_count, result.missing_count) == (0, 0)
    move(connection, submission_id, State.PUBLISHED)
    (result,) = views.task_results_view(connection, submissions.read(connection, submission_id))
    assert (result.value, result.standard_error) == (61.8, 1.5)
    assert (result.item_count, result.missing_count) == (100, 2)


def test_an_error_of_zero_is_shown_and_none_is_absent(connection, submission_id):
    for task_id, error in (("a", 0.0), ("b", None)):
        connection.execute(
            insert(task_results).values(
                submission_id=submission_id, task_id=task_id, metric_id="m",
                outcome=Outcome.SCORED, prediction_bytes=9, value=0.0, standard_error=error,
                item_count=1, missing_count=0, attempt_count=1,
            )
        )  # fmt: skip
    way = (State.UPLOADING, State.CHECKING, State.RANKING, State.PUBLISHED)
    move(connection, submission_id, *way)
    row = submissions.read(connection, submission_id)
    zero, none = views.task_results_view(connection, row)
    assert zero.HasField("value")
    assert zero.HasField("standard_error")
    assert not none.HasField("standard_error")


def finding(number: int) -> Finding:
    return Finding("GL177", f"task/{number}.png", None, "It cannot be read.", "Look.", False, {})


def test_a_largest_page_of_submissions_with_most_findings_stays_small(connection, submission_id):
    """100 submissions with 1,000 findings each, of which each alone would be some 100 kB."""
    row = submissions.read(connection, submission_id)._mapping
    most = findings.dump(finding(number) for number in range(MAX_FINDINGS_REPORTED))
    row = SimpleNamespace(**dict(row) | {"findings": most, "finding_count": MAX_FINDINGS_REPORTED})
    whole = views.submission_view(connection, START, row)
    listed = views.submission_view(connection, START, row, in_list=True)
    assert len(whole.findings) == listed.finding_count == MAX_FINDINGS_REPORTED
    assert len(listed.findings) == 0
    assert listed.ByteSize() * PAGE_SIZE_MAX < 200_000 < whole.ByteSize() * PAGE_SIZE_MAX


def test_the_findings_of_all_tasks_fit_into_one_answer(connection, submission_id):
    each = findings.dump(finding(number) for number in range(FINDINGS_MAX))
    tasks = [f"task-{number:03d}" for number in range(699)]
    connection.execute(
        insert(task_results),
        [
            {
                "submission_id": submission_id, "task_id": task, "metric_id": "m",
                "outcome": Outcome.REFUSED, "prediction_bytes": 0, "item_count": 0,
                "missing_count": 0, "attempt_count": 1, "findings": each,
            }
            for task in tasks
        ],
    )  # fmt: skip
    results = views.task_results_view(connection, submissions.read(connection, submission_id))
    assert [result.task_id for result in results] == tasks
    counts = {len(result.findings) for result in results}
    assert counts == {views.RESULT_FINDINGS_MAX // 699}
    assert [one.path for one in results[0].findings][:2] == ["task/0.png", "task/1.png"]
    # A path has at most 300 characters of at most 4 bytes.
    assert views.RESULT_FINDINGS_MAX * (PATH_CHARS_MAX * 4 + 200) < MESSAGE_BYTES_MAX


def test_few_findings_are_all_shown(connection, submission_id):
    connection.execute(
        insert(task_results).values(
            submission_id=submission_id, task_id="t", metric_id="m", outcome=Outcome.REFUSED,
            prediction_bytes=0, item_count=0, missing_count=0, attempt_count=1,
            findings=findings.dump(finding(number) for number in range(FINDINGS_MAX)),
        )
    )  # fmt: skip
    (result,) = views.task_results_view(connection, submissions.read(connection, submission_id))
    assert len(result.findings) == FINDINGS_MAX
