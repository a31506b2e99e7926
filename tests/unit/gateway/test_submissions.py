"""A submission is created once, moves only as the table says, and settles its quota at its end."""

from __future__ import annotations

from datetime import timedelta
from itertools import count

import pytest
from sqlalchemy import insert, select

from general_level import errors
from services.gateway import agreement, identity, ledger, quotas, submissions
from services.gateway.states import FINAL, MOVES, OVERDUE, STATE_AGE_MAX, Outcome, State
from services.gateway.storage.tables import jobs, task_results
from tests.support.gateway import START, archive, create_request, open_database

pytestmark = pytest.mark.usefixtures("rows")

HOUR = timedelta(hours=1)
INSTANT = timedelta(microseconds=1)
WAYS = {
    State.CREATED: (),
    State.UPLOADING: (State.UPLOADING,),
    State.CHECKING: (State.UPLOADING, State.CHECKING),
    State.QUEUED: (State.UPLOADING, State.CHECKING, State.QUEUED),
    State.GRADING: (State.UPLOADING, State.CHECKING, State.QUEUED, State.GRADING),
    State.RANKING: (State.UPLOADING, State.CHECKING, State.QUEUED, State.GRADING, State.RANKING),
}
WAYS |= {
    State.PUBLISHED: (*WAYS[State.RANKING], State.PUBLISHED),
    State.REJECTED: (*WAYS[State.CHECKING], State.REJECTED),
    State.FAILED: (*WAYS[State.GRADING], State.FAILED),
    State.CANCELLED: (State.CANCELLED,),
    State.EXPIRED: (State.EXPIRED,),
}


class Desk:
    """One lab that has accepted the agreement, over one open transaction."""

    def __init__(self, connection) -> None:
        self.connection = connection
        self.lab_id = identity.create_lab(connection, START, "Example Lab")
        agreement.accept(connection, START, self.lab_id, agreement.VERSION)
        self._ids = count(1)

    def create(self, now=START, lab_id=None, request=None, version=agreement.VERSION):
        return submissions.create(
            self.connection,
            now,
            lab_id or self.lab_id,
            request or create_request(archive()),
            catalogue_id="general-bench",
            agreement_version=version,
            new_submission_id=lambda: f"sub_{next(self._ids)}",
        )

    def move(self, submission_id, *states, now=START):
        for state in states:
            submissions.move(self.connection, now, submission_id, state)

    def in_state(self, state, now=START):
        submission_id = self.create(now)
        self.move(submission_id, *WAYS[state], now=now)
        return submission_id

    def read(self, submission_id):
        return submissions.read(self.connection, submission_id)

    def quota(self, submission_id):
        return quotas.status(self.connection, submission_id)


@pytest.fixture
def desk(tmp_path):
    with open_database(tmp_path) as database, database.write() as connection:
        yield Desk(connection)


def test_a_create_keeps_what_was_announced(desk):
    request = create_request(archive())
    row = desk.read(desk.create(request=request))
    assert row.state == State.CREATED
    assert (row.board_id, row.catalogue_id) == (request.board_id, "general-bench")
    assert (row.archive_bytes, row.archive_sha256) == (
        request.archive_bytes,
        request.archive_sha256,
    )
    assert row.state_deadline == START + STATE_AGE_MAX[State.CREATED]
    assert desk.quota(row.submission_id) == quotas.RESERVE


def test_the_same_request_is_the_same_submission_whatever_became_of_it(desk):
    request = create_request(archive())
    first = desk.create(request=request)
    assert desk.create(now=START + HOUR, request=request) == first
    desk.move(first, State.CANCELLED)
    assert desk.create(now=START + 2 * HOUR, request=request) == first
    assert len(quotas.holds(desk.connection, desk.lab_id, START)) == 0


def test_the_same_request_id_with_other_content_is_refused(desk):
    request = create_request(archive())
    desk.create(request=request)
    request.archive_bytes += 1
    with pytest.raises(errors.AlreadyExists) as caught:
        desk.create(request=request)
    assert caught.value.metadata == {"request_id": request.request_id}


def test_two_labs_may_use_the_same_request_id(desk):
    request = create_request(archive())
    other = identity.create_lab(desk.connection, START, "Another Lab")
    agreement.accept(desk.connection, START, other, agreement.VERSION)
    assert desk.create(request=request) != desk.create(request=request, lab_id=other)


