"""The decoders of a box called in this process, what they emit put through real frames."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from general_level.catalogue.model import AnswerKind
from services.grader.decode import frames, media_decoders
from services.grader.decode.frames import Arrays
from services.grader.decode.protocol import BoxFinding, DecodeRequest, PartsFull

LIMITS = frames.FrameLimits()


@dataclass
class Member:
    """One member of a job, from memory."""

    path: str
    data: bytes

    def __post_init__(self) -> None:
        self.size_bytes = len(self.data)
        self._file = io.BytesIO(self.data)

    def read(self, size: int, /) -> bytes:
        return self._file.read(size)


@dataclass(frozen=True)
class Decoded:
    """What came out; ``arrays`` None where the file was refused."""

    arrays: Arrays | None
    parts: list[Arrays]
    findings: Sequence[BoxFinding]


def through(arrays: Arrays) -> Arrays:
    """What arrives at the other end of the pipe."""
    return frames.read(io.BytesIO(b"".join(frames.encode(arrays))), LIMITS)


def decode(
    kind: AnswerKind,
    rows: Sequence[Any],
    files: Mapping[str, bytes] | None = None,
    *,
    options: Mapping[str, str] | None = None,
    content: bool = False,
    max_parts: int = 1000,
) -> Decoded:
    """Decodes ``rows``, predictions of the items "0", "1", …, and the files they name."""
    parts: list[Arrays] = []

    def emit(arrays: Arrays) -> None:
        if len(parts) >= max_parts:
            raise PartsFull
        parts.append(through(arrays))

    predictions = json.dumps(
        [{"id": str(row), "prediction": value} for row, value in enumerate(rows)]
    ).encode()

    def members() -> Iterator[Member]:
        yield Member("prediction.json", predictions)
        for path, data in (files or {}).items():
            yield Member(path, data)

    request = DecodeRequest(kind, options or {}, content)
    arrays, findings = media_decoders.DECODERS[kind](request, members(), emit)
    return Decoded(None if arrays is None else through(arrays), parts, findings)
