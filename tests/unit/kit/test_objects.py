"""The object store keeps what it is given, and parts read like one file."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from general_level.errors import Unavailable
from services.kit.objects import ObjectMissing, Objects, ObjectStoreFailed, Part, PartedFile


@pytest.fixture(params=["file", "memory"])
def objects(request, tmp_path):
    return Objects(f"file://{tmp_path / 'store'}" if request.param == "file" else "memory:///")


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