def test_without_the_current_agreement_nothing_is_created(desk):
    with pytest.raises(errors.AgreementRequired) as caught:
        desk.create(version="a-later-one")
    assert caught.value.metadata == {"version": "a-later-one"}
    stranger = identity.create_lab(desk.connection, START, "Another Lab")
    with pytest.raises(errors.AgreementRequired):
        desk.create(lab_id=stranger)


@pytest.mark.parametrize("state", sorted(set(State) - FINAL))
def test_a_pending_submission_is_named_and_refuses_the_next(desk, state):
    pending = desk.in_state(state)
    with pytest.raises(errors.SubmissionPending) as caught:
        desk.create()
    assert caught.value.metadata == {"pending_submission_id": pending}
    assert submissions.pending_submission(desk.connection, desk.lab_id) == pending


@pytest.mark.parametrize("state", sorted(FINAL))
def test_a_finished_submission_leaves_the_way_free(desk, state):
    desk.in_state(state)
    assert submissions.pending_submission(desk.connection, desk.lab_id) == ""
    desk.create()


@pytest.mark.parametrize("here", list(State))
def test_only_moves_of_the_table_are_made(desk, here):
    submission_id = desk.in_state(here)
    for there in set(State) - MOVES[here]:
        with pytest.raises(errors.IllegalTransition) as caught:
            desk.move(submission_id, there)
        assert caught.value.metadata["state"] == here
    assert desk.read(submission_id).state == here


@pytest.mark.parametrize(
    ("state", "action"),
    [
        (State.PUBLISHED, quotas.COMMIT),
        (State.REJECTED, quotas.REFUND),
        (State.FAILED, quotas.REFUND),
        (State.EXPIRED, quotas.REFUND),
        (State.CANCELLED, quotas.REFUND),
        (State.RANKING, quotas.RESERVE),
    ],
)
def test_the_end_settles_the_quota(desk, state, action):
    assert desk.quota(desk.in_state(state)) == action


def result(submission_id, outcome, task_id="t"):
    return insert(task_results).values(
        submission_id=submission_id, task_id=task_id, metric_id="m", outcome=outcome,
        prediction_bytes=0, item_count=0, missing_count=0, attempt_count=0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("outcome", "action"),
    [
        (Outcome.PENDING, quotas.REFUND),
        (Outcome.UNSUPPORTED, quotas.REFUND),
        (Outcome.SCORED, quotas.COMMIT),
    ],
)
def test_a_withdrawal_is_free_until_a_task_is_scored(desk, outcome, action):
    submission_id = desk.in_state(State.GRADING)
    desk.connection.execute(result(submission_id, Outcome.UNSUPPORTED, "other"))
    desk.connection.execute(result(submission_id, outcome))
    submissions.cancel(desk.connection, START, desk.lab_id, submission_id)
    assert desk.quota(submission_id) == action
    assert desk.read(submission_id).failure_reason == "withdrawn"


def test_a_withdrawal_may_be_repeated_but_not_of_a_finished_one(desk):
    submission_id = desk.create()
    for _ in range(2):
        submissions.cancel(desk.connection, START, desk.lab_id, submission_id)
    published = desk.in_state(State.PUBLISHED)
    with pytest.raises(errors.IllegalTransition):
        submissions.cancel(desk.connection, START, desk.lab_id, published)


def test_another_labs_submission_is_not_found_to_read_or_withdraw(desk):
    submission_id = desk.create()
    other = identity.create_lab(desk.connection, START, "Another Lab")
    for ask in (
        lambda: submissions.read(desk.connection, submission_id, other),
        lambda: submissions.cancel(desk.connection, START, other, submission_id),
        lambda: submissions.read(desk.connection, "sub_none", other),
    ):
        with pytest.raises(errors.NotFound, match="No submission of yours has this id"):
            ask()


def job(submission_id, lab_id, number, state):
    return insert(jobs).values(
        job_id=f"job_{number}", sequence=number, submission_id=submission_id, lab_id=lab_id,
        task_id=f"t{number}", modality="language", metric_id="m", state=state, attempt=1,
        available_time=START, create_time=START, lease_token="x" if state == "leased" else None,
    )  # fmt: skip


