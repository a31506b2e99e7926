"""Predictions on disk through a decode box, as the service has them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from general_level.catalogue import Task
from general_level.submission import FindingSink, parse_predictions
from general_level.submission.answer_forms import form_of
from general_level.submission.codes import CONTENT_CODES
from general_level.submission.layout import PREDICTION_FILE
from services.grader.decode import columns
from services.grader.decode.box import (
    MEDIA_DECODERS_MODULE,
    BoxLimits,
    BoxRefusal,
    Decoded,
    IncomingMember,
    Isolation,
    SubprocessBox,
)
from services.grader.decode.columns import Answers
from services.grader.decode.protocol import DecodeRequest
from services.grader.decode.spool import Parts
from services.grader.outcomes import Fault, GraderFault
from services.grader.scorer_protocol import PART_LIMITS

_CHUNK_BYTES: Final = 1024 * 1024


def decode(task: Task, folder: Path, content: bool, sink: FindingSink) -> Answers:
    """The answers of a prediction.json that has no errors, as a scorer gets them.

    With ``content`` they are what is inside their files. What is wrong with a file is added to
    ``sink``, and its item left out. Raises GraderFault where the box dies or overruns.
    """
    kind, options = task.answer_kind, task.options or {}
    parsed = parse_predictions(
        kind, options, (folder / PREDICTION_FILE).read_bytes(), path="", sink=FindingSink()
    )
    media_paths = form_of(kind, options).media_paths or (lambda _value: ())
    named = {name for value in parsed.values for name in media_paths(value)}
    paths = [PREDICTION_FILE, *sorted(named)]
    decoded = asyncio.run(_decode(DecodeRequest(kind, options, content), folder, paths))
    with closing(decoded):
        for found in decoded.findings:
            if found.code in CONTENT_CODES:  # the others are known already
                sink.add(found.code, f"{task.archive_path}/{paths[found.member]}", found.row)
        parts = Parts(decoded.parts, PART_LIMITS) if content else None
        return columns.unpack(kind, decoded.arrays, options, parts)


async def _decode(request: DecodeRequest, folder: Path, paths: Sequence[str]) -> Decoded:
    async def chunks(path: Path) -> AsyncIterator[bytes]:
        with path.open("rb") as file:
            while data := file.read(_CHUNK_BYTES):
                yield data

    async def members() -> AsyncIterator[IncomingMember]:
        for name in paths:
            path = folder / name
            yield IncomingMember(name, path.stat().st_size, chunks(path))

    box = await SubprocessBox.start(
        BoxLimits(), Isolation.BEST_EFFORT, decoders_module=MEDIA_DECODERS_MODULE
    )
    try:
        decoded = await box.decode(request, members())
    finally:
        await box.close()
    if isinstance(decoded, BoxRefusal):
        raise GraderFault(Fault.INTERNAL, "decoding")  # the same file has just been accepted
    return decoded
