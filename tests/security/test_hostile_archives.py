"""Archives that were made to hurt their reader: each is refused with a finding, cheaply."""

from __future__ import annotations

import io
import json
import struct
import tracemalloc
import zipfile
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from general_level.submission import (
    Code,
    FindingSink,
    Limits,
    MemberDamaged,
    index_archive,
    open_member,
)
from general_level.submission.archive import ArchiveIndex
from general_level.submission.zip_format import LOCAL_HEADER
from tests.unit.submission.archive_maker import (
    GOOD,
    IMAGE_FOLDER,
    TEXT_PATH,
    RawEntry,
    answers,
    check,
    pack,
    raw_pack,
)

MIB = 1024 * 1024


def index(archive: bytes, **options: object) -> tuple[ArchiveIndex, set[str]]:
    sink = FindingSink()
    result = index_archive(io.BytesIO(archive), sink, **options)  # type: ignore[arg-type]
    return result, {finding.code for finding in sink.findings}


def quoted_overlap_bomb(names: int, kernel_bytes: int) -> bytes:
    """Every entry's data is the headers of all later entries, quoted, and one shared kernel."""
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    kernel = squeezer.compress(bytes(kernel_bytes)) + squeezer.flush()
    bodies: list[bytes] = []
    entries: list[tuple[bytes, int, int, int]] = []
    tail, tail_content, size = kernel, bytes(kernel_bytes), kernel_bytes
    for number in reversed(range(names)):
        name = b"image/%04d" % number
        crc = zlib.crc32(tail_content)
        header = struct.pack(
            "<4s5H3L2H", b"PK\x03\x04", 20, 0x800, 8, 0, 0x21, crc, len(tail), size, len(name), 0
        )
        local = header + name
        entries.append((name, crc, len(tail), size))
        bodies.append(local)
        quote = struct.pack("<B2H", 0, len(local), len(local) ^ 0xFFFF)
        tail, tail_content, size = quote + local + tail, local + tail_content, len(local) + size
    entries.reverse()
    bodies.reverse()
    # Lay out: local 0, quote, local 1, quote, local 2, …, kernel.
    data, offsets = b"", []
    for number, local in enumerate(bodies):
        if number:
            data += struct.pack("<B2H", 0, len(local), len(local) ^ 0xFFFF)
        offsets.append(len(data))
        data += local
    data += kernel
    directory = b"".join(
        struct.pack(
            "<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0x800, 8, 0, 0x21, crc, packed, unpacked,
            len(name), 0, 0, 0, 0, 0, offset,
        ) + name
        for (name, crc, packed, unpacked), offset in zip(entries, offsets, strict=True)
    )  # fmt: skip
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, names, names, len(directory), len(data), 0)
    return data + directory + end


def test_the_overlap_bomb_is_one_that_an_ordinary_reader_unpacks() -> None:
    bomb = quoted_overlap_bomb(3, 1000)
    with zipfile.ZipFile(io.BytesIO(bomb)) as archive:
        assert [info.file_size for info in archive.infolist()] == [1080, 1040, 1000]


def test_quoted_overlap_bomb_is_refused() -> None:
    bomb = quoted_overlap_bomb(200, 100_000)
    members, codes = index(bomb)
    assert "GL108" in codes
    assert len(members.members) <= 1
    assert not check(bomb).ok


def test_ratio_bomb_is_refused_without_being_unpacked() -> None:
    bomb = pack({f"{IMAGE_FOLDER}/a.png": bytes(64 * MIB)})
    tracemalloc.start()
    try:
        _, codes = index(bomb)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert codes == {"GL107"}
    assert peak < 2 * MIB


def test_many_members_just_below_the_ratio_meet_the_total() -> None:
    files = {f"{IMAGE_FOLDER}/{n}.png": bytes(900_000) for n in range(20)}
    _, codes = index(pack(files), limits=Limits(unpacked_bytes=10 * MIB))
    assert codes == {"GL105"}


def test_a_member_that_unpacks_to_more_than_it_says_is_stopped_at_its_size() -> None:
    content = bytes(50 * MIB)
    archive = raw_pack([RawEntry(b"nlp/a", content, method=8, size=1000)])
    members, _ = index(archive)
    received = 0
    with pytest.raises(MemberDamaged) as damage:  # noqa: PT012
        for chunk in open_member(io.BytesIO(archive), members.members[0]):
            received += len(chunk)
    assert damage.value.code is Code.CONTENT_DAMAGED
    assert received == 0


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (RawEntry(b"nlp/a", b"abc", crc=5), "checksum"),
        (RawEntry(b"nlp/a", b"abc" * 99, method=8, size=500), "shorter"),
        (RawEntry(b"nlp/a", b"abc" * 99, method=8, size=50), "longer"),
    ],
)
def test_content_that_contradicts_the_directory(entry: RawEntry, reason: str) -> None:
    archive = raw_pack([entry])
    members, codes = index(archive)
    assert codes == set()
    with pytest.raises(MemberDamaged) as damage:
        list(open_member(io.BytesIO(archive), members.members[0]))
    assert reason in damage.value.data["reason"]