def test_an_end_cancels_the_jobs_that_wait_or_run(desk):
    submission_id = desk.in_state(State.GRADING)
    for number, state in enumerate(["ready", "leased", "done", "dead"]):
        desk.connection.execute(job(submission_id, desk.lab_id, number, state))
    desk.move(submission_id, State.FAILED)
    rows = desk.connection.execute(select(jobs).order_by(jobs.c.sequence)).all()
    assert [row.state for row in rows] == ["cancelled", "cancelled", "done", "dead"]
    assert rows[1].lease_token is None


def test_the_timeline_tells_every_state_with_its_time(desk):
    submission_id = desk.create()
    for hours, state in enumerate(WAYS[State.PUBLISHED], start=1):
        desk.move(submission_id, state, now=START + hours * HOUR)
    told = submissions.read_timeline(desk.connection, submission_id)
    assert [entry.state for entry in told] == [State.CREATED, *WAYS[State.PUBLISHED]]
    assert [entry.enter_time for entry in told] == [START + n * HOUR for n in range(7)]


def test_every_change_raises_the_revision(desk):
    submission_id = desk.create()
    seen = [desk.read(submission_id).revision]
    for state in WAYS[State.QUEUED]:
        desk.move(submission_id, state)
        seen.append(desk.read(submission_id).revision)
    submissions.touch(desk.connection, START + HOUR, submission_id)
    seen.append(desk.read(submission_id).revision)
    assert seen == sorted(set(seen))
    assert desk.read(submission_id).update_time == START + HOUR


@pytest.mark.parametrize("state", sorted(set(State) - FINAL))
def test_a_state_ends_at_its_maximum_age_and_not_before(desk, state):
    submission_id = desk.in_state(state)
    ends = START + STATE_AGE_MAX[state]
    assert submissions.end_overdue(desk.connection, ends - INSTANT) == []
    assert submissions.end_overdue(desk.connection, ends) == [submission_id]
    row = desk.read(submission_id)
    assert (row.state, row.failure_reason) == OVERDUE[state]
    assert desk.quota(submission_id) == quotas.REFUND
    assert submissions.end_overdue(desk.connection, ends + 1000 * HOUR) == []


def test_a_move_starts_the_age_anew(desk):
    submission_id = desk.create()
    late = START + STATE_AGE_MAX[State.CREATED] - INSTANT
    desk.move(submission_id, State.UPLOADING, now=late)
    assert submissions.end_overdue(desk.connection, late + HOUR) == []
    assert desk.read(submission_id).state_deadline == late + STATE_AGE_MAX[State.UPLOADING]


def test_pages_list_the_newest_first_and_leave_none_out(desk):
    made = []
    for number in range(7):
        # Pairs of equal times, ended at once so that the next may be created.
        made.append(desk.create(now=START + timedelta(days=8 * (number // 2))))
        desk.move(made[-1], State.CANCELLED)
    seen, before = [], None
    while page := submissions.list_page(desk.connection, desk.lab_id, 3, before):
        seen += [row.submission_id for row in page]
        before = (page[-1].create_time, page[-1].submission_id)
    assert sorted(seen) == sorted(made)
    times = [desk.read(submission_id).create_time for submission_id in seen]
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize(
    ("way", "withdrawn"), [(WAYS[State.RANKING], True), (WAYS[State.GRADING], False)]
)
def test_what_fails_after_its_completion_is_taken_off_the_ledger(desk, way, withdrawn):
    submission_id = desk.create()
    desk.move(submission_id, *way)
    reason = "ranking-overdue"
    submissions.move(
        desk.connection, START, submission_id, State.FAILED, note=reason, failure_reason=reason
    )
    entries = [entry.withdrawal for entry in ledger.read_after(desk.connection, 0)]
    assert [(one.submission_id, one.reason) for one in entries] == (
        [(submission_id, reason)] if withdrawn else []
    )


def test_creates_are_bounded_also_where_every_slot_is_given_back(desk):
    for _ in range(submissions.CREATES_MAX):
        desk.in_state(State.REJECTED)
    with pytest.raises(errors.ResourceExhausted):
        desk.create()
    with pytest.raises(errors.ResourceExhausted):
        desk.create(START + submissions.CREATES_WINDOW - INSTANT)
    assert desk.create(START + submissions.CREATES_WINDOW)
