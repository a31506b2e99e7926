"""All decoders of a box, those included that look inside media files.

A file that cannot be used is a finding of each item that names it; the other items go on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import PurePosixPath
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from general_level.catalogue.model import AnswerKind
from general_level.submission import answers as forms
from general_level.submission.codes import Code
from general_level.submission.schema import Predictions
from services.grader.decode import decoders
from services.grader.decode.columns import Answers, pack
from services.grader.decode.contents import CONTENT_KINDS, FRAMED, Content
from services.grader.decode.decoders import read_predictions
from services.grader.decode.formats.clouds import read_classes, read_cloud, read_motion
from services.grader.decode.formats.flows import (
    DEPTH_STEPS_PER_METRE,
    read_depth,
    read_flow,
    read_normals,
)
from services.grader.decode.formats.images import read_image, read_panoptic
from services.grader.decode.formats.meshes import read_mesh
from services.grader.decode.formats.sounds import read_sound
from services.grader.decode.formats.unusable import Unusable, guarded
from services.grader.decode.formats.videos import read_video
from services.grader.decode.formats.warm_up import SAMPLES
from services.grader.decode.limits import MAX_ARRAY_BYTES, MAX_ARRAY_FILE_BYTES
from services.grader.decode.protocol import (
    BoxFinding,
    Decoder,
    DecodeRequest,
    Emit,
    MemberReader,
    PartsFull,
    WarmUp,
)
from services.grader.decode.strings import pack_strings

_Arrays = dict[str, NDArray[Any]]
_Reader = Callable[[bytes, str], _Arrays]

_READERS: Final[Mapping[AnswerKind, _Reader]] = {
    AnswerKind.IMAGE: lambda data, _ending: read_image(data),
    AnswerKind.PANOPTIC: lambda data, _ending: read_panoptic(data),
    AnswerKind.VIDEO: read_video,
    AnswerKind.AUDIO: read_sound,
    AnswerKind.FLOW: read_flow,
    AnswerKind.NORMALS: read_normals,
    AnswerKind.POINT_CLOUD: read_cloud,
    AnswerKind.MESH: read_mesh,
    AnswerKind.MOTION: read_motion,
    AnswerKind.POINT_LABELS: read_classes,
}


def reader_of(kind: AnswerKind, options: Mapping[str, str]) -> _Reader:
    """What makes a part of a file's bytes and ending; it raises Unusable, under ``guarded``."""
    if kind is AnswerKind.DEPTH:
        steps = float(options.get("depth_scale", DEPTH_STEPS_PER_METRE))
        return lambda data, ending: read_depth(data, ending, steps)
    return _READERS[kind]


