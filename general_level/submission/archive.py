"""An archive as an index of its members, made from the ZIP directory without extracting anything.

    sink = FindingSink()
    index = index_archive(file, sink)
    for member in index.members:
        for chunk in open_member(file, member):
            ...

The file may be any seekable binary file, for example one over ranges of an object store: the
index needs the end of the file only, and a member its own bytes only.
"""

from __future__ import annotations

import stat
from typing import BinaryIO, Final

import msgspec

from general_level.submission.codes import Code
from general_level.submission.findings import FindingSink, printable
from general_level.submission.limits import DEFAULT_LIMITS, Limits
from general_level.submission.members import Member, MemberDamaged, open_member, read_member
from general_level.submission.paths import (
    Fault,
    collision_key,
    enclosing_folder,
    is_junk,
    path_fault,
)
from general_level.submission.zip_format import (
    DEFLATED,
    FLAG_ENCRYPTED,
    FLAG_HEADERS_MASKED,
    FLAG_PATCHED,
    FLAG_STRONG_ENCRYPTION,
    LOCAL_HEADER,
    METHOD_NAMES,
    STORED,
    Entry,
    UnreadableArchive,
    locate_directory,
    read_entries,
)

__all__ = [
    "ArchiveIndex",
    "Member",
    "MemberDamaged",
    "index_archive",
    "open_member",
    "read_member",
]

_ENCRYPTED_FLAGS: Final = FLAG_ENCRYPTED | FLAG_STRONG_ENCRYPTION | FLAG_HEADERS_MASKED
_FILE_TYPES: Final = {
    stat.S_IFLNK: "symbolic link", stat.S_IFCHR: "character device", stat.S_IFIFO: "named pipe",
    stat.S_IFBLK: "block device", stat.S_IFSOCK: "socket", stat.S_IFDIR: "folder with content",
}  # fmt: skip


class ArchiveIndex(msgspec.Struct, frozen=True):
    """The usable members in the archive's order, without folders, junk and refused entries.

    ``enclosing_folder`` is the folder that was taken off the front of every path, or empty.
    """

    members: tuple[Member, ...]
    enclosing_folder: str = ""


def index_archive(
    file: BinaryIO,
    sink: FindingSink,
    *,
    allow_strip: bool = False,
    limits: Limits = DEFAULT_LIMITS,
) -> ArchiveIndex:
    """Reads the ZIP directory of ``file`` once and reports everything wrong with it to ``sink``.

    One folder around everything is taken off the paths, so that the remaining checks mean what
    the lab meant: a warning with ``allow_strip``, an error without. Raises OSError only.
    """
    members: list[Member] = []
    errors_before = sink.error_count
    junk_count = 0
    spans: list[tuple[int, int, str]] = []
    unpacked_bytes = 0
    directory_offset = 0
    try:
        directory = locate_directory(file, limits)
        directory_offset = directory.offset
        for entry in read_entries(file, directory):
            unpacked_bytes += entry.size_bytes
            name = entry.raw_name.decode("utf-8", "backslashreplace")
            end = (
                entry.header_offset
                + LOCAL_HEADER.size
                + len(entry.raw_name)
                + entry.compressed_bytes
            )
            spans.append((entry.header_offset, end, name))
            member = _member(entry, name, sink, limits)
            if member is None:
                continue
            if is_junk(member.path):
                junk_count += 1
            else:
                members.append(member)
    except UnreadableArchive as unreadable:
        sink.add(unreadable.code, **unreadable.data)
        return ArchiveIndex(())

    shared = _overlapping_offsets(spans, directory_offset, sink)
    members = [member for member in members if member.header_offset not in shared]
    if unpacked_bytes > limits.unpacked_bytes:
        sink.add(Code.UNPACKED_TOO_LARGE, size=unpacked_bytes, limit=limits.unpacked_bytes)
    if junk_count:
        sink.add(Code.JUNK_IGNORED, count=junk_count)
    if not members and sink.error_count == errors_before:
        sink.add(Code.EMPTY_ARCHIVE)
    members = _without_duplicates(members, sink)
    folder = enclosing_folder(member.path for member in members)
    if folder:
        code = Code.ENCLOSING_FOLDER_STRIPPED if allow_strip else Code.ENCLOSING_FOLDER
        sink.add(code, folder=f"{folder}/")
        members = [
            msgspec.structs.replace(member, path=member.path[len(folder) + 1 :])
            for member in members
        ]
    return ArchiveIndex(tuple(members), folder)


