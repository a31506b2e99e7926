"""Jobs of the media metrics from answers and keys as they are written: JSON, and files beside it.

Answers go through the decoders of a box and real frames, keys through the reader of keys.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco_mask  # type: ignore[import-untyped]

from general_level.catalogue.model import AnswerKind
from services.grader.decode import columns
from services.grader.decode.contents import CONTENT_KINDS
from services.grader.media.binding import MediaJob
from services.grader.media.comprehension import COMPREHENSION_BINDINGS
from services.grader.media.key_reader import KeyReader
from services.grader.metrics.result import MetricResult
from services.grader.networks import NO_NETWORKS
from tests.support.decoding import decode

Files = Mapping[str, bytes]


def kind_of(metric_id: str) -> AnswerKind:
    (kind,) = COMPREHENSION_BINDINGS[metric_id].kinds
    return kind


def reader(
    metric_id: str, files: Files | None = None, options: Mapping[str, str] | None = None
) -> KeyReader:
    return KeyReader(kind_of(metric_id), options or {}, files or {})


def decoded(
    kind: AnswerKind,
    answers: Sequence[Any],
    files: Files | None = None,
    options: Mapping[str, str] | None = None,
) -> list[Any]:
    """What the scorer gets of each answer, None for a missing one."""
    places = [place for place, answer in enumerate(answers) if answer is not None]
    if not places:  # a file without a row is refused before anything is decoded
        return [None] * len(answers)
    content = kind in CONTENT_KINDS
    out = decode(
        kind, [answers[place] for place in places], files, options=options, content=content
    )
    assert out.arrays is not None
    assert not out.findings
    found = columns.unpack(kind, out.arrays, options, out.parts if content else None)
    values: list[Any] = [None] * len(answers)
    for identifier, value in zip(found.ids, found.values, strict=True):
        values[places[int(identifier)]] = value
    return values


def job_of(
    metric_id: str,
    answers: Sequence[Any],
    references: Sequence[Any],
    *,
    files: Files | None = None,
    key_files: Files | None = None,
    options: Mapping[str, str] | None = None,
) -> MediaJob:
    """A job with one accepted answer for each item; ``key_files`` are ``files`` if not given."""
    kind = kind_of(metric_id)
    return MediaJob(
        kind,
        options or {},
        decoded(kind, answers, files, options),
        json.loads(json.dumps([[reference] for reference in references])),
        KeyReader(kind, options or {}, (files or {}) if key_files is None else key_files),
        NO_NETWORKS,
    )


def score(
    metric_id: str,
    answers: Sequence[Any],
    references: Sequence[Any],
    *,
    files: Files | None = None,
    key_files: Files | None = None,
    options: Mapping[str, str] | None = None,
) -> tuple[MetricResult, set[int]]:
    """The metric over a job, and the items whose answer did not fit."""
    job = job_of(metric_id, answers, references, files=files, key_files=key_files, options=options)
    return COMPREHENSION_BINDINGS[metric_id].compute(job), job.unfit


def png(pixels: NDArray[Any]) -> bytes:
    """A picture of 8 or 16 bits as a PNG."""
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "PNG")
    return file.getvalue()


def rle(mask: NDArray[Any]) -> dict[str, Any]:
    """A mask [height, width] as COCO's own encoder writes it."""
    encoded = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": [int(side) for side in encoded["size"]], "counts": encoded["counts"].decode()}