@pytest.mark.parametrize(
    ("lie", "field"),
    [
        ({"name": b"nlp/b"}, "name"),
        ({"size": 7}, "size"),
        ({"crc": 7}, "checksum"),
        ({"method": 8, "size": 2}, "compression method"),
    ],
)
def test_local_header_that_contradicts_the_directory(lie: dict[str, object], field: str) -> None:
    entry = RawEntry(b"nlp/a", b"[]", local=lie)
    archive = raw_pack([entry])
    members, _ = index(archive)
    with pytest.raises(MemberDamaged) as damage:
        list(open_member(io.BytesIO(archive), members.members[0]))
    assert damage.value.code is Code.HEADER_MISMATCH
    assert damage.value.data["field"] == field


def test_garbage_after_the_compressed_data_is_damage() -> None:
    good = RawEntry(b"nlp/a", b"abc" * 99, method=8)
    packed = good.packed()

    class Padded(RawEntry):
        def packed(self) -> bytes:
            return packed + b"hidden"

    archive = raw_pack([Padded(b"nlp/a", b"abc" * 99, method=8)])
    members, _ = index(archive)
    with pytest.raises(MemberDamaged):
        list(open_member(io.BytesIO(archive), members.members[0]))


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "a/../../x",
        "/etc/passwd",
        "C:/x",
        "c:x",
        "a\\b",
        "\\\\host\\x",
        "a//b",
        "./a",
        "a/.",
    ],
)
def test_paths_that_leave_the_archive(name: str) -> None:
    members, codes = index(raw_pack([RawEntry(name.encode())]))
    assert codes == {"GL110"}
    assert members.members == ()


@pytest.mark.parametrize("character", ["\x00", "\n", "\x7f", "\u202e", "\u200b", "\u0085"])
def test_names_with_characters_that_cannot_be_seen(character: str) -> None:
    _, codes = index(raw_pack([RawEntry(f"nlp/a{character}b".encode())]))
    assert codes == {"GL117"}


@pytest.mark.parametrize(
    ("mode", "what"),
    [(0o120777, "symbolic link"), (0o020600, "character device"), (0o010600, "named pipe"),
     (0o140600, "socket"), (0o060600, "block device")],
)  # fmt: skip
def test_special_files(mode: int, what: str) -> None:
    report = check(raw_pack([RawEntry(TEXT_PATH.encode(), mode=mode)]))
    assert ("GL111", what) in {(f.code, f.data.get("what")) for f in report.findings}


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        ("nlp/a", "nlp/a", "GL112"),
        ("nlp/A.png", "nlp/a.PNG", "GL113"),
        ("nlp/caf\u00e9", "nlp/cafe\u0301", "GL113"),
        ("nlp/stra\u00dfe", "nlp/STRASSE", "GL113"),
        ("nlp/a", "nlp/a/b", "GL113"),
    ],
)
def test_names_that_two_file_systems_read_differently(first: str, second: str, code: str) -> None:
    _, codes = index(raw_pack([RawEntry(first.encode()), RawEntry(second.encode())]))
    assert codes == {code}


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ({"disk": 1}, "GL120"),
        ({"disk_entries": 1, "entries": 2}, "GL120"),
        ({"disk_entries": 5, "entries": 5}, "GL102"),
        ({"offset": 0}, "GL102"),
        ({"size": 3}, "GL102"),
        # A comment that reaches past the end leaves no end record at all.
        ({"comment": 4}, "GL102"),
    ],
)
def test_end_records_that_lie(end: dict[str, int], code: str) -> None:
    archive = raw_pack([RawEntry(b"nlp/a")], **end)
    _, codes = index(archive)
    assert codes == {code}


def test_a_second_archive_hidden_in_front_is_refused() -> None:
    _, codes = index(pack(GOOD) + pack({"nlp/a": b""}))
    assert codes == {"GL102"}


def test_zip64_archives_are_read() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, archive.open("nlp/a", "w", force_zip64=True) as f:
        f.write(b"hello")
    archive_bytes = buffer.getvalue()
    members, codes = index(archive_bytes)
    assert codes == set()
    assert b"".join(open_member(io.BytesIO(archive_bytes), members.members[0])) == b"hello"


