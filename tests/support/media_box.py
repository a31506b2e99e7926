"""A real decode box with all decoders, fed with files from memory."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from general_level.catalogue.model import AnswerKind
from general_level.submission.codes import Code
from services.grader.decode import columns
from services.grader.decode.box import (
    BoxLimits,
    Decoded,
    IncomingMember,
    Isolation,
    SubprocessBox,
)
from services.grader.decode.protocol import DecodeRequest
from services.grader.decode.spool import Parts

DECODERS = "services.grader.decode.media_decoders"
CHUNK_BYTES = 65536


async def start_box(**limits: Any) -> SubprocessBox:
    """A box with every wall that this machine has."""
    return await SubprocessBox.start(
        BoxLimits(**limits), Isolation.BEST_EFFORT, decoders_module=DECODERS
    )


async def members(files: Mapping[str, bytes]) -> AsyncIterator[IncomingMember]:
    async def chunks(data: bytes) -> AsyncIterator[bytes]:
        for start in range(0, len(data), CHUNK_BYTES):
            yield data[start : start + CHUNK_BYTES]

    for path, data in files.items():
        yield IncomingMember(path, len(data), chunks(data))


@dataclass(frozen=True)
class Outcome:
    """Item id → value, and row → codes."""

    values: dict[str, Any]
    codes: dict[int | None, set[Code]]


async def decode(
    box: SubprocessBox,
    kind: AnswerKind,
    rows: Sequence[Any],
    files: Mapping[str, bytes],
    options: Mapping[str, str] | None = None,
) -> Outcome:
    """Decodes ``rows`` (predictions of the items "0", "1", …) that name ``files``."""
    predictions = json.dumps(
        [{"id": str(row), "prediction": value} for row, value in enumerate(rows)]
    ).encode()
    request = DecodeRequest(kind, options or {}, content=True)
    decoded = await box.decode(request, members({"prediction.json": predictions, **files}))
    assert isinstance(decoded, Decoded), decoded
    try:
        parts = Parts(decoded.parts, BoxLimits().answer)
        answers = columns.unpack(kind, decoded.arrays, options, parts)
    finally:
        decoded.close()
    codes: dict[int | None, set[Code]] = {}
    for finding in decoded.findings:
        codes.setdefault(finding.row, set()).add(finding.code)
    return Outcome(dict(zip(answers.ids, answers.values, strict=True)), codes)


def naming(kind: AnswerKind, path: str) -> Any:
    """A prediction that names one file."""
    return {"file": path, "segments": []} if kind is AnswerKind.PANOPTIC else path
