"""Identity, agreement, quota and the life of a submission, as labs meet them over the wire."""

from __future__ import annotations

import asyncio
import multiprocessing
import urllib.request
from datetime import timedelta

import pytest

from general_level import errors
from general_level.identifiers import new_request_id
from general_level.v1 import grading_pb2, grading_pb2_grpc, quota_pb2
from general_level.v1 import submission_pb2 as pb
from general_level.wire import from_timestamp, to_rfc3339
from services.gateway import agreement, identity
from services.gateway.lab_desk import WATCHES_MAX
from services.gateway.states import STATE_AGE_MAX, State
from services.kit.clock import ManualClock
from tests.support.gateway import (
    START,
    Archive,
    Lab,
    answered,
    archive,
    create_request,
    eventually,
    of_members,
    running,
)

pytestmark = pytest.mark.usefixtures("stores")

HOUR = timedelta(hours=1)
INSTANT = timedelta(microseconds=1)
QUEUED_WAY = (State.UPLOADING, State.CHECKING, State.QUEUED)
PUBLISHED_WAY = (*QUEUED_WAY, State.GRADING, State.RANKING, State.PUBLISHED)


@pytest.fixture
def clock():
    return ManualClock(START)


@pytest.fixture
async def gateway(tmp_path, clock):
    async with running(tmp_path, clock) as gateway:
        yield gateway


@pytest.fixture
async def lab(gateway):
    return await gateway.new_lab()


async def published(gateway, lab: Lab) -> str:
    created = await lab.create(archive())
    await gateway.move(created.submission_id, *PUBLISHED_WAY)
    return created.submission_id


# Identity.


def every_call(lab: Lab, submission_id: str):
    """Each call of a lab, on one submission."""
    service, quota = lab.submission, lab.quota
    return {
        "create": lambda: lab.create(archive()),
        "get": lambda: lab.get(submission_id),
        "durable": lambda: lab.durable_bytes(submission_id),
        "upload": lambda: lab.upload(submission_id, b"x"),
        "cancel": lambda: lab.cancel(submission_id),
        "results": lambda: lab.results(submission_id),
        "receipt": lambda: lab.call(
            service.GetReceipt, pb.GetReceiptRequest(submission_id=submission_id)
        ),
        "watch": lambda: anext(lab.watch(submission_id)),
        "list": lambda: lab.call(service.ListSubmissions, pb.ListSubmissionsRequest()),
        "quota": lab.get_quota,
        "agreement": lambda: lab.call(quota.GetAgreement, quota_pb2.GetAgreementRequest()),
        "accept": lab.accept,
    }


async def each_raises(error: type[Exception], calls) -> set[str]:
    """Every call raises ``error``. What they said."""
    said = set()
    for name, call in calls.items():
        try:
            await call()
        except error as raised:
            said.add(str(raised))
        else:
            raise AssertionError(f"{name} was answered")
    return said


async def test_without_a_valid_token_no_call_of_a_lab_is_answered(gateway, lab):
    submission_id = (await lab.create(archive())).submission_id
    revoked = await gateway.token("lab", lab_id=lab.lab_id)
    await gateway.gateway.database.run_write(
        identity.revoke_token, START, "_".join(revoked.split("_")[1:3])
    )
    wrong = lab.token[:-1] + ("0" if lab.token[-1] != "0" else "1")
    for token in (None, "", "nonsense", wrong, revoked):
        stranger = await gateway.lab(token)
        await each_raises(errors.NotAuthenticated, every_call(stranger, submission_id))
    assert (await lab.get(submission_id)).state == pb.SUBMISSION_STATE_CREATED


@pytest.mark.parametrize(("kind", "owner"), [("grader", {"modality": "image"}), ("ranker", {})])
async def test_a_token_of_another_kind_is_not_permitted(gateway, lab, kind, owner):
    submission_id = (await lab.create(archive())).submission_id
    other = await gateway.lab(await gateway.token(kind, **owner))
    await each_raises(errors.NotPermitted, every_call(other, submission_id))


async def test_a_labs_token_leases_no_jobs_and_the_public_port_knows_no_graders(gateway, lab):
    request = grading_pb2.LeaseJobsRequest(modality="image", max_jobs=1)
    inside = grading_pb2_grpc.GradingServiceStub(await gateway.channel(gateway.internal_target))
    with pytest.raises(errors.NotPermitted):
        await answered(inside.LeaseJobs(request, metadata=lab.metadata))
    outside = grading_pb2_grpc.GradingServiceStub(await gateway.channel())
    token = await gateway.token("grader", modality="image")
    with pytest.raises(errors.GeneralLevelError) as caught:
        await answered(outside.LeaseJobs(request, metadata=[("authorization", f"Bearer {token}")]))
    assert caught.value.metadata["status"] == "UNIMPLEMENTED"


