"""Which decoder reads which answer kind, inside the box, where no media file need be opened.

``media_decoders`` has these and those that look inside media.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from numpy.typing import NDArray

from general_level.catalogue.limits import MAX_PREDICTION_JSON_BYTES
from general_level.catalogue.model import AnswerKind
from general_level.submission.codes import Code
from general_level.submission.findings import FindingSink
from general_level.submission.schema import Predictions, parse_predictions
from services.grader.decode.columns import FORMS, Answers, WithRuns, pack, with_runs
from services.grader.decode.limits import MAX_RUNS_PER_TASK
from services.grader.decode.protocol import (
    BoxFinding,
    Decoder,
    DecodeRequest,
    Emit,
    MemberReader,
    WarmUp,
)

PREDICTION_FILE: Final = "prediction.json"
#: Options under which tracks have boxes in space and no masks.
_SPACE_FORM: Final = "boxes-3d"


def read_predictions(
    request: DecodeRequest, members: Iterator[MemberReader]
) -> tuple[Predictions | None, list[BoxFinding]]:
    """Reads prediction.json with the very schema that the offline checker uses.

    None where it has errors; the findings are then among those returned.
    """
    member = next(members, None)
    if member is None or member.path != PREDICTION_FILE:
        return None, [BoxFinding(Code.NO_PREDICTION_FILE, None, 0)]
    if member.size_bytes > MAX_PREDICTION_JSON_BYTES:
        return None, [BoxFinding(Code.JSON_TOO_LARGE, None, 0)]
    data = member.read(member.size_bytes)
    sink = FindingSink()
    predictions = parse_predictions(
        request.kind, request.options, data, path=PREDICTION_FILE, sink=sink
    )
    findings = [BoxFinding(Code(finding.code), finding.row, 0) for finding in sink.findings]
    return (predictions if sink.ok else None), findings


def decode_columns(
    request: DecodeRequest, members: Iterator[MemberReader], _emit: Emit
) -> tuple[dict[str, NDArray[Any]] | None, Sequence[BoxFinding]]:
    """Reads prediction.json alone."""
    if request.content:
        raise ValueError("these decoders do not look inside media")
    predictions, findings = read_predictions(request, members)
    if predictions is None:
        return None, findings
    answers = Answers(predictions.ids, predictions.values, predictions.rows)
    if has_runs(request.kind, request.options):
        answers = _decode_runs(request.kind, answers, findings)
    return pack(request.kind, answers, request.options), findings


def has_runs(kind: AnswerKind, options: Mapping[str, str]) -> bool:
    """Whether answers of a kind may hold masks."""
    if kind is AnswerKind.TRACKS:
        return options.get("form") != _SPACE_FORM
    return kind is AnswerKind.MASKS


def _decode_runs(kind: AnswerKind, answers: Answers, findings: list[BoxFinding]) -> Answers:
    """The answers with decoded masks; one whose masks are too large is a finding and left out."""
    kept = Answers([], [], [])
    left = MAX_RUNS_PER_TASK
    for item, value, row in zip(answers.ids, answers.values, answers.rows, strict=True):
        decoded: WithRuns | None = with_runs(kind, value)
        if decoded is None:
            findings.append(BoxFinding(Code.MEDIA_TOO_LARGE, row, 0))
            continue
        count = sum(len(runs.counts) for runs in decoded.runs)
        if count > left:
            findings.append(BoxFinding(Code.ANSWERS_TOO_LARGE, row, 0))
            continue
        left -= count
        kept.ids.append(item)
        kept.values.append(decoded)
        kept.rows.append(row)
    return kept


DECODERS: Final[Mapping[AnswerKind, Decoder]] = dict.fromkeys(FORMS, decode_columns)


def _warm(kind: AnswerKind, data: bytes) -> WarmUp:
    return WarmUp(DecodeRequest(kind, {}), {PREDICTION_FILE: data})


#: One small file of each form, read before hardening: it loads whatever the parser loads late.
WARM_UP: Final[Sequence[WarmUp]] = (
    _warm(AnswerKind.TEXT, b'[{"id": 1, "prediction": "a"}, {"id": 1, "prediction": 2}]'),
    _warm(AnswerKind.LABELS, b'[{"id": "1", "prediction": ["a", "\\u00e9"]}]'),
    _warm(
        AnswerKind.NUMBER,
        b'[{"id": "1", "prediction": 1.5}, {"id": "2", "prediction": "x"}]',
    ),
    _warm(AnswerKind.SERIES, b'[{"id": "1", "prediction": [1, 2e3]}, nonsense'),
    _warm(
        AnswerKind.MASKS,
        b'[{"id": "1", "prediction": [{"mask": {"size": [2, 2], "counts": "04"}}]}]',
    ),
)
