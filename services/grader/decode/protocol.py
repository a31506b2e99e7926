"""What the worker and its decode box say to each other over two pipes.

    worker → box   request frame, then per member a member frame and exactly its bytes, then an
                   end frame; again and again, until the worker closes the pipe
    box → worker   one ready frame, then for each request a progress frame for each member, any
                   number of part frames (the content of media) and one answer frame, which alone
                   has a status

Only arrays come out of the box. A finding leaves it as three numbers: the digits of its code, its
row, and the position of its member; the worker has the words for all three.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from general_level.catalogue.model import AnswerKind
from general_level.submission.codes import RULES, Code, Severity
from services.grader.decode import frames
from services.grader.decode.frames import Arrays, FrameInvalid
from services.grader.outcomes import MAX_FINDINGS

#: Bytes of the request and member frames, which carry a few words each.
HEAD_LIMITS: Final = frames.FrameLimits(arrays=4, payload_bytes=64 * 1024)

DECODED: Final = 0
REFUSED: Final = 1
NO_DECODER: Final = 2

_NO_ROW: Final = -1
_PROGRESS: Final = "progress"
_CODE_PREFIX: Final = "GL"
_CODES: Final = {int(code.removeprefix(_CODE_PREFIX)): code for code in Code}


@dataclass(frozen=True, slots=True)
class DecodeRequest:
    """How the members that follow are to be read."""

    kind: AnswerKind
    options: Mapping[str, str]
    #: Whether the media files are decoded too; otherwise their paths are the answers.
    content: bool = False
    #: Members, by their number, that are not to be opened: each is a finding of this code.
    skip: Mapping[int, Code] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WarmUp:
    """A small job that a box does before its walls go up: it loads what libraries load late."""

    request: DecodeRequest
    members: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class BoxFinding:
    """A finding as numbers: code, row (None: not about one), position of its member."""

    code: Code
    row: int | None
    member: int

    @property
    def warning(self) -> bool:
        """True where it does not refuse the file."""
        return RULES[self.code].severity is Severity.WARNING


class MemberReader(Protocol):
    """One member inside the box: its announced size, and its bytes in order."""

    @property
    def path(self) -> str: ...

    @property
    def size_bytes(self) -> int: ...

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` of the bytes that are left, none at the member's end."""


class PartsFull(Exception):
    """The parts of one answer would be larger together than the worker keeps."""


#: Sends one part frame to the worker; PartsFull, and nothing sent, where there is no more room.
Emit = Callable[[Mapping[str, NDArray[Any]]], None]


class Decoder(Protocol):
    """Reads one answer kind: the members in directory order, prediction.json first.

    Returns the arrays of the answers, or findings; large arrays leave one by one as parts. Errors
    in the lab's file are findings, never exceptions: an exception is a fault of the decoder and
    ends the box.
    """

    def __call__(
        self, request: DecodeRequest, members: Iterator[MemberReader], emit: Emit, /
    ) -> tuple[dict[str, NDArray[Any]] | None, Sequence[BoxFinding]]: ...


def encode_request(request: DecodeRequest) -> Arrays:
    """The request frame's arrays."""
    fields = {
        "kind": request.kind.value,
        "options": dict(request.options),
        "content": request.content,
        "skip": dict(request.skip),
    }
    return {"request": frames.from_bytes(json.dumps(fields).encode())}


def decode_request(arrays: Arrays) -> DecodeRequest:
    """The request in a request frame; the worker wrote it, so it is taken at its word."""
    fields = json.loads(arrays["request"].tobytes())
    skip = {int(number): Code(code) for number, code in fields["skip"].items()}
    return DecodeRequest(AnswerKind(fields["kind"]), fields["options"], fields["content"], skip)


def encode_progress(member: int) -> Arrays:
    """The frame that a box sends when it turns to a member."""
    return {_PROGRESS: np.array([member], dtype=np.int64)}


def decode_progress(arrays: Arrays, member_count: int) -> int | None:
    """The member that the box has turned to, None for a frame that is not about progress.

    FrameInvalid for a member that it has not been sent.
    """
    if _PROGRESS not in arrays:
        return None
    numbers = frames.array(arrays, _PROGRESS, "<i8").tolist()
    if len(arrays) != 1 or len(numbers) != 1 or not 0 <= numbers[0] < member_count:
        raise FrameInvalid("a member that does not exist")
    return int(numbers[0])


def encode_answer(
    status: int,
    arrays: Mapping[str, NDArray[Any]] | None = None,
    findings: Sequence[BoxFinding] = (),
) -> Arrays:
    """The answer frame's arrays; findings over the limit are left out, errors are kept first."""
    kept = sorted(findings, key=lambda finding: finding.warning)[:MAX_FINDINGS]
    rows = [_NO_ROW if finding.row is None else finding.row for finding in kept]
    return {
        "status": np.array([status], dtype=np.uint8),
        "finding.codes": np.array(
            [int(finding.code.removeprefix(_CODE_PREFIX)) for finding in kept], dtype=np.uint16
        ),
        "finding.rows": np.array(rows, dtype=np.int64),
        "finding.members": np.array([finding.member for finding in kept], dtype=np.int32),
        **(arrays or {}),
    }


def is_answer(arrays: Arrays) -> bool:
    """Whether a frame is the answer, and not one of the parts before it."""
    return "status" in arrays


def decode_answer(arrays: Arrays, member_count: int) -> tuple[int, tuple[BoxFinding, ...]]:
    """Status and findings of an answer frame; FrameInvalid unless each is one that exists."""
    status = frames.array(arrays, "status", "u1")
    codes = frames.array(arrays, "finding.codes", "<u2").tolist()
    rows = frames.array(arrays, "finding.rows", "<i8").tolist()
    members = frames.array(arrays, "finding.members", "<i4").tolist()
    if len(status) != 1 or status[0] > NO_DECODER:
        raise FrameInvalid("an unknown status")
    if not len(codes) == len(rows) == len(members) <= MAX_FINDINGS:
        raise FrameInvalid("findings of different or excessive length")
    findings: list[BoxFinding] = []
    for code, row, member in zip(codes, rows, members, strict=True):
        if code not in _CODES or row < _NO_ROW or not 0 <= member < max(member_count, 1):
            raise FrameInvalid("a finding that does not exist")
        findings.append(BoxFinding(_CODES[code], None if row == _NO_ROW else row, member))
    if status[0] == REFUSED and all(finding.warning for finding in findings):
        raise FrameInvalid("a refusal without a reason")
    return int(status[0]), tuple(findings)