def test_a_zip64_end_record_is_read_and_must_agree() -> None:
    archive = raw_pack([RawEntry(b"nlp/a")])
    end_offset = len(archive) - 22
    *_, entries, size, offset, _ = struct.unpack("<4s4H2LH", archive[end_offset:])

    def with_zip64(count: int) -> bytes:
        record = struct.pack(
            "<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, offset
        )
        locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end_offset, 1)
        return archive[:end_offset] + record + locator + archive[end_offset:]

    members, codes = index(with_zip64(entries))
    assert (len(members.members), codes) == (1, set())
    assert index(with_zip64(2))[1] == {"GL102"}


def test_streamed_archives_with_sizes_after_the_data_are_read() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: object) -> int:
            raise io.UnsupportedOperation

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(TEXT_PATH, answers("x"))
    report = check(pipe.getvalue())
    assert report.findings == ()


def test_header_offset_beyond_every_file_is_refused() -> None:
    report = check(raw_pack([RawEntry(TEXT_PATH.encode(), offset=0xFFFFFFF0)]))
    assert "GL108" in {f.code for f in report.findings}


JSON_BOMBS = {
    "deep": b"[" * 1_000_000,
    "deep-closed": b'[{"id":"1","prediction":' + b"[" * 500_000 + b"]" * 500_000 + b"}]",
    "many-scalars": b"[" + b"0," * 1_000_000 + b"0]",
    "many-lists": b"[" + b"[]," * 1_000_000 + b"[]]",
    "many-keys": b'[{"id":"1","prediction":"x"' + b',"a":0' * 100_000 + b"}]",
    "huge-integer": b'[{"id":"1","prediction":' + b"9" * 1_000_000 + b"}]",
    "huge-id": b'[{"id":' + b"9" * 1_000_000 + b',"prediction":"x"}]',
    "open-text": b'[{"id":"1","prediction":"' + b"\\" * 1_000_001,
    "many-rows": b"[" + b'{"id":"1","prediction":"x"},' * 30_000 + b"{}]",
    "escaped-keys": b"[" + b'{"i\\u0064":"1","predictio\\u006e":"x"},' * 30_000 + b"{}]",
    "backslashes": b'[{"id":"' + b"\\\\" * 500_000 + b'","prediction":"x"}]',
}


@pytest.mark.parametrize("bomb", JSON_BOMBS)
def test_json_bombs_become_findings_in_bounded_memory(bomb: str) -> None:
    archive = pack({TEXT_PATH: JSON_BOMBS[bomb]}, zipfile.ZIP_STORED)
    tracemalloc.start()
    try:
        report = check(archive, limits=Limits(items_per_task=20_000))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert not report.ok or bomb == "many-keys"
    assert report.finding_count > 0
    assert len(report.findings) <= 1000
    assert peak < 30 * MIB


SEED = pack(
    {
        **GOOD,
        "nlp/Entity Tagging/prediction.json": answers("a<p>b", ["c"]),
        f"{IMAGE_FOLDER}/prediction.json": answers("a.png"),
        f"{IMAGE_FOLDER}/a.png": b"\x89PNG" + bytes(40),
    }
)
SLOW_IS_FINE = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@SLOW_IS_FINE
@given(
    st.lists(
        st.tuples(st.integers(0, len(SEED) - 1), st.integers(0, 255)), min_size=1, max_size=12
    ),
    st.integers(0, len(SEED)),
    st.booleans(),
)
def test_mutated_archives_give_reports_and_never_raise(
    changes: list[tuple[int, int]], cut: int, truncate: bool
) -> None:
    data = bytearray(SEED)
    for position, value in changes:
        data[position] = value
    report = check(bytes(data[:cut] if truncate else data), read_media=True)
    assert report.ok == (report.error_count == 0)


DIRECTORY_START = SEED.index(b"PK\x01\x02")


@SLOW_IS_FINE
@given(
    st.lists(
        st.tuples(st.integers(DIRECTORY_START, len(SEED) - 1), st.sampled_from([0, 1, 8, 255])),
        min_size=1,
        max_size=6,
    )
)
def test_mutated_directories_give_reports_and_never_raise(changes: list[tuple[int, int]]) -> None:
    data = bytearray(SEED)
    for position, value in changes:
        data[position] = value
    report = check(bytes(data), read_media=True)
    assert all(finding.message.isprintable() for finding in report.findings)


@SLOW_IS_FINE
@given(st.binary(max_size=300))
def test_random_bytes_as_predictions_never_raise(content: bytes) -> None:
    if check(pack({TEXT_PATH: content})).ok:
        # Few bytes can be a whole file by chance.
        assert isinstance(json.loads(content), list)


def test_a_header_that_ends_with_the_file_is_damage() -> None:
    archive = raw_pack([RawEntry(b"nlp/a", b"abc")])
    members, _ = index(archive)
    for size in (0, 10, LOCAL_HEADER.size, LOCAL_HEADER.size + 5, LOCAL_HEADER.size + 6):
        with pytest.raises(MemberDamaged):
            list(open_member(io.BytesIO(archive[:size]), members.members[0]))
