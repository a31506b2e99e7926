"""Which decoder reads which answer kind, inside the box.

Media decoders join this table with the measures that need their content.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from numpy.typing import NDArray

from general_level.catalogue.limits import MAX_PREDICTION_JSON_BYTES
from general_level.catalogue.model import AnswerKind
from general_level.submission.codes import Code
from general_level.submission.findings import FindingSink
from general_level.submission.schema import parse_predictions
from services.grader.decode.columns import FORMS, Answers, pack
from services.grader.decode.protocol import BoxFinding, Decoder, DecodeRequest, MemberReader

PREDICTION_FILE: Final = "prediction.json"


def decode_columns(
    request: DecodeRequest, members: Iterator[MemberReader]
) -> tuple[dict[str, NDArray[Any]] | None, Sequence[BoxFinding]]:
    """Reads prediction.json alone, with the very schema that the offline checker uses."""
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
    if not sink.ok:
        return None, findings
    answers = Answers(predictions.ids, predictions.values, predictions.rows)
    return pack(request.kind, answers), findings


DECODERS: Final[Mapping[AnswerKind, Decoder]] = dict.fromkeys(FORMS, decode_columns)

#: One small file of each form, read before hardening: it loads whatever the parser loads late.
WARM_UP: Final[Mapping[AnswerKind, bytes]] = {
    AnswerKind.TEXT: b'[{"id": 1, "prediction": "a"}, {"id": 1, "prediction": 2}]',
    AnswerKind.LABELS: b'[{"id": "1", "prediction": ["a", "\\u00e9"]}]',
    AnswerKind.NUMBER: b'[{"id": "1", "prediction": 1.5}, {"id": "2", "prediction": "x"}]',
    AnswerKind.SERIES: b'[{"id": "1", "prediction": [1, 2e3]}, nonsense',
}
