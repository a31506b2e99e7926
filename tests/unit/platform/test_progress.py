"""The demonstration waits while something moves, and then says which log to read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from general_level.catalogue import load
from general_level.client import Client, ModelMetadata
from general_level.client.models import Progress, Submission, SubmissionState
from general_level.testing import FakeGateway
from general_level.testing.inputs import write_example_archive
from services.platform.progress import StandsStill, follow, logs_to_read

S = SubmissionState
LOGS = Path("logs")
RESTARTS = {"gateway": 0, "ranker": 0, "grader-image": 0, "grader-audio": 0}


class Time:
    """A clock that only waiting moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds

    def pause(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def queued(tmp_path: Path) -> Iterator[tuple[Client, str, FakeGateway]]:
    """A submission in the queue of a gateway without graders."""
    with FakeGateway(automatic_grading=False) as fake:
        client = Client(fake.target, fake.new_lab(), insecure=True)
        board = load().boards["D-L-11"]
        archive = write_example_archive(tmp_path / "Model-D-L-11.zip", load(), board, {})
        made = client.submit(archive, metadata=ModelMetadata(model_name="Model"))
        for update in client.watch(made.submission_id):
            if update.state is S.QUEUED:
                break
        yield client, made.submission_id, fake
        client.close()


def test_graders_that_are_dead_end_the_wait_and_are_named(
    queued: tuple[Client, str, FakeGateway],
) -> None:
    client, submission_id, _ = queued
    time, shown = Time(), []
    with pytest.raises(StandsStill) as caught:
        follow(
            lambda: client.get(submission_id),
            shown.append,
            lambda state: logs_to_read(state, RESTARTS, LOGS),
            seconds=5,
            clock=time,
            pause=time.pause,
        )
    assert 5 <= time.seconds < 6
    assert len(shown) > 1
    for name in ("grader-audio.log", "grader-image.log"):
        assert str(LOGS / name) in str(caught.value)
    assert "gateway.log" not in str(caught.value)


def test_what_is_published_ends_it(queued: tuple[Client, str, FakeGateway]) -> None:
    client, submission_id, fake = queued
    fake.finish(submission_id)
    time = Time()
    final = follow(
        lambda: client.get(submission_id),
        lambda _: None,
        lambda _: "",
        clock=time,
        pause=time.pause,
    )
    assert final.state is S.PUBLISHED


def test_slow_is_not_still(queued: tuple[Client, str, FakeGateway]) -> None:
    """Each task takes nearly as long as is waited for, all of them many times that."""
    client, submission_id, _ = queued
    first = client.get(submission_id)
    time, done = Time(), 0

    def read() -> Submission:
        nonlocal done
        done = int(time.seconds / 4.5)
        state = S.GRADING if done < 20 else S.PUBLISHED
        progress = replace(first.progress, tasks_total=20, tasks_done=min(done, 20))
        assert isinstance(progress, Progress)
        return replace(first, state=state, progress=progress)

    final = follow(read, lambda _: None, lambda _: "", seconds=5, clock=time, pause=time.pause)
    assert final.state is S.PUBLISHED
    assert time.seconds > 80


@pytest.mark.parametrize(
    ("state", "restarts", "names"),
    [
        (S.QUEUED, {}, ["grader-audio", "grader-image"]),
        (S.GRADING, {}, ["grader-audio", "grader-image"]),
        (S.CHECKING, {}, ["gateway"]),
        (S.RANKING, {}, ["ranker"]),
        (S.GRADING, {"grader-image": 3}, ["grader-image"]),
        (S.RANKING, {"gateway": 1}, ["gateway"]),
    ],
)
def test_the_log_is_that_of_whoever_died_or_whose_turn_it_is(
    state: SubmissionState, restarts: dict[str, int], names: list[str]
) -> None:
    said = logs_to_read(state, RESTARTS | restarts, LOGS)
    assert [name for name in sorted(RESTARTS) if str(LOGS / f"{name}.log") in said] == names