def _member(entry: Entry, name: str, sink: FindingSink, limits: Limits) -> Member | None:
    """The entry as a member, or None for a folder and for an entry that is refused."""
    fault = _name_fault(entry, name, limits)
    if fault is None and _is_folder(entry, name):
        return None
    fault = fault or _form_fault(entry, name) or _size_fault(entry, limits)
    if fault:
        sink.add(fault[0], name, **fault[1])
        return None
    return Member(
        path=name,
        header_offset=entry.header_offset,
        compressed_bytes=entry.compressed_bytes,
        size_bytes=entry.size_bytes,
        crc32=entry.crc32,
        method=entry.method,
        stored_path=name,
    )


def _is_folder(entry: Entry, name: str) -> bool:
    return (
        name.endswith("/")
        and entry.size_bytes == 0
        and stat.S_IFMT(entry.unix_mode) in (0, stat.S_IFDIR)
    )


def _name_fault(entry: Entry, name: str, limits: Limits) -> Fault | None:
    if not entry.raw_name.isascii() and not _is_utf8(entry.raw_name):
        return Code.NAME_NOT_UTF8, {"name": printable(name, 20)}
    return path_fault(name.removesuffix("/"), limits)


def _form_fault(entry: Entry, name: str) -> Fault | None:
    """What makes the entry no ordinary file that can be unpacked here."""
    file_type = stat.S_IFMT(entry.unix_mode)
    if name.endswith("/") or file_type not in (0, stat.S_IFREG):
        kind = file_type if file_type not in (0, stat.S_IFREG) else stat.S_IFDIR
        return Code.SPECIAL_FILE, {"what": _FILE_TYPES.get(kind, "special file")}
    if entry.disk:
        return Code.MULTI_DISK, {}
    if entry.flags & _ENCRYPTED_FLAGS:
        return Code.ENCRYPTED, {}
    if entry.method not in (STORED, DEFLATED) or entry.flags & FLAG_PATCHED:
        method = METHOD_NAMES.get(entry.method, f"method {entry.method}")
        return Code.UNSUPPORTED_METHOD, {"method": method}
    return None


def _size_fault(entry: Entry, limits: Limits) -> Fault | None:
    size, packed = entry.size_bytes, entry.compressed_bytes
    if entry.method == STORED and packed != size:
        return Code.HEADER_MISMATCH, {"field": "size of an uncompressed file"}
    if size > limits.member_bytes:
        return Code.MEMBER_TOO_LARGE, {"size": size, "limit": limits.member_bytes}
    if size > limits.ratio_checked_bytes and size > limits.compression_ratio * packed:
        ratio = size // max(packed, 1)
        return Code.RATIO_TOO_HIGH, {"ratio": ratio, "limit": limits.compression_ratio}
    return None


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _overlapping_offsets(
    spans: list[tuple[int, int, str]], directory_offset: int, sink: FindingSink
) -> set[int]:
    """The offsets of members whose bytes are not their own, each reported.

    Shared bytes are how a small archive unpacks huge. The extra field of a local header may be
    longer than the directory tells, so a span is a lower bound of a member's bytes, which is
    enough: members that share data overlap in it.
    """
    shared: set[int] = set()
    spans.sort(key=lambda span: span[0])
    previous_end, previous_name = 0, ""
    for start, end, name in spans:
        if start < previous_end:
            shared.add(start)
            sink.add(Code.OVERLAPPING_MEMBERS, name, other=previous_name)
        elif end > directory_offset:
            shared.add(start)
            sink.add(Code.OVERLAPPING_MEMBERS, name, other="the archive's directory")
        if end > previous_end:
            previous_end, previous_name = end, name
    return shared


def _without_duplicates(members: list[Member], sink: FindingSink) -> list[Member]:
    """The members whose names are unambiguous on every file system; reports the others."""
    first_of: dict[str, str] = {}
    folders: dict[str, str] = {}
    kept: list[Member] = []
    for member in members:
        key = collision_key(member.path)
        other = first_of.get(key)
        if other is None:
            first_of[key] = member.path
            kept.append(member)
            parent = key.rpartition("/")[0]
            while parent and parent not in folders:
                folders[parent] = member.path
                parent = parent.rpartition("/")[0]
        elif other == member.path:
            sink.add(Code.DUPLICATE_NAME, member.path)
        else:
            sink.add(Code.COLLIDING_NAMES, member.path, other=other)
    for key in first_of.keys() & folders.keys():
        sink.add(Code.COLLIDING_NAMES, first_of[key], other=f"the folder of {folders[key]}")
    return kept