def _paths(value: Any) -> list[str]:
    """The files that an answer names, in order; none where it holds its content itself."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, forms.Panoptic):
        return [value.file]
    if isinstance(value, list) and value and isinstance(value[0], str):
        return value
    return []


def inline(value: Any) -> _Arrays:
    """The part of the classes or instances of points that an answer holds itself."""
    if isinstance(value, forms.PointInstances):
        return {
            "instances": np.array(value.instances, dtype=np.int32),
            "scores": np.array(value.scores, dtype=np.float64),
            **pack_strings("labels", [str(label) for label in value.labels]),
        }
    return {"classes": np.array(value, dtype=np.int32)}


@dataclass(slots=True)
class _Items:
    """The items of a task while their parts arrive."""

    predictions: Predictions
    emit: Emit
    findings: list[BoxFinding]
    parts: list[list[int | None]] = field(default_factory=list)
    shapes: list[set[tuple[int, ...]]] = field(default_factory=list)
    sent: int = 0

    def send(self, arrays: _Arrays) -> int:
        """Sends one part; its number."""
        self.emit(arrays)
        self.sent += 1
        return self.sent - 1

    def fail(self, item: int, code: Code, member: int) -> None:
        self.findings.append(BoxFinding(code, self.predictions.rows[item], member))
        self.parts[item] = []


def decode_contents(
    request: DecodeRequest, members: Iterator[MemberReader], emit: Emit
) -> tuple[_Arrays | None, Sequence[BoxFinding]]:
    """Reads prediction.json, then each file that it names, in the order in which they come."""
    predictions, findings = read_predictions(request, members)
    if predictions is None:
        return None, findings
    items = _Items(predictions, emit, findings)
    wanted: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for item, value in enumerate(predictions.values):
        paths = _paths(value)
        items.parts.append([None] * len(paths))
        items.shapes.append(set())
        for place, path in enumerate(paths):
            wanted[path].append((item, place))
        if not paths:
            _send_inline(items, item, value)
    read = reader_of(request.kind, request.options)
    for number, member in enumerate(members, start=1):
        uses = wanted.pop(member.path, [])
        if any(items.parts[item] for item, _ in uses):
            if number in request.skip:
                for item, _ in uses:
                    items.fail(item, request.skip[number], number)
            else:
                _read_member(request.kind, read, items, member, number, uses)
    if wanted:
        rows = {predictions.rows[item] for uses in wanted.values() for item, _ in uses}
        findings += [BoxFinding(Code.MEDIA_MISSING, row, 0) for row in sorted(rows)]
        return None, findings
    return _finish(request, items), findings


def _send_inline(items: _Items, item: int, value: Any) -> None:
    """Sends what an answer holds itself. An empty list says nothing about any point."""
    arrays = inline(value)
    items.parts[item] = [None]
    try:
        if not len(next(iter(arrays.values()))):
            raise Unusable(Code.MEDIA_NO_CONTENT)
        items.parts[item] = [items.send(arrays)]
    except PartsFull:
        items.fail(item, Code.ANSWERS_TOO_LARGE, 0)
    except Unusable as unusable:
        items.fail(item, unusable.code, 0)


def _read_member(
    kind: AnswerKind,
    read: _Reader,
    items: _Items,
    member: MemberReader,
    number: int,
    uses: Sequence[tuple[int, int]],
) -> None:
    ending = PurePosixPath(member.path).suffix.lower()
    try:
        if member.size_bytes > MAX_ARRAY_FILE_BYTES:
            raise Unusable(Code.MEDIA_TOO_LARGE)
        arrays = guarded(lambda: read(member.read(member.size_bytes), ending))
        part = items.send(arrays)
    except PartsFull:
        for item, _ in uses:
            items.fail(item, Code.ANSWERS_TOO_LARGE, number)
        return
    except Unusable as unusable:
        for item, _ in uses:
            items.fail(item, unusable.code, number)
        return
    for item, place in uses:
        if not items.parts[item]:
            continue  # another of its files was unusable
        items.parts[item][place] = part
        if kind in FRAMED and len(items.parts[item]) > 1:
            _check_frame(kind, items, item, next(iter(arrays.values())), number)


def _check_frame(
    kind: AnswerKind, items: _Items, item: int, frame: NDArray[Any], number: int
) -> None:
    """Frames of one item have one size, and together are no larger than one array may be."""
    shapes = items.shapes[item]
    shapes.add(frame.shape)
    if frame.ndim != FRAMED[kind] or len(shapes) > 1:
        items.fail(item, Code.MEDIA_WRONG_SHAPE, number)
    elif prod(frame.shape) * 8 * len(items.parts[item]) > 2 * MAX_ARRAY_BYTES:
        items.fail(item, Code.MEDIA_TOO_LARGE, number)


def _finish(request: DecodeRequest, items: _Items) -> _Arrays:
    predictions = items.predictions
    kept = Answers([], [], [])
    for item, parts in enumerate(items.parts):
        numbers = [part for part in parts if part is not None]
        if not parts or len(numbers) != len(parts):
            continue
        kept.ids.append(predictions.ids[item])
        kept.values.append(Content(numbers, predictions.values[item]))
        kept.rows.append(predictions.rows[item])
    return pack(request.kind, kept, request.options, content=True)


def _decode(
    request: DecodeRequest, members: Iterator[MemberReader], emit: Emit
) -> tuple[_Arrays | None, Sequence[BoxFinding]]:
    """Content where it was asked for, or where a kind has nothing else to give."""
    if request.kind in CONTENT_KINDS and (request.content or request.kind not in decoders.DECODERS):
        return decode_contents(request, members, emit)
    return decoders.decode_columns(request, members, emit)


DECODERS: Final[Mapping[AnswerKind, Decoder]] = dict.fromkeys(
    [*decoders.DECODERS, *CONTENT_KINDS], _decode
)


def _prediction(kind: AnswerKind, path: str) -> bytes:
    if kind is AnswerKind.PANOPTIC:
        return b'[{"id": "1", "prediction": {"file": "%s", "segments": []}}]' % path.encode()
    return b'[{"id": "1", "prediction": "%s"}]' % path.encode()


#: One small file of each format, so that afterwards no library needs the file system.
WARM_UP: Final[Sequence[WarmUp]] = (
    *decoders.WARM_UP,
    *(
        WarmUp(
            DecodeRequest(kind, {}, content=True),
            {
                decoders.PREDICTION_FILE: _prediction(kind, f"a{ending}"),
                f"a{ending}": data,
            },
        )
        for kind, ending, data in SAMPLES
    ),
)
