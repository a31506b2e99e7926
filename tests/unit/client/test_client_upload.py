"""An upload survives broken connections, and says when it cannot."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import pytest

from general_level.client import Client, RetryPolicy, SubmissionState, TransferProgress
from general_level.client import upload as upload_module
from general_level.errors import DigestMismatch, InvalidRequest, Unavailable
from general_level.testing import FakeGateway

BOARD = "C-audio-comprehension"
ARRIVED = {"CHECKING", "QUEUED", "GRADING", "RANKING", "PUBLISHED"}
MIB = 1024 * 1024


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """3.5 MiB under an archive's name; the check will refuse it, the upload does not."""
    path = tmp_path / f"Large-{BOARD}.zip"
    path.write_bytes(random.Random(7).randbytes(3 * MIB + MIB // 2))
    return path


def test_a_break_at_a_random_byte_loses_nothing(
    fake: FakeGateway, client: Client, large: Path, waits: list[float]
) -> None:
    at = random.Random(11).sample(range(1, MIB), 3)
    for after in at:
        fake.break_upload_after(after)
    submission = client.submit(large)
    assert submission.state in {*ARRIVED, "REJECTED"}
    # Each attempt made bytes durable, so each wait is the first.
    assert waits == [0.25, 0.25, 0.25]
    [listed] = client.submissions()
    assert listed.submission_id == submission.submission_id


def test_progress_counts_bytes_and_falls_back_to_what_is_durable(
    fake: FakeGateway, client: Client, large: Path
) -> None:
    fake.break_upload_after(1_500_000)
    told: list[TransferProgress] = []
    client.submit(large, progress=told.append)
    size = large.stat().st_size
    assert {p.total_bytes for p in told} == {size}
    done = [p.done_bytes for p in told]
    assert done[-1] == size
    # After the break it goes on at the durable bytes, one message of 1 MiB further each time.
    restarts = [b for a, b in itertools.pairwise(done) if b != a + MIB and b != size]
    assert restarts == [1_500_000 + MIB]


def test_a_lost_answer_to_the_last_byte_is_no_failure(
    fake: FakeGateway, client: Client, archive: Path
) -> None:
    fake.break_upload_after(archive.stat().st_size)
    submission = client.submit(archive)
    assert submission.state in ARRIVED
    assert fake.finish(submission.submission_id) == "PUBLISHED"


def test_it_gives_up_when_no_byte_becomes_durable_and_resumes_later(
    fake: FakeGateway, archive: Path
) -> None:
    def away(_: float) -> None:
        """While the client waits, the gateway goes away."""
        fake.unavailable(10)

    with Client(
        fake.target, fake.new_lab(), insecure=True, retry=RetryPolicy(attempts=2), sleep=away
    ) as client:
        created = client.create(archive, request_id="0b9a1f0e-5c1d-4c0a-9d35-2f3d7f0f8a11")
        fake.break_upload_after(100)
        with pytest.raises(Unavailable):
            client.resume(created.submission_id, archive)
        fake.calm()
        assert client.get(created.submission_id).state is SubmissionState.UPLOADING
        assert client.resume(created.submission_id, archive).state in ARRIVED


def test_a_file_that_changed_during_the_upload_is_refused(
    held_fake: FakeGateway, tmp_path: Path
) -> None:
    archive = held_fake.example_archive(tmp_path, BOARD)
    with Client(held_fake.target, held_fake.new_lab(), insecure=True) as client:
        created = client.create(archive, request_id="0b9a1f0e-5c1d-4c0a-9d35-2f3d7f0f8a11")
        data = bytearray(archive.read_bytes())
        data[50] ^= 1
        archive.write_bytes(data)
        with pytest.raises(DigestMismatch):
            client.resume(created.submission_id, archive)


def test_a_file_that_became_shorter_is_the_callers_error(
    held_fake: FakeGateway, large: Path
) -> None:
    with Client(
        held_fake.target, held_fake.new_lab(), insecure=True, sleep=lambda _: None
    ) as client:
        created = client.create(large, request_id="0b9a1f0e-5c1d-4c0a-9d35-2f3d7f0f8a11")

        def shorten(progress: TransferProgress) -> None:
            large.write_bytes(b"short")

        with pytest.raises(InvalidRequest, match="shorter"):
            client.resume(created.submission_id, large, progress=shorten)


def test_an_error_of_the_callback_reaches_the_caller(client: Client, archive: Path) -> None:
    def fail(progress: TransferProgress) -> None:
        raise RuntimeError("stop here")

    with pytest.raises(RuntimeError, match="stop here"):
        client.submit(archive, progress=fail)


def test_the_digest_is_computed_in_one_pass(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    told: list[TransferProgress] = []
    digest, size = upload_module.sha256_of(path, told.append)
    # FIPS 180-2, appendix B.1.
    assert digest == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert size == 3
    assert told == [TransferProgress(3, 3)]
