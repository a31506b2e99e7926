"""Calls are repeated when the gateway is unavailable, with waits that grow, and not for ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from general_level.client import Client, RetryPolicy, SubmissionState
from general_level.client.retry import Patience
from general_level.errors import NotFound, Unavailable
from general_level.testing import FakeGateway


def test_waits_double_up_to_the_longest() -> None:
    policy = RetryPolicy(attempts=9, first_wait_seconds=0.25, longest_wait_seconds=2.0)
    assert [policy.wait_seconds(n, 1.0) for n in range(1, 6)] == [0.25, 0.5, 1.0, 2.0, 2.0]
    assert policy.wait_seconds(1, 0.0) == 0.125
    assert policy.wait_seconds(5000, 1.0) == 2.0


def test_progress_forgives_the_failures_before() -> None:
    waits: list[float] = []
    patience = Patience(RetryPolicy(attempts=3), sleep=waits.append, draw=lambda: 1.0)
    patience.wait_or_raise(Unavailable())
    patience.wait_or_raise(Unavailable())
    patience.progressed()
    patience.wait_or_raise(Unavailable())
    assert waits == [0.25, 0.5, 0.25]
    patience.wait_or_raise(Unavailable())
    last = Unavailable()
    with pytest.raises(Unavailable) as caught:
        patience.wait_or_raise(last)
    assert caught.value is last


def test_a_call_is_repeated_until_it_is_answered(
    fake: FakeGateway, client: Client, waits: list[float]
) -> None:
    fake.unavailable(3)
    assert client.boards()
    assert waits == [0.25, 0.5, 1.0]


def test_a_call_is_not_repeated_for_ever(
    fake: FakeGateway, client: Client, waits: list[float]
) -> None:
    fake.unavailable(RetryPolicy().attempts)
    with pytest.raises(Unavailable):
        client.boards()
    assert len(waits) == RetryPolicy().attempts - 1
    assert client.boards()


def test_a_refusal_is_not_repeated(client: Client, waits: list[float]) -> None:
    with pytest.raises(NotFound):
        client.get("sub_nothing")
    assert waits == []


def test_a_create_whose_answer_was_lost_makes_one_submission(
    fake: FakeGateway, client: Client, archive: Path
) -> None:
    fake.unavailable(1)
    submission = client.submit(archive)
    assert [s.submission_id for s in client.submissions()] == [submission.submission_id]


def test_a_watch_connects_again_and_repeats_nothing(
    fake: FakeGateway, client: Client, archive: Path, waits: list[float]
) -> None:
    submission = client.submit(archive)
    fake.finish(submission.submission_id)
    fake.unavailable(4)
    seen = list(client.watch(submission.submission_id))
    assert [s.state for s in seen] == [SubmissionState.PUBLISHED]
    assert len(waits) == 4


def test_a_watch_gives_up_after_its_attempts(fake: FakeGateway, archive: Path) -> None:
    token = fake.new_lab()
    policy = RetryPolicy(attempts=3)
    with Client(
        fake.target, token, insecure=True, watch_retry=policy, sleep=lambda _: None
    ) as client:
        submission = client.submit(archive)
        fake.unavailable(3)
        with pytest.raises(Unavailable):
            list(client.watch(submission.submission_id))


def test_a_watch_goes_on_after_the_gateway_went_away_in_the_middle(
    held_fake: FakeGateway, tmp_path: Path
) -> None:
    """The gateway stops for good here: what is left is the bounded number of attempts."""
    archive = held_fake.example_archive(tmp_path, "C-audio-comprehension")
    waits: list[float] = []
    with Client(
        held_fake.target,
        held_fake.new_lab(),
        insecure=True,
        watch_retry=RetryPolicy(attempts=4),
        sleep=waits.append,
    ) as client:
        updates = client.watch(client.submit(archive).submission_id)
        next(updates)
        held_fake.close()
        with pytest.raises(Unavailable):
            for _ in updates:
                pass
    assert len(waits) == 3
