"""The fairness rules: 2 per 24 hours, 4 per 7 days, none while one is pending, refunds."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from general_level.client import QuotaStatus, SubmissionState
from general_level.errors import QuotaExceeded, SubmissionPending
from general_level.identifiers import new_request_id
from general_level.wire import from_rfc3339
from tests.contract.lab_gateway import REQUEST_ID, LabGateway, OpenLab, spoil

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def create(lab: OpenLab, archive: Path) -> str:
    return lab.client.create(archive, request_id=new_request_id()).submission_id


def test_a_new_lab_has_used_nothing(lab: OpenLab) -> None:
    quota = lab.client.quota()
    assert [(w.limit, w.used, w.window_seconds) for w in quota.windows] == [
        (2, 0, 86_400),
        (4, 0, 604_800),
    ]
    assert quota.holders == ()
    assert quota.pending_submission_id == ""


def test_none_can_be_created_while_one_is_pending(lab: OpenLab, archive: Path) -> None:
    pending = create(lab, archive)
    assert lab.client.quota().pending_submission_id == pending
    with pytest.raises(SubmissionPending) as caught:
        create(lab, archive)
    assert caught.value.metadata["pending_submission_id"] == pending


def test_the_third_within_a_day_waits_for_the_exact_instant(
    lab: OpenLab, lab_gateway: LabGateway, archive: Path
) -> None:
    first = lab.publish_one()
    lab_gateway.advance(timedelta(hours=1))
    second = lab.publish_one()

    quota = lab.client.quota()
    assert [w.used for w in quota.windows] == [2, 2]
    assert [h.submission_id for h in quota.holders] == [first, second]
    opens = quota.holders[0].hold_time + DAY
    assert quota.next_slot_time == opens

    with pytest.raises(QuotaExceeded) as caught:
        create(lab, archive)
    data = caught.value.metadata
    assert from_rfc3339(data["next_slot_time"]) == opens
    assert data["held_by"].split(",") == [first, second]
    assert (data["limit"], data["window_seconds"]) == ("2", "86400")

    lab_gateway.advance(timedelta(hours=23) - MINUTE)
    with pytest.raises(QuotaExceeded):
        create(lab, archive)
    lab_gateway.advance(MINUTE)
    assert create(lab, archive)


def test_the_fifth_within_a_week_waits_for_the_exact_instant(
    lab: OpenLab, lab_gateway: LabGateway, archive: Path
) -> None:
    published = []
    for _ in range(4):
        published.append(lab.publish_one())
        lab_gateway.advance(DAY)
    quota = lab.client.quota()
    assert [w.used for w in quota.windows][1] == 4
    opens = quota.holders[0].hold_time + timedelta(days=7)
    assert quota.next_slot_time == opens

    with pytest.raises(QuotaExceeded) as caught:
        create(lab, archive)
    data = caught.value.metadata
    assert from_rfc3339(data["next_slot_time"]) == opens
    assert data["held_by"].split(",") == published
    assert (data["limit"], data["window_seconds"]) == ("4", "604800")

    lab_gateway.advance(3 * DAY - MINUTE)
    with pytest.raises(QuotaExceeded):
        create(lab, archive)
    lab_gateway.advance(MINUTE)
    assert create(lab, archive)


def test_a_withdrawn_submission_gives_its_slot_back(lab: OpenLab, archive: Path) -> None:
    for _ in range(5):
        cancelled = lab.client.cancel(create(lab, archive))
        assert cancelled.state is SubmissionState.CANCELLED
        assert cancelled.quota_status is QuotaStatus.REFUNDED
        assert cancelled.state_deadline is None
    quota = lab.client.quota()
    assert [w.used for w in quota.windows] == [0, 0]
    assert quota.pending_submission_id == ""


def test_a_rejected_archive_costs_nothing(
    lab: OpenLab, lab_gateway: LabGateway, archive: Path, tmp_path: Path
) -> None:
    submission = lab.client.submit(spoil(archive, tmp_path))
    lab_gateway.finish(submission.submission_id)
    rejected = lab.client.get(submission.submission_id)
    assert rejected.state is SubmissionState.REJECTED
    assert rejected.quota_status is QuotaStatus.REFUNDED
    assert [w.used for w in lab.client.quota().windows] == [0, 0]
    assert create(lab, archive)


def test_a_published_submission_is_committed(lab: OpenLab) -> None:
    assert lab.client.get(lab.publish_one()).quota_status is QuotaStatus.COMMITTED


def test_a_forgotten_upload_expires_and_does_not_lock_the_lab_out(
    lab: OpenLab, lab_gateway: LabGateway, archive: Path
) -> None:
    forgotten = lab.client.create(archive, request_id=REQUEST_ID)
    lab_gateway.advance(timedelta(days=8))
    last = list(lab.client.watch(forgotten.submission_id))[-1]
    assert last.state is SubmissionState.EXPIRED
    assert last.quota_status is QuotaStatus.REFUNDED
    assert last.failure_reason
    assert create(lab, archive)