async def test_another_labs_submission_does_not_exist(gateway, lab):
    submission_id = (await lab.create(archive())).submission_id
    other = await gateway.new_lab()
    of_submission = ("get", "durable", "upload", "cancel", "results", "receipt", "watch")
    for asked in (submission_id, "sub_none", ""):
        calls = {name: every_call(other, asked)[name] for name in of_submission}
        said = await each_raises(errors.NotFound, calls)
        assert len(said) == 1
    listed = await other.call(other.submission.ListSubmissions, pb.ListSubmissionsRequest())
    assert list(listed.submissions) == []
    assert (await lab.get(submission_id)).state == pb.SUBMISSION_STATE_CREATED


# The agreement.


async def test_the_agreement_comes_first(gateway):
    lab = await gateway.new_lab(accept=False)
    with pytest.raises(errors.AgreementRequired) as caught:
        await lab.create(archive())
    version = caught.value.metadata["version"]
    shown = await lab.call(lab.quota.GetAgreement, quota_pb2.GetAgreementRequest())
    assert (shown.version, shown.accepted) == (version, False)
    assert shown.text == agreement.TEXT
    await lab.accept()
    await lab.create(archive())


async def test_accepting_again_keeps_the_first_time_and_another_version_is_refused(
    gateway, lab, clock
):
    clock.advance(HOUR)
    request = quota_pb2.AcceptAgreementRequest(version=agreement.VERSION)
    again = await lab.call(lab.quota.AcceptAgreement, request)
    assert from_timestamp(again.accept_time) == START
    with pytest.raises(errors.InvalidRequest):
        await lab.call(
            lab.quota.AcceptAgreement, quota_pb2.AcceptAgreementRequest(version="2020-01")
        )


# Creates.


async def test_an_unknown_board_is_named(lab):
    with pytest.raises(errors.UnknownBoard) as caught:
        await lab.create(archive(), board_id="B-smell")
    assert caught.value.metadata == {"board_id": "B-smell"}


async def test_a_request_that_is_huge_is_still_refused_with_its_reason(lab):
    with pytest.raises(errors.UnknownBoard):
        await lab.create(archive(), board_id="x" * 1_000_000)
    with pytest.raises(errors.InvalidRequest):
        await lab.create(archive(), archive_name="x" * 1_000_000)
    with pytest.raises(errors.NotFound):
        await lab.get("x" * 1_000_000)
    with pytest.raises(errors.ResourceExhausted):
        await lab.get("x" * 5_000_000)


async def test_the_same_create_sent_again_and_at_once_is_one_submission(lab):
    request_id = new_request_id()
    made = await asyncio.gather(*(lab.create(archive(), request_id) for _ in range(20)))
    assert len({one.submission_id for one in made}) == 1
    with pytest.raises(errors.AlreadyExists):
        await lab.create(archive(), request_id, archive_sha256="0" * 64)
    assert [window.used for window in (await lab.get_quota()).windows] == [1, 1]


async def outcomes_of_parallel_creates(lab: Lab, count: int = 100):
    made = await asyncio.gather(
        *(lab.create(archive()) for _ in range(count)), return_exceptions=True
    )
    accepted = [one for one in made if isinstance(one, pb.Submission)]
    return accepted, [one for one in made if not isinstance(one, pb.Submission)]


async def test_of_100_creates_at_once_exactly_one_is_accepted(gateway, lab, clock):
    (first,), refused = await outcomes_of_parallel_creates(lab)
    assert len(refused) == 99
    for error in refused:
        assert isinstance(error, errors.SubmissionPending)
        assert error.metadata == {"pending_submission_id": first.submission_id}
    # The second of the day, with the first one finished.
    await gateway.move(first.submission_id, *PUBLISHED_WAY)
    clock.advance(HOUR)
    (second,), refused = await outcomes_of_parallel_creates(lab)
    assert {error.metadata["pending_submission_id"] for error in refused} == {second.submission_id}
    # The day is full: nobody gets in, and everybody is told until when.
    await gateway.move(second.submission_id, *PUBLISHED_WAY)
    accepted, refused = await outcomes_of_parallel_creates(lab)
    assert accepted == []
    for error in refused:
        assert isinstance(error, errors.QuotaExceeded)
        assert error.metadata["next_slot_time"] == to_rfc3339(START + 24 * HOUR)
        assert error.metadata["held_by"] == f"{first.submission_id},{second.submission_id}"


