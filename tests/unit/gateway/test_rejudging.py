"""A rejudgement changes nothing until it is applied, and then everything at once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import delete, insert, select

from general_level.errors import (
    AlreadyExists,
    LeaseLost,
    NotFound,
    RejudgementRefused,
    ResourceExhausted,
    ScoreRefused,
)
from general_level.submission.findings import Code, FindingSink
from general_level.v1 import operations_pb2
from services.gateway import (
    leases,
    ledger,
    pauses,
    rejudge_queue,
    rejudged,
    rejudgements,
    rejudging,
    submissions,
)
from services.gateway.endings import ATTEMPTS_MAX
from services.gateway.rejudged import Rejudged
from services.gateway.states import Outcome, State
from services.gateway.storage.tables import jobs, quota_ledger, score_ledger, upload_parts
from tests.support.queue_world import (
    CATALOGUE,
    JOB,
    LEASE,
    GraderKey,
    QueueWorld,
    ref_of,
    statement,
    tasks_of,
)

pytestmark = pytest.mark.usefixtures("rows")

IMAGE = tasks_of("image")
TASK = IMAGE[0]
PREVIEW = operations_pb2.RejudgementPreview(ledger_position=1, computed_boards=3)


@pytest.fixture
def world(tmp_path):
    world = QueueWorld(tmp_path)
    yield world
    world.close()


def add(world, tasks=(TASK,), value=40.0, state=State.PUBLISHED, lab_id=None):
    """A submission that has a score of each task, and whose archive is kept."""
    submission_id = world.add_submission(lab_id or world.add_lab(), tasks)
    with world.database.write() as connection:
        connection.execute(
            insert(upload_parts).values(
                submission_id=submission_id, offset=0, size=1, object_key=f"{submission_id}/0"
            )
        )
    for leased in world.lease(len(tasks)):
        world.complete(leased, value)
    if state is not State.RANKING:
        with world.database.write() as connection:
            submissions.move(connection, world.now, submission_id, state)
    return submission_id


def start(world, **options):
    world.clock.advance(timedelta(seconds=1))
    with world.database.write() as connection:
        return rejudging.start(
            connection, world.now, CATALOGUE, options.pop("task_id", TASK.id),
            reason="a mended key", operator="Ada", **options,
        )  # fmt: skip


def lease(world, max_jobs=10):
    with world.database.write() as connection:
        return rejudge_queue.lease(
            connection, world.now, modality="image", metric_ids=list(CATALOGUE.metrics),
            max_jobs=max_jobs, grader_id="grader-1", new_token=lambda: f"t{next(world._tokens)}",
            lease_duration=LEASE, job_duration=JOB,
        )  # fmt: skip


def settle(world):
    with world.database.write() as connection:
        return rejudging.settle(connection)


def preview(world, rejudgement_id, found=PREVIEW):
    with world.database.write() as connection:
        assert rejudging.store_preview(connection, rejudgement_id, found)
        return rejudgements.read(connection, rejudgement_id).preview_sha256


def graded(world, value=60.0):
    """A rejudgement of all with this new value, ready to be applied; its id and preview."""
    rejudgement_id = start(world)
    for leased in lease(world):
        world.complete(leased, value)
    assert settle(world) == [rejudgement_id]
    return rejudgement_id, preview(world, rejudgement_id)


def apply(world, rejudgement_id, preview_sha256, trusted_keys=None, **options):
    with world.database.write() as connection:
        return rejudging.apply(
            connection, world.now, CATALOGUE, rejudgement_id, preview_sha256=preview_sha256,
            allow_unscored=options.get("allow_unscored", False),
            trusted_keys=[world.key.public] if trusted_keys is None else trusted_keys,
            commitments=None,
        )  # fmt: skip


def cancel(world, rejudgement_id):
    with world.database.write() as connection:
        rejudging.cancel(connection, world.now, rejudgement_id)


def outcomes(world, rejudgement_id):
    with world.database.read() as connection:
        items = rejudgements.items_of(connection, rejudgement_id)
    return {item.submission_id: item.outcome for item in items}


def state(world, rejudgement_id):
    with world.database.read() as connection:
        return rejudgements.read(connection, rejudgement_id).state


def ledger_scores(world):
    """(submission, edition, value) in the order of the ledger."""
    with world.database.read() as connection:
        rows = connection.execute(
            select(score_ledger.c.submission_id, score_ledger.c.edition, score_ledger.c.entry)
            .where(score_ledger.c.kind == "score")
            .order_by(score_ledger.c.position)
        ).all()
    read = ledger.pb.LedgerEntry.FromString
    return [(row.submission_id, row.edition, read(row.entry).score.value) for row in rows]


def refused_with(call):
    with pytest.raises(RejudgementRefused) as caught:
        call()
    return caught.value.metadata["what"]


def test_applied_the_new_scores_supersede_the_old_which_stay(world):
    first, second = add(world), add(world)
    rejudgement_id, seen = graded(world)
    assert [value for *_, value in ledger_scores(world)] == [40.0, 40.0]
    assert world.result(first, TASK.id).value == 40.0
    assert apply(world, rejudgement_id, seen) == sorted([first, second])
    assert ledger_scores(world) == [
        (first, 1, 40.0), (second, 1, 40.0), (first, 2, 60.0), (second, 2, 60.0),
    ]  # fmt: skip
    assert state(world, rejudgement_id) == "applied"
    result = world.result(first, TASK.id)
    assert (result.value, result.outcome) == (60.0, Outcome.SCORED)
    with world.database.read() as connection:
        positions = [entry.position for entry in ledger.read_after(connection, 0)]
        assert positions == list(range(1, len(positions) + 1))
        (new,) = ledger.scores_of(connection, first)
        assert (new.value, new.rejudgement_id) == (60.0, rejudgement_id)
        assert [score.value for score in ledger.all_scores_of(connection, first)] == [40.0, 60.0]
        actions = connection.scalars(select(quota_ledger.c.action)).all()
    assert sorted(actions) == ["commit", "commit", "reserve", "reserve"]
    assert world.submission(first).state == State.PUBLISHED


def test_cancelled_nothing_has_changed_and_running_work_is_lost(world):
    submission_id = add(world)
    rejudgement_id = start(world)
    (leased,) = lease(world)
    revision = world.submission(submission_id).revision
    cancel(world, rejudgement_id)
    with pytest.raises(LeaseLost):
        world.complete(leased, 60.0)
    assert lease(world) == []
    assert settle(world) == []
    assert ledger_scores(world) == [(submission_id, 1, 40.0)]
    assert world.submission(submission_id).revision == revision
    assert refused_with(lambda: cancel(world, rejudgement_id)) == "ended"
    assert start(world) != rejudgement_id


def test_it_is_applied_once_and_only_as_it_was_seen(world):
    add(world)
    rejudgement_id = start(world)
    assert refused_with(lambda: apply(world, rejudgement_id, "")) == "not-ready"
    world.complete(lease(world)[0], 60.0)
    settle(world)
    assert refused_with(lambda: apply(world, rejudgement_id, "")) == "not-ready"
    seen = preview(world, rejudgement_id)
    assert refused_with(lambda: apply(world, rejudgement_id, "0" * 64)) == "preview-changed"
    apply(world, rejudgement_id, seen)
    assert refused_with(lambda: apply(world, rejudgement_id, seen)) == "ended"
    assert len(ledger_scores(world)) == 2


def test_a_submission_with_a_newer_score_stops_the_whole_of_it(world):
    first, second = add(world), add(world)
    rejudgement_id, seen = graded(world)
    with world.database.write() as connection:
        (entry,) = ledger.scores_of(connection, second)
        ledger.append_editions(connection, world.now, [entry], {second: 1})
    assert refused_with(lambda: apply(world, rejudgement_id, seen)) == "ledger-moved-on"
    assert [score[:2] for score in ledger_scores(world)] == [(first, 1), (second, 1), (second, 2)]
    assert state(world, rejudgement_id) == "ready"


def test_scores_of_a_key_that_is_trusted_no_more_are_not_applied(world):
    add(world)
    rejudgement_id, seen = graded(world)
    with pytest.raises(ScoreRefused):
        apply(world, rejudgement_id, seen, trusted_keys=[GraderKey().public])
    assert len(ledger_scores(world)) == 1


def test_what_the_ranker_refuses_is_not_applied(world):
    submission_id = add(world)
    rejudgement_id = start(world)
    world.complete(lease(world)[0], 60.0)
    settle(world)
    found = operations_pb2.RejudgementPreview(refused_submission_ids=[submission_id])
    seen = preview(world, rejudgement_id, found)
    assert refused_with(lambda: apply(world, rejudgement_id, seen)) == "scores-refused"


def test_who_would_keep_the_old_score_is_listed_and_never_left_out_in_silence(world):
    kept, gone, dead, damaged = (add(world) for _ in range(4))
    with world.database.write() as connection:
        connection.execute(delete(upload_parts).where(upload_parts.c.submission_id == gone))
    rejudgement_id = start(world)
    assert outcomes(world, rejudgement_id)[gone] == Rejudged.NO_ARCHIVE
    by_submission = {leased.submission_id: leased for leased in lease(world)}
    assert set(by_submission) == {kept, dead, damaged}
    world.complete(by_submission[kept], 60.0)
    sink = FindingSink()
    sink.add(Code.NOT_JSON, "prediction.json", reason="cut short")
    for _ in range(2):  # repeated, it is no error
        with world.database.write() as connection:
            leases.complete_refused(
                connection, world.now, ref_of(by_submission[damaged]), sink.findings
            )
    leased = by_submission[dead]
    for attempt in range(1, ATTEMPTS_MAX + 1):
        assert world.fail(leased).will_retry == (attempt < ATTEMPTS_MAX)
        world.clock.advance(timedelta(minutes=10))
        if attempt < ATTEMPTS_MAX:
            assert settle(world) == []
            (leased,) = lease(world)
    assert settle(world) == [rejudgement_id]
    assert outcomes(world, rejudgement_id) == {
        kept: "scored", gone: "no-archive", dead: "failed", damaged: "refused",
    }  # fmt: skip
    seen = preview(world, rejudgement_id)
    assert refused_with(lambda: apply(world, rejudgement_id, seen)) == "unscored"
    assert apply(world, rejudgement_id, seen, allow_unscored=True) == [kept]
    for submission_id in (gone, dead, damaged):
        row = world.submission(submission_id)
        assert (row.state, row.tasks_done, row.finding_count) == (State.PUBLISHED, 1, 0)
        assert world.result(submission_id, TASK.id).value == 40.0


def test_jobs_of_labs_come_first_and_feel_nothing_of_it(world):
    add(world)
    start(world)
    lab = world.add_lab()
    waiting = world.add_submission(lab, IMAGE[1:3])
    assert {leased.submission_id for leased in world.lease(10)} == {waiting}
    assert world.lease(10) == []
    with world.database.read() as connection:
        asked = (connection, world.now, "image", list(CATALOGUE.metrics))
        assert not leases.has_ready(*asked)
        assert rejudge_queue.has_waiting(*asked)
        assert not rejudge_queue.has_waiting(connection, world.now, "video", asked[3])
    (leased,) = lease(world)
    assert leased.rejudgement_id
    assert lease(world) == []


def test_a_lost_lease_and_a_release_bring_the_job_back_to_its_own_queue(world):
    add(world)
    start(world)
    (leased,) = lease(world)
    with world.database.write() as connection:
        assert leases.keep_alive(connection, world.now, [ref_of(leased)], LEASE)
        leases.release(connection, world.now, [ref_of(leased)])
    assert world.lease() == []
    (leased,) = lease(world)
    assert leased.attempt == 1
    world.clock.advance(LEASE)
    assert len(world.expire().ended) == 1
    assert world.lease() == []
    (leased,) = lease(world)
    assert leased.attempt == 2
    with world.database.write() as connection:
        pauses.pause(connection, world.now, "image", "why", "Ada")
        leases.release(connection, world.now, [ref_of(leased)])
    assert lease(world) == []


def test_a_repeated_call_answers_as_the_first(world):
    submission_id = add(world)
    rejudgement_id = start(world)
    (leased,) = lease(world)
    score = world.score(leased, 60.0)
    for _ in range(2):
        world.complete_with(ref_of(leased), score)
    with pytest.raises(LeaseLost):
        world.complete(leased, 61.0)
    settle(world)
    apply(world, rejudgement_id, preview(world, rejudgement_id))
    world.complete_with(ref_of(leased), score)
    assert ledger_scores(world) == [(submission_id, 1, 40.0), (submission_id, 2, 60.0)]


def test_the_first_score_may_be_repeated_after_it_was_superseded(world):
    submission_id = world.add_submission(world.add_lab(), [TASK])
    with world.database.write() as connection:
        connection.execute(
            insert(upload_parts).values(
                submission_id=submission_id, offset=0, size=1, object_key="x"
            )
        )
    (leased,) = world.lease()
    score = world.score(leased, 40.0)
    world.complete_with(ref_of(leased), score)
    rejudgement_id, seen = graded(world)
    apply(world, rejudgement_id, seen)
    assert not world.complete_with(ref_of(leased), score).ledger_changed


@pytest.mark.parametrize(
    ("wanted", "said"),
    [({"key_version": "2"}, {"key_version": "2"}), ({"grader_image_digest": "sha256:none"}, {})],
)
def test_only_the_named_grader_counts(world, wanted, said):
    add(world)
    rejudgement_id = start(world, **wanted)
    (leased,) = lease(world)
    if said:
        with pytest.raises(ScoreRefused) as caught:
            world.complete(leased, 60.0)
        assert caught.value.metadata["what"] == rejudged.OTHER_GRADER
    signed = statement(leased.submission_id, TASK.id, leased.archive_sha256, 60.0, **said)
    score = leases.Score(60.0, None, 100, 0, world.key.sign(signed))
    world.complete_with(ref_of(leased), score)
    assert settle(world) == [rejudgement_id]


def test_submissions_on_their_way_are_rejudged_too_and_drop_out_when_they_end(world):
    published, ranking = add(world), add(world, state=State.RANKING)
    unfinished = world.add_submission(world.add_lab(), IMAGE[:2])
    with world.database.write() as connection:
        connection.execute(
            insert(upload_parts).values(submission_id=unfinished, offset=0, size=1, object_key="x")
        )
    one, other = world.lease(2)
    world.complete(one, 40.0)
    rejudgement_id = start(world)
    assert set(outcomes(world, rejudgement_id)) == {published, ranking, unfinished}
    by_submission = {leased.submission_id: leased for leased in lease(world)}
    world.complete(by_submission[published], 60.0)
    world.complete(by_submission[unfinished], 60.0)
    with world.database.write() as connection:
        submissions.move(connection, world.now, ranking, State.FAILED, failure_reason="x")
    assert settle(world) == [rejudgement_id]
    assert outcomes(world, rejudgement_id)[ranking] == Rejudged.ENDED
    assert apply(world, rejudgement_id, preview(world, rejudgement_id)) == sorted(
        [published, unfinished]
    )
    # The other goes on to its end.
    world.complete(other, 50.0)
    assert world.submission(unfinished).state == State.RANKING


def test_one_of_a_task_is_open_at_a_time_and_others_are_free(world):
    add(world, IMAGE[:2])
    start(world)
    with pytest.raises(AlreadyExists):
        start(world)
    start(world, task_id=IMAGE[1].id)
    with pytest.raises(NotFound):
        start(world, task_id=IMAGE[2].id)


def test_it_has_a_bound(world, monkeypatch):
    add(world)
    add(world)
    monkeypatch.setattr(rejudging, "SUBMISSIONS_MAX", 1)
    with pytest.raises(ResourceExhausted):
        start(world)
    with world.database.read() as connection:
        assert connection.scalars(
            select(jobs.c.job_id).where(jobs.c.rejudgement_id.is_not(None))
        ).all() == []  # fmt: skip


def test_the_ranker_reads_the_new_scores_in_messages_that_fit(world, monkeypatch):
    ids = sorted(add(world) for _ in range(3))
    rejudgement_id = start(world)
    for leased in lease(world):
        world.complete(leased, 60.0)
    with world.database.read() as connection:
        assert not rejudgements.scores_to_preview(connection, "", "").rejudgement_id
    settle(world)
    monkeypatch.setattr(rejudgements, "MESSAGE_SCORES_BYTES", 1)
    seen, after, more = [], "", True
    while more:
        with world.database.read() as connection:
            found = rejudgements.scores_to_preview(connection, rejudgement_id, after)
        assert (found.rejudgement_id, found.task_id) == (rejudgement_id, TASK.id)
        assert len(found.scores) == 1
        assert found.head_position == 6
        after, more = found.scores[-1].submission_id, found.more
        seen.append(after)
    assert seen == ids


def test_a_preview_that_comes_too_late_is_dropped(world):
    add(world)
    rejudgement_id, seen = graded(world)
    with world.database.write() as connection:
        assert not rejudging.store_preview(connection, rejudgement_id, PREVIEW)
        with pytest.raises(NotFound):
            rejudging.store_preview(connection, "rej_none", PREVIEW)
    apply(world, rejudgement_id, seen)
