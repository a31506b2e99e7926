"""One member of an archive as a stream of bytes, with its size and checksum enforced."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import BinaryIO, Final

import msgspec

from general_level.errors import InvalidRequest
from general_level.submission.codes import Code
from general_level.submission.zip_format import (
    DEFLATED,
    FLAG_SIZES_FOLLOW,
    LOCAL_HEADER,
    LOCAL_SIGNATURE,
    UnreadableArchive,
    zip64_local_sizes,
)

_READ_BYTES: Final = 256 * 1024  # packed bytes asked for at once
_CHUNK_BYTES: Final = 1024 * 1024  # unpacked bytes handed out at once, at most


class Member(msgspec.Struct, frozen=True, gc=False):
    """One file inside an archive, as the archive's directory describes it.

    ``path`` is what the checker and the graders call it; ``stored_path`` is the name inside the
    ZIP, which differs where an enclosing folder was stripped. Offsets and sizes in bytes.
    """

    path: str
    header_offset: int
    compressed_bytes: int
    size_bytes: int
    crc32: int
    method: int
    stored_path: str


class MemberDamaged(InvalidRequest):
    """A member of the archive cannot be read as the archive's directory says.

    ``code`` is the finding that it makes and ``data`` what fills its message.
    """

    reason = "MEMBER_DAMAGED"

    def __init__(self, code: Code, path: str, **data: str) -> None:
        super().__init__(code=code.value, path=path, **data)
        self.code = code
        self.path = path
        self.data = data

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild_damaged, (self.code, self.path, self.data)


def _rebuild_damaged(code: Code, path: str, data: dict[str, str]) -> MemberDamaged:
    return MemberDamaged(code, path, **data)


def open_member(file: BinaryIO, member: Member) -> Iterator[bytes]:
    """The unpacked bytes in chunks of at most 1 MiB; at most two chunks are in memory.

    Raises `MemberDamaged` where the local header contradicts the directory, and where the content
    is longer, shorter or other than the directory says. What was already handed out is then worth
    nothing: only a stream that ended by itself is verified.
    """
    position = _data_offset(file, member)
    remaining = member.compressed_bytes
    inflater = zlib.decompressobj(-zlib.MAX_WBITS) if member.method == DEFLATED else None
    size, crc = 0, 0
    while remaining > 0:
        file.seek(position)
        packed = file.read(min(_READ_BYTES, remaining))
        if not packed:
            raise _content_damaged(member, "the archive ends inside it")
        position += len(packed)
        remaining -= len(packed)
        for chunk in _inflate(inflater, packed, member) if inflater else (packed,):
            size += len(chunk)
            if size > member.size_bytes:
                raise _content_damaged(member, "it is longer than the directory says")
            crc = zlib.crc32(chunk, crc)
            yield chunk
    if inflater and (not inflater.eof or inflater.unused_data):
        raise _content_damaged(member, "its compressed data does not end where it should")
    if size != member.size_bytes:
        raise _content_damaged(member, "it is shorter than the directory says")
    if crc != member.crc32:
        raise _content_damaged(member, "its checksum (CRC-32) is wrong")


def read_member(file: BinaryIO, member: Member) -> bytes:
    """The whole content; for members whose size was checked before."""
    return b"".join(open_member(file, member))


def _inflate(inflater: zlib._Decompress, packed: bytes, member: Member) -> Iterator[bytes]:
    if inflater.eof:
        raise _content_damaged(member, "its compressed data does not end where it should")
    try:
        while not inflater.eof:
            chunk = inflater.decompress(packed, _CHUNK_BYTES)
            packed = inflater.unconsumed_tail
            if chunk:
                yield chunk
            # A full chunk may leave output inside zlib although all input was taken.
            if not packed and len(chunk) < _CHUNK_BYTES:
                return
    except zlib.error as error:
        raise _content_damaged(member, "its compressed data is damaged") from error


def _content_damaged(member: Member, reason: str) -> MemberDamaged:
    return MemberDamaged(Code.CONTENT_DAMAGED, member.path, reason=reason)


def _data_offset(file: BinaryIO, member: Member) -> int:
    """Where the packed bytes begin, after the local header was held against the directory."""
    file.seek(member.header_offset)
    header = file.read(LOCAL_HEADER.size)
    if len(header) != LOCAL_HEADER.size or not header.startswith(LOCAL_SIGNATURE):
        raise MemberDamaged(Code.HEADER_MISMATCH, member.path, field="place")
    _, _, flags, method, _, _, crc, packed, unpacked, name_bytes, extra_bytes = LOCAL_HEADER.unpack(
        header
    )
    rest = file.read(name_bytes + extra_bytes)
    if len(rest) != name_bytes + extra_bytes or rest[:name_bytes] != member.stored_path.encode():
        raise MemberDamaged(Code.HEADER_MISMATCH, member.path, field="name")
    if method != member.method:
        raise MemberDamaged(Code.HEADER_MISMATCH, member.path, field="compression method")
    if not flags & FLAG_SIZES_FOLLOW:
        try:
            unpacked, packed = zip64_local_sizes(rest[name_bytes:], unpacked, packed)
        except UnreadableArchive as error:
            raise MemberDamaged(Code.HEADER_MISMATCH, member.path, field="size") from error
        if (unpacked, packed) != (member.size_bytes, member.compressed_bytes):
            raise MemberDamaged(Code.HEADER_MISMATCH, member.path, field="size")
        if crc != member.crc32:
            raise MemberDamaged(Code.HEADER_MISMATCH, member.path, field="checksum")
    return member.header_offset + LOCAL_HEADER.size + len(rest)
