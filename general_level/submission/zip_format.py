"""The ZIP directory as records, read strictly.

Source: PKWARE APPNOTE.TXT 6.3.10, sections 4.3 to 4.5. Python's ``zipfile`` is lenient where two
readers may disagree about what an archive holds (bytes before the first member, a wrong directory
offset, a wrong number of entries), and slow for many members; here every such archive is refused.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, NamedTuple

from general_level.submission.codes import Code
from general_level.submission.limits import Limits

LOCAL_SIGNATURE: Final = b"PK\x03\x04"
_CENTRAL_SIGNATURE: Final = b"PK\x01\x02"
_END_SIGNATURE: Final = b"PK\x05\x06"
_ZIP64_END_SIGNATURE: Final = b"PK\x06\x06"
_ZIP64_LOCATOR_SIGNATURE: Final = b"PK\x06\x07"
_SPANNED_SIGNATURES: Final = (b"PK\x07\x08", b"PK00")

#: version, flags, method, time, date, crc, packed size, unpacked size, name and extra lengths.
LOCAL_HEADER: Final = struct.Struct("<4s5H3L2H")
_CENTRAL_HEADER: Final = struct.Struct("<4s6H3L5H2L")
_END_RECORD: Final = struct.Struct("<4s4H2LH")
_ZIP64_LOCATOR: Final = struct.Struct("<4sLQL")
_ZIP64_END_RECORD: Final = struct.Struct("<4sQ2H2L4Q")

_MAX_COMMENT_BYTES: Final = 0xFFFF
_FULL_16: Final = 0xFFFF
_FULL_32: Final = 0xFFFFFFFF
_FULL_VALUES: Final = (_FULL_16,) * 4 + (_FULL_32,) * 2
_ZIP64_EXTRA_ID: Final = 0x0001

STORED: Final = 0
DEFLATED: Final = 8
METHOD_NAMES: Final = {
    1: "shrink", 6: "implode", 9: "deflate64", 12: "bzip2", 14: "LZMA", 93: "Zstandard",
    95: "XZ", 97: "WavPack", 98: "PPMd", 99: "AES encryption",
}  # fmt: skip

FLAG_ENCRYPTED: Final = 0x0001
FLAG_SIZES_FOLLOW: Final = 0x0008
FLAG_PATCHED: Final = 0x0020
FLAG_STRONG_ENCRYPTION: Final = 0x0040
FLAG_HEADERS_MASKED: Final = 0x2000

#: How other archive formats begin, for a better hint than "not a ZIP".
_OTHER_FORMATS: Final = {
    b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"7z\xbc\xaf": "7z",
    b"Rar!": "RAR", b"\x28\xb5\x2f\xfd": "Zstandard", b"{": "JSON", b"[": "JSON", b"<": "HTML",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of the ZIP directory, its zip64 fields resolved. Sizes in bytes."""

    raw_name: bytes
    flags: int
    method: int
    crc32: int
    compressed_bytes: int
    size_bytes: int
    header_offset: int
    disk: int
    unix_mode: int


@dataclass(frozen=True, slots=True)
class Directory:
    """Where the directory lies, and how many entries the archive announces."""

    offset: int
    size_bytes: int
    entry_count: int


class _EndRecord(NamedTuple):
    """The end record's fields; ``starts`` is where a zip64 one begins, 0 for another."""

    disk: int
    directory_disk: int
    disk_entries: int
    entries: int
    directory_bytes: int
    directory_offset: int
    starts: int


class UnreadableArchive(Exception):
    """The ZIP directory cannot be used at all; ``code`` and ``data`` make the finding."""

    def __init__(self, code: Code, **data: object) -> None:
        super().__init__(code.value)
        self.code = code
        self.data = data


def _damaged(reason: str) -> UnreadableArchive:
    return UnreadableArchive(Code.DAMAGED_DIRECTORY, reason=reason)


