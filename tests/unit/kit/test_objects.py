"""The object store keeps what it is given, and parts read like one file."""

from __future__ import annotations

import io
import os
import pickle
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from general_level.errors import Unavailable
from services.kit.objects import (
    MULTIPART_BYTES,
    ObjectMissing,
    Objects,
    ObjectStoreFailed,
    Part,
    PartedFile,
)
from services.kit.settings import Secret
from tests.support.s3_proxy import IllS3
from tests.support.s3_server import BUCKET
from tests.support.wait import eventually


@pytest.fixture(params=["file", "memory", "rclone", "moto"])
def objects(request, tmp_path):
    """Each kind of store, S3 on two servers that have nothing in common."""
    if request.param in ("file", "memory"):
        return Objects(f"file://{tmp_path / 'store'}" if request.param == "file" else "memory:///")
    if request.param == "moto":
        server = request.getfixturevalue("moto_server")
        return Objects(f"s3://{BUCKET}/{tmp_path.name}", server.options())
    return request.getfixturevalue("through")()


@pytest.fixture
def ill(rclone_server):
    """A server of S3 whose answers the test decides."""
    with IllS3(rclone_server.endpoint) as ill:
        yield ill


@pytest.fixture
def through(rclone_server, ill, tmp_path):
    """Opens the store behind it: ``through(retry_seconds=…)``."""

    def opened(**limits: float) -> Objects:
        return Objects(
            f"s3://{BUCKET}/{tmp_path.name}", rclone_server.options(ill.endpoint, **limits)
        )

    return opened


def test_what_is_put_can_be_read_whole_and_by_range(objects):
    objects.put("a/b/c", b"0123456789")
    assert objects.size("a/b/c") == 10
    assert objects.read("a/b/c", 0, 10) == b"0123456789"
    assert objects.read("a/b/c", 3, 4) == b"3456"
    assert objects.read("a/b/c", 10, 0) == b""


def test_a_second_put_replaces(objects):
    objects.put("a", b"first, and longer")
    objects.put("a", b"second")
    assert objects.size("a") == 6
    assert objects.read("a", 0, 6) == b"second"


def test_a_missing_object_is_named_and_is_our_fault(objects):
    for ask in (lambda: objects.read("a/none", 0, 1), lambda: objects.size("a/none")):
        with pytest.raises(ObjectMissing) as caught:
            ask()
        assert caught.value.metadata["key"] == "a/none"
    assert issubclass(ObjectMissing, Unavailable)


@pytest.mark.parametrize(("start", "length"), [(0, 11), (9, 2), (10, 1), (50, 5)])
def test_a_range_past_the_end_is_a_failure_and_never_fewer_bytes(objects, start, length):
    objects.put("a", b"0123456789")
    with pytest.raises(ObjectStoreFailed):
        objects.read("a", start, length)


def test_deleting_is_idempotent(objects):
    objects.put("a", b"1")
    objects.put("b", b"2")
    objects.delete(["a", "none", "b"])
    objects.delete(["a"])
    with pytest.raises(ObjectMissing):
        objects.size("b")