async def test_labs_do_not_stand_in_each_others_way(gateway):
    labs = [await gateway.new_lab() for _ in range(5)]
    made = await asyncio.gather(*(lab.create(archive()) for lab in labs))
    assert len({one.submission_id for one in made}) == 5


async def test_the_windows_open_exactly_at_the_instant_that_was_said(gateway, lab, clock):
    """Two in 24 hours, four in seven days."""
    for wait, slot in ((0, 0), (1, 1), (24, 24), (25, 25)):
        if slot > clock_hours(clock):
            clock.advance(START + slot * HOUR - clock.now() - INSTANT)
            if wait >= 24:
                with pytest.raises(errors.QuotaExceeded) as caught:
                    await lab.create(archive())
                assert caught.value.metadata["next_slot_time"] == to_rfc3339(START + slot * HOUR)
            clock.advance(INSTANT)
        await published(gateway, lab)
    # Both windows are full; the week lasts longer.
    opens = START + timedelta(days=7)
    with pytest.raises(errors.QuotaExceeded) as caught:
        await lab.create(archive())
    assert caught.value.metadata["next_slot_time"] == to_rfc3339(opens)
    assert caught.value.metadata["limit"] == "4"
    quota = await lab.get_quota()
    assert [(window.limit, window.used) for window in quota.windows] == [(2, 2), (4, 4)]
    assert from_timestamp(quota.next_slot_time) == opens
    clock.advance(opens - clock.now() - INSTANT)
    with pytest.raises(errors.QuotaExceeded):
        await lab.create(archive())
    clock.advance(INSTANT)
    assert from_timestamp((await lab.get_quota()).next_slot_time) == clock.now()
    created = await lab.create(archive())
    assert (await lab.get_quota()).pending_submission_id == created.submission_id


def clock_hours(clock: ManualClock) -> float:
    return (clock.now() - START) / HOUR


@pytest.mark.parametrize(
    ("way", "status", "used"),
    [
        ((State.UPLOADING, State.CHECKING, State.REJECTED), pb.QUOTA_STATUS_REFUNDED, 0),
        ((*QUEUED_WAY, State.GRADING, State.FAILED), pb.QUOTA_STATUS_REFUNDED, 0),
        ((State.UPLOADING, State.EXPIRED), pb.QUOTA_STATUS_REFUNDED, 0),
        ((*QUEUED_WAY, State.CANCELLED), pb.QUOTA_STATUS_REFUNDED, 0),
        (PUBLISHED_WAY, pb.QUOTA_STATUS_COMMITTED, 1),
    ],
    ids=["rejected", "failed", "expired", "cancelled", "published"],
)
async def test_only_a_published_submission_costs_a_slot(gateway, lab, way, status, used):
    submission_id = (await lab.create(archive())).submission_id
    await gateway.move(submission_id, *way)
    assert (await lab.get(submission_id)).quota_status == status
    quota = await lab.get_quota()
    assert [window.used for window in quota.windows] == [used, used]
    assert quota.pending_submission_id == ""
    assert len(quota.holders) == used


# Checking.


async def test_a_good_archive_is_queued_with_its_place(gateway, lab):
    submitted = await lab.submit(archive())
    queued = await lab.when(submitted.submission_id, pb.SUBMISSION_STATE_QUEUED)
    assert queued.finding_count == 0
    assert queued.progress.tasks_total == 1
    assert queued.progress.HasField("position")
    (result,) = await lab.results(submitted.submission_id)
    assert result.outcome == pb.TASK_OUTCOME_PENDING


async def test_findings_reject_all_at_once_and_cost_nothing(lab):
    folder = "nlp/" + "Multilingual Sarcasm"
    broken = of_members(
        {
            f"{folder}/prediction.json": [],
            "nlp/No Such Task/prediction.json": [{"id": "1", "prediction": "x"}],
            "../outside": b"x",
        }
    )
    submitted = await lab.submit(broken)
    ended = await lab.when(submitted.submission_id, pb.SUBMISSION_STATE_REJECTED)
    refusals = [finding for finding in ended.findings if not finding.warning]
    assert len({finding.code for finding in refusals}) >= 2
    assert ended.finding_count == len(ended.findings)
    for finding in ended.findings:
        assert finding.code.startswith("GL")
        assert finding.message
        assert finding.remedy
    assert ended.quota_status == pb.QUOTA_STATUS_REFUNDED
    await lab.submit(archive())


