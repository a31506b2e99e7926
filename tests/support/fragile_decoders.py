"""The decoders of media, with flaws as a library might have: some files end their process."""

from __future__ import annotations

import ctypes
import io
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from services.grader.decode import media_decoders
from services.grader.decode.protocol import BoxFinding, DecodeRequest, Emit, MemberReader

#: Files that are nothing but one of these words.
CRASH, BOMB, HANG = b"crash", b"bomb!", b"hang!"


@dataclass
class _Read:
    """A small member whose bytes are here already."""

    path: str
    size_bytes: int
    read: Any


def _opened(member: MemberReader) -> MemberReader:
    """The member, unless it is a word that does harm; then the process does not come back."""
    if member.size_bytes != len(CRASH):
        return member
    data = member.read(member.size_bytes)
    if data == CRASH:
        ctypes.string_at(0)
    elif data == BOMB:
        raise MemoryError
    elif data == HANG:
        time.sleep(3600)
    return _Read(member.path, len(data), io.BytesIO(data).read)


def _decode(
    request: DecodeRequest, members: Iterator[MemberReader], emit: Emit
) -> tuple[dict[str, NDArray[Any]] | None, Sequence[BoxFinding]]:
    def opened() -> Iterator[MemberReader]:
        for number, member in enumerate(members):
            yield member if number in request.skip else _opened(member)

    return media_decoders.DECODERS[request.kind](request, opened(), emit)


DECODERS = dict.fromkeys(media_decoders.DECODERS, _decode)
WARM_UP = media_decoders.WARM_UP