def _read_at(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    data = file.read(size)
    if len(data) != size:
        raise _damaged("the file ends too early")
    return data


def locate_directory(file: BinaryIO, limits: Limits) -> Directory:
    """Finds the directory from the end of ``file``; raises `UnreadableArchive`."""
    size = file.seek(0, os.SEEK_END)
    if size > limits.archive_bytes:
        raise UnreadableArchive(Code.ARCHIVE_TOO_LARGE, size=size, limit=limits.archive_bytes)
    file.seek(0)
    head = file.read(8)
    tail_size = min(size, _END_RECORD.size + _MAX_COMMENT_BYTES)
    tail = _read_at(file, size - tail_size, tail_size)
    end_in_tail = _find_end_record(tail)
    if end_in_tail < 0:
        raise _no_end_record(head)
    end_offset = size - tail_size + end_in_tail
    narrow = _EndRecord._make((*_END_RECORD.unpack_from(tail, end_in_tail)[1:7], 0))
    end = _zip64_end_record(file, end_offset, narrow)
    if end.disk or end.directory_disk or end.disk_entries != end.entries:
        raise UnreadableArchive(Code.MULTI_DISK)
    if end.directory_offset + end.directory_bytes != (end.starts or end_offset):
        raise _damaged("its directory is not where its end record says")
    if end.entries > limits.members:
        raise UnreadableArchive(Code.TOO_MANY_MEMBERS, count=end.entries, limit=limits.members)
    if end.directory_bytes > limits.directory_bytes:
        raise _damaged(f"its directory has {end.directory_bytes} bytes")
    return Directory(end.directory_offset, end.directory_bytes, end.entries)


def _zip64_end_record(file: BinaryIO, end_offset: int, narrow: _EndRecord) -> _EndRecord:
    """The zip64 end record before the ordinary one at ``end_offset``, or ``narrow`` itself."""
    locator_offset = end_offset - _ZIP64_LOCATOR.size
    if locator_offset < 0:
        return narrow
    locator = _read_at(file, locator_offset, _ZIP64_LOCATOR.size)
    if not locator.startswith(_ZIP64_LOCATOR_SIGNATURE):
        return narrow
    _, _, offset, disks = _ZIP64_LOCATOR.unpack(locator)
    if disks > 1:
        raise UnreadableArchive(Code.MULTI_DISK)
    if offset + _ZIP64_END_RECORD.size > locator_offset:
        raise _damaged("its zip64 end record is not where it should be")
    signature, record_bytes, _, _, *fields = _ZIP64_END_RECORD.unpack(
        _read_at(file, offset, _ZIP64_END_RECORD.size)
    )
    if signature != _ZIP64_END_SIGNATURE or offset + 12 + record_bytes != locator_offset:
        raise _damaged("its zip64 end record is not where it should be")
    wide = _EndRecord._make((*fields, offset))
    # Readers that know no zip64 must see the same archive, unless a field says it is full.
    for old, new, full in zip(narrow[:6], wide[:6], _FULL_VALUES, strict=True):
        if old not in (new, full):
            raise _damaged("its two end records contradict each other")
    return wide


def _find_end_record(tail: bytes) -> int:
    """The last end record whose comment reaches exactly to the end of the file, or -1."""
    position = len(tail)
    while (position := tail.rfind(_END_SIGNATURE, 0, position)) >= 0:
        if position + _END_RECORD.size <= len(tail):
            comment_bytes = _END_RECORD.unpack_from(tail, position)[-1]
            if position + _END_RECORD.size + comment_bytes == len(tail):
                return position
    return -1


def _no_end_record(head: bytes) -> UnreadableArchive:
    if head.startswith(LOCAL_SIGNATURE):
        return _damaged("it ends before its directory, as a broken copy does")
    if head.startswith(_SPANNED_SIGNATURES):
        return UnreadableArchive(Code.MULTI_DISK)
    for magic, name in _OTHER_FORMATS.items():
        if head.startswith(magic):
            return UnreadableArchive(Code.NOT_A_ZIP, hint=f"; it begins like {name}")
    return UnreadableArchive(Code.NOT_A_ZIP, hint="" if head else "; it is empty")


def read_entries(file: BinaryIO, directory: Directory) -> Iterator[Entry]:
    """All entries in the directory's order; raises `UnreadableArchive` at the first wrong one."""
    data = _read_at(file, directory.offset, directory.size_bytes)
    unpack, header_bytes = _CENTRAL_HEADER.unpack_from, _CENTRAL_HEADER.size
    position, count = 0, 0
    while position < len(data):
        if position + header_bytes > len(data):
            raise _damaged(f"entry {count + 1} of its directory is cut off")
        (signature, _, _, flags, method, _, _, crc, packed, unpacked, name_bytes, extra_bytes,
         comment_bytes, disk, _, attributes, offset) = unpack(data, position)  # fmt: skip
        if signature != _CENTRAL_SIGNATURE:
            raise _damaged(f"entry {count + 1} of its directory has a wrong signature")
        name_start = position + header_bytes
        extra_start = name_start + name_bytes
        position = extra_start + extra_bytes + comment_bytes
        if position > len(data):
            raise _damaged(f"entry {count + 1} of its directory is cut off")
        if _FULL_32 in (packed, unpacked, offset) or disk == _FULL_16:
            unpacked, packed, offset, disk = _zip64_values(
                data[extra_start : extra_start + extra_bytes], unpacked, packed, offset, disk
            )
        count += 1
        yield Entry(
            raw_name=data[name_start:extra_start],
            flags=flags,
            method=method,
            crc32=crc,
            compressed_bytes=packed,
            size_bytes=unpacked,
            header_offset=offset,
            disk=disk,
            unix_mode=attributes >> 16,
        )
    if count != directory.entry_count:
        raise _damaged(f"it announces {directory.entry_count} entries and has {count}")


def extra_field(extra: bytes, wanted_id: int) -> bytes | None:
    """The content of one extra field, or None; a cut-off field ends the search."""
    position = 0
    while position + 4 <= len(extra):
        field_id, size = struct.unpack_from("<2H", extra, position)
        if position + 4 + size > len(extra):
            return None
        if field_id == wanted_id:
            return extra[position + 4 : position + 4 + size]
        position += 4 + size
    return None


def _zip64_values(
    extra: bytes, unpacked: int, packed: int, offset: int, disk: int
) -> tuple[int, int, int, int]:
    """The fields that stand in the zip64 extra field because they do not fit in the header."""
    field = extra_field(extra, _ZIP64_EXTRA_ID)
    if field is None:
        return unpacked, packed, offset, disk
    values: list[int] = []
    position = 0
    for value in (unpacked, packed, offset):
        if value != _FULL_32:
            values.append(value)
            continue
        if position + 8 > len(field):
            raise _damaged("a zip64 field is cut off")
        values.append(struct.unpack_from("<Q", field, position)[0])
        position += 8
    if disk == _FULL_16:
        if position + 4 > len(field):
            raise _damaged("a zip64 field is cut off")
        disk = struct.unpack_from("<L", field, position)[0]
    return values[0], values[1], values[2], disk


def zip64_local_sizes(extra: bytes, unpacked: int, packed: int) -> tuple[int, int]:
    """Unpacked and packed size of a local header, its zip64 field resolved."""
    unpacked, packed, _, _ = _zip64_values(extra, unpacked, packed, 0, 0)
    return unpacked, packed