async def test_what_is_no_archive_at_all_is_rejected_with_a_finding(lab):
    submitted = await lab.submit(Archive("M-D-L-11.zip", b"no archive"))
    ended = await lab.when(submitted.submission_id, pb.SUBMISSION_STATE_REJECTED)
    assert ended.finding_count >= 1
    assert ended.quota_status == pb.QUOTA_STATUS_REFUNDED


@pytest.fixture
def own_children():
    """The processes that this test has started, as a call."""
    others = set(multiprocessing.active_children())
    return lambda: set(multiprocessing.active_children()) - others


async def test_a_check_whose_child_is_killed_is_done_again(lab, own_children):
    submitted = await lab.submit(archive())
    (child,) = await eventually(own_children, what="a child")
    child.kill()
    await lab.when(submitted.submission_id, pb.SUBMISSION_STATE_QUEUED, timeout_seconds=60)


async def test_a_check_whose_child_always_dies_fails_as_ours_and_others_are_checked(
    gateway, lab, own_children
):
    submitted = await lab.submit(archive())

    async def over() -> bool:
        for child in own_children():
            child.kill()
        return (await lab.get(submitted.submission_id)).state == pb.SUBMISSION_STATE_FAILED

    await eventually(over, 60)
    ended = await lab.get(submitted.submission_id)
    assert ended.failure_reason == "check-crashed"
    assert ended.quota_status == pb.QUOTA_STATUS_REFUNDED
    other = await gateway.new_lab()
    next_one = await other.submit(archive())
    await other.when(next_one.submission_id, pb.SUBMISSION_STATE_QUEUED, timeout_seconds=60)


# Deadlines, watching, withdrawing, listing.