def test_an_object_larger_than_a_part_is_stored_whole(objects):
    data = bytes(range(256)) * (2 * MULTIPART_BYTES // 256) + b"tail"
    objects.put("large", data)
    assert objects.size("large") == len(data)
    assert objects.read("large", MULTIPART_BYTES - 3, 6) == data[MULTIPART_BYTES - 3 :][:6]
    assert objects.read("large", len(data) - 4, 4) == b"tail"


def test_whoever_reads_while_another_writes_sees_one_version_whole(objects):
    versions = [bytes([number]) * 200_000 for number in (1, 2)]
    objects.put("a", versions[0])
    done = threading.Event()

    def write() -> None:
        for number in range(20):
            objects.put("a", versions[number % 2])
        done.set()

    with ThreadPoolExecutor(1) as writer:
        writing = writer.submit(write)
        while not done.is_set() and not writing.done():
            assert objects.read("a", 0, 200_000) in versions
        writing.result()
    assert objects.read("a", 0, 200_000) == versions[1]


def test_s3_that_is_busy_for_a_while_costs_only_time(ill, through):
    objects = through(retry_seconds=30)
    objects.put("before", b"0123")
    ill.refuse()
    with ThreadPoolExecutor(2) as calls:
        put = calls.submit(objects.put, "during", b"x" * (MULTIPART_BYTES + 1))
        read = calls.submit(objects.read, "before", 1, 2)
        eventually(lambda: ill.refused(4), 20, "requests were refused")
        ill.recover()
        put.result(30)
        assert read.result(30) == b"12"
    assert objects.size("during") == MULTIPART_BYTES + 1


def test_s3_that_stays_busy_is_given_up_as_a_failure_of_ours(ill, through):
    objects = through(retry_seconds=0.5)
    ill.refuse()
    for ask in (lambda: objects.put("a", b"1"), lambda: objects.read("a", 0, 1)):
        begun = time.monotonic()
        with pytest.raises(ObjectStoreFailed):
            ask()
        assert time.monotonic() - begun < 10
    assert ill.refused(4)


def test_s3_that_does_not_answer_is_given_up(ill, through):
    objects = through(request_seconds=0.2, retry_seconds=0.5)
    ill.hold()
    begun = time.monotonic()
    with pytest.raises(ObjectStoreFailed):
        objects.put("a", b"1")
    assert time.monotonic() - begun < 10
    ill.recover()
    objects.put("a", b"1")
    assert objects.size("a") == 1


def test_an_upload_in_parts_that_breaks_leaves_no_object(ill, through):
    objects = through(retry_seconds=0)
    ill.refuse("PUT")
    with pytest.raises(ObjectStoreFailed):
        objects.put("large", b"x" * (MULTIPART_BYTES + 1))
    ill.recover()
    with pytest.raises(ObjectMissing):
        objects.size("large")


def test_a_wrong_key_is_refused_and_never_told(rclone_server):
    options = replace(rclone_server.options(), secret_access_key=Secret("canary-55bb"))
    with pytest.raises(ObjectStoreFailed) as caught:
        Objects(f"s3://{BUCKET}/x", options).put("a", b"1")
    told = "".join(traceback.format_exception(caught.value)) + repr(options)
    assert "canary-55bb" not in told


def test_the_options_of_s3_reach_a_child_process_whole(rclone_server):
    options = rclone_server.options()
    copy = pickle.loads(pickle.dumps(options))
    assert copy.secret_access_key.reveal() == options.secret_access_key.reveal()


def test_a_store_whose_folder_became_a_file_fails_as_ours(tmp_path):
    objects = Objects(f"file://{tmp_path / 'store'}")
    (tmp_path / "store").rmdir()
    (tmp_path / "store").write_bytes(b"")
    with pytest.raises(ObjectStoreFailed) as caught:
        objects.put("a/b", b"1")
    assert caught.value.metadata == {"operation": "put", "key": "a/b"}


def test_objects_of_one_folder_are_seen_by_another_process_of_the_platform(tmp_path):
    url = f"file://{tmp_path / 'store'}"
    Objects(url).put("a/b", b"12")
    assert Objects(url).read("a/b", 0, 2) == b"12"
    assert [path.name for path in Path(tmp_path / "store/a").iterdir()] == ["b"]


def parted(pieces: list[bytes]) -> PartedFile:
    objects = Objects("memory:///")
    parts, offset = [], 0
    for number, piece in enumerate(pieces):
        objects.put(f"p/{number}", piece)
        parts.append(Part(offset, len(piece), f"p/{number}"))
        offset += len(piece)
    return PartedFile(objects, parts[::-1])


pieces_of_a_file = st.lists(st.binary(max_size=40), max_size=6)
operations = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.integers(-1, 100)),
        st.tuples(st.just("seek"), st.integers(-60, 300), st.sampled_from([0, 1, 2])),
        st.tuples(st.just("tell")),
    ),
    max_size=20,
)


def outcome(file: io.BufferedIOBase | io.RawIOBase, operation: tuple) -> object:
    name, *arguments = operation
    if name == "read":
        # A raw read may give less than asked; a buffered one, as every reader here uses, not.
        return file.read(*arguments)
    try:
        return getattr(file, name)(*arguments)
    except ValueError:
        return "refused"


@given(pieces_of_a_file, operations, st.sampled_from([1, 7, 64]))
def test_parts_read_like_one_file(pieces, steps, buffer_bytes):
    reader = io.BufferedReader(parted(pieces), buffer_bytes)
    oracle = io.BytesIO(b"".join(pieces))
    for step in steps:
        if step[0] == "seek" and not legal_seek(oracle, *step[1:]):
            continue
        assert outcome(reader, step) == outcome(oracle, step), step


def legal_seek(oracle: io.BytesIO, offset: int, whence: int) -> bool:
    # BytesIO takes a relative seek before the start as the start; a file refuses it.
    base = {0: 0, 1: oracle.tell(), 2: len(oracle.getvalue())}[whence]
    return base + offset >= 0


def test_a_seek_before_the_start_is_refused():
    file = parted([b"abc"])
    for offset, whence in ((-1, 0), (-1, 1), (-4, 2)):
        with pytest.raises(ValueError, match="before the start"):
            file.seek(offset, whence)


@pytest.mark.parametrize("offsets", [(0, 4), (0, 2), (1, 4), (0, 0)])
def test_parts_with_a_gap_or_an_overlap_are_refused(offsets):
    with pytest.raises(ValueError, match="gap or overlap"):
        PartedFile(Objects("memory:///"), [Part(offset, 3, "k") for offset in offsets])


def test_a_file_is_only_read_where_it_is_asked(tmp_path):
    """A ZIP's index needs its end only: the parts before it need not even exist."""
    objects = Objects(f"file://{tmp_path}")
    objects.put("end", b"tail")
    file = PartedFile(objects, [Part(0, 5_000_000_000, "absent"), Part(5_000_000_000, 4, "end")])
    file.seek(-4, io.SEEK_END)
    assert file.read() == b"tail"
    file.seek(0)
    with pytest.raises(ObjectMissing):
        file.read(1)


def test_each_new_object_is_synced_before_the_put_returns(tmp_path, monkeypatch):
    """The file under its final name, then every folder above it: each of them may be new."""
    asked = []

    def fsync(descriptor):
        asked.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    real = os.fsync
    monkeypatch.setattr(os, "fsync", fsync)
    Objects(f"file://{tmp_path}/s").put("a/b/part", b"12345")
    assert asked == [f"{tmp_path}/s{rest}" for rest in ("/a/b/part", "/a/b", "/a", "")]


def test_an_object_that_cannot_be_synced_was_not_put(tmp_path, monkeypatch):
    def fsync(descriptor):
        raise OSError(5, "Input/output error")

    objects = Objects(f"file://{tmp_path}/s")
    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(ObjectStoreFailed):
        objects.put("a", b"1")