@pytest.mark.parametrize(
    ("way", "ends", "reason"),
    [
        ((), pb.SUBMISSION_STATE_EXPIRED, "upload-not-started"),
        ((State.UPLOADING,), pb.SUBMISSION_STATE_EXPIRED, "upload-not-finished"),
        (QUEUED_WAY, pb.SUBMISSION_STATE_FAILED, "queue-overdue"),
        ((*QUEUED_WAY, State.GRADING), pb.SUBMISSION_STATE_FAILED, "grading-overdue"),
        (PUBLISHED_WAY[:-1], pb.SUBMISSION_STATE_FAILED, "ranking-overdue"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
async def test_no_state_lasts_for_ever(gateway, lab, clock, way, ends, reason):
    submission_id = (await lab.create(archive())).submission_id
    await gateway.move(submission_id, *way)
    age = STATE_AGE_MAX[way[-1] if way else State.CREATED]
    clock.advance(age - INSTANT)
    await gateway.gateway.maintenance.round()
    pending = await lab.get(submission_id)
    assert from_timestamp(pending.state_deadline) == clock.now() + INSTANT
    clock.advance(INSTANT)
    await gateway.gateway.maintenance.round()
    ended = await lab.get(submission_id)
    assert (ended.state, ended.failure_reason) == (ends, reason)
    assert ended.quota_status == pb.QUOTA_STATUS_REFUNDED
    assert ended.timeline[-1].note == reason
    await lab.create(archive())


async def test_a_watch_shows_every_state_in_order_and_ends_with_the_last(gateway, lab):
    submission_id = (await lab.create(archive())).submission_id
    seen: list[pb.Submission] = []

    async def watch() -> None:
        async for update in lab.watch(submission_id):
            seen.append(update)  # noqa: PERF401  others look at it meanwhile

    watching = asyncio.create_task(watch())
    for state in PUBLISHED_WAY:
        await eventually(lambda: seen)
        known = len(seen)
        await gateway.move(submission_id, state)
        await eventually(lambda known=known: len(seen) > known)
    await watching
    states = [pb.SubmissionState.Name(one.state) for one in seen]
    assert states == [f"SUBMISSION_STATE_{s.name}" for s in (State.CREATED, *PUBLISHED_WAY)]
    assert [entry.state for entry in seen[-1].timeline] == [one.state for one in seen]


async def test_a_watch_that_comes_late_or_blinks_still_reads_the_whole_story(gateway, lab):
    submission_id = await published(gateway, lab)
    (only,) = [update async for update in lab.watch(submission_id)]
    assert only.state == pb.SUBMISSION_STATE_PUBLISHED
    assert len(only.timeline) == 1 + len(PUBLISHED_WAY)


async def test_watches_leave_nothing_behind(gateway, lab):
    signals = gateway.gateway.signals
    submission_id = (await lab.create(archive())).submission_id
    with pytest.raises(errors.NotFound):
        await anext(lab.watch("sub_none"))
    watch = lab.watch(submission_id)
    await anext(watch)
    await eventually(lambda: signals.waiting(f"submission/{submission_id}") == 1)
    await watch.aclose()
    await eventually(lambda: signals.waiting(f"submission/{submission_id}") == 0)
    assert signals.waiting("submission/sub_none") == 0


async def test_one_lab_cannot_take_all_places_with_its_watches(gateway, lab):
    submission_id = (await lab.create(archive())).submission_id
    watches = [lab.watch(submission_id) for _ in range(WATCHES_MAX)]
    for watch in watches:
        await anext(watch)
    with pytest.raises(errors.ResourceExhausted):
        await anext(lab.watch(submission_id))
    other = await gateway.new_lab()
    await anext(other.watch((await other.create(archive())).submission_id))
    for watch in watches:
        await watch.aclose()
    await eventually(lambda: gateway.gateway.signals.waiting(f"submission/{submission_id}") == 0)
    await anext(lab.watch(submission_id))


async def test_a_withdrawal_ends_a_submission_once(gateway, lab):
    submission_id = (await lab.create(archive())).submission_id
    for _ in range(2):
        ended = await lab.cancel(submission_id)
        assert ended.state == pb.SUBMISSION_STATE_CANCELLED
        assert ended.quota_status == pb.QUOTA_STATUS_REFUNDED
    with pytest.raises(errors.IllegalTransition):
        await lab.upload(submission_id, archive().data)
    with pytest.raises(errors.IllegalTransition):
        await lab.cancel(await published(gateway, lab))


async def test_pages_list_all_newest_first(gateway, lab, clock):
    made = []
    for _ in range(5):
        made.append((await lab.create(archive())).submission_id)
        await lab.cancel(made[-1])
        clock.advance(INSTANT)
    for size in (1, 2, 5, 100, 0):
        listed, token = [], ""
        while True:
            page = await lab.call(
                lab.submission.ListSubmissions,
                pb.ListSubmissionsRequest(page_size=size, page_token=token),
            )
            listed += [one.submission_id for one in page.submissions]
            assert len(page.submissions) <= (size or 20)
            token = page.next_page_token
            if not token:
                break
        assert listed == made[::-1]


@pytest.mark.parametrize(
    "request_",
    [
        pb.ListSubmissionsRequest(page_size=-1),
        pb.ListSubmissionsRequest(page_size=101),
        pb.ListSubmissionsRequest(page_token="nonsense"),
        pb.ListSubmissionsRequest(page_token="☀"),
        pb.ListSubmissionsRequest(page_token="AAAA"),
        # A time of the year 1 that lies in the year 0 of UTC.
        pb.ListSubmissionsRequest(page_token="MDAwMS0wMS0wMVQwMDowMDowMCsyMzo1OSB4"),
    ],
    ids=str,
)
async def test_a_page_that_cannot_be_is_refused(lab, request_):
    with pytest.raises(errors.InvalidRequest):
        await lab.call(lab.submission.ListSubmissions, request_)


async def test_a_receipt_exists_once_it_is_published(gateway, lab):
    submission_id = (await lab.create(archive())).submission_id
    request = pb.GetReceiptRequest(submission_id=submission_id)
    with pytest.raises(errors.IllegalTransition):
        await lab.call(lab.submission.GetReceipt, request)
    await gateway.move(submission_id, *PUBLISHED_WAY)
    receipt = await lab.call(lab.submission.GetReceipt, request)
    assert receipt.archive_sha256 == archive().sha256


async def test_refusals_and_states_are_told_to_prometheus(gateway, lab):
    await lab.create(archive())
    with pytest.raises(errors.SubmissionPending):
        await lab.create(archive())
    await gateway.gateway.maintenance.round()
    url = f"http://127.0.0.1:{gateway.ports.metrics}/metrics"
    page = (await asyncio.to_thread(lambda: urllib.request.urlopen(url).read())).decode()
    assert 'gateway_create_refusals_total{reason="SUBMISSION_PENDING"} 1.0' in page
    assert 'gateway_submissions{state="created"} 1.0' in page
    assert lab.lab_id not in page


async def test_creates_are_told_apart_by_content_even_at_the_same_instant(lab):
    """Two different archives under one request id are two intentions, and only one is kept."""
    request_id = new_request_id()
    one, other = create_request(archive(), request_id), create_request(archive(), request_id)
    other.model.description = "Another."
    answers = await asyncio.gather(
        *(lab.call(lab.submission.CreateSubmission, request) for request in (one, other)),
        return_exceptions=True,
    )
    assert sorted(type(answer).__name__ for answer in answers) == [
        "AlreadyExists",
        "CreateSubmissionResponse",
    ]
